//! Keeping clients that were told the same delay from coming back together.

use std::time::Duration;

use http::request;

use super::{Hop, PollPolicy, Refusal};

/// How much longer than asked a wait may be: a random part of the delay, from
/// nothing to a fraction of it. Never shorter, since the server named the
/// earliest time at which a poll is of use.
///
/// ```
/// use std::time::Duration;
/// use tower_poll::policy::Jitter;
///
/// let jitter = Jitter::up_to(0.5);
/// assert_eq!(jitter.apply(Duration::from_secs(4), 1.0), Duration::from_secs(6));
/// assert_eq!(jitter.apply(Duration::from_secs(4), 0.0), Duration::from_secs(4));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter {
    fraction: f64,
}

impl Jitter {
    /// Up to `fraction` of the delay on top of it. It is taken to the nearest
    /// number from 0 to 10, and to 0 where it is none.
    #[must_use]
    pub fn up_to(fraction: f64) -> Self {
        let fraction = if fraction.is_nan() { 0.0 } else { fraction };
        Self {
            fraction: fraction.clamp(0.0, 10.0),
        }
    }

    /// `delay` made longer, `random` being from 0 to 1.
    #[must_use]
    pub fn apply(self, delay: Duration, random: f64) -> Duration {
        let more = delay.as_secs_f64() * self.fraction * random;
        delay.saturating_add(Duration::try_from_secs_f64(more).unwrap_or_default())
    }

    pub(crate) fn spread(self, delay: Duration) -> Duration {
        if delay.is_zero() || self.fraction == 0.0 {
            return delay;
        }
        self.apply(delay, fastrand::f64())
    }
}

impl Default for Jitter {
    /// Up to a fifth of the delay.
    fn default() -> Self {
        Self::up_to(0.2)
    }
}

/// Made by [`PollPolicyExt::jitter`](super::PollPolicyExt::jitter).
///
/// ```
/// use tower_poll::policy::{Jitter, Jittered, PollPolicyExt, RetryAfter};
///
/// let policy: Jittered<RetryAfter> = RetryAfter::new().jitter(Jitter::default());
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Jittered<P> {
    policy: P,
    jitter: Jitter,
}

impl<P> Jittered<P> {
    pub(super) fn new(policy: P, jitter: Jitter) -> Self {
        Self { policy, jitter }
    }
}

impl<P: PollPolicy> PollPolicy for Jittered<P> {
    fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal> {
        Ok(self.jitter.spread(self.policy.next(hop)?))
    }

    fn prepare_poll(&mut self, parts: &mut request::Parts, hop: &Hop<'_>) {
        self.policy.prepare_poll(parts, hop);
    }

    fn prepares_polls(&self) -> bool {
        self.policy.prepares_polls()
    }
}
