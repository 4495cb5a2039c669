//! Random delays, which keep clients from polling together.

use std::time::Duration;

use http::request;

use super::{hop::Hop, poll_policy::PollPolicy, refusal::Refusal};

/// The range of a random addition to delays: from nothing to a fraction of the
/// delay. A wait is never shortened, since a poll before the time that the
/// server named is useless.
///
/// ```
/// use std::time::Duration;
/// use tower_poll::policy::Jitter;
///
/// let jitter = Jitter::up_to(0.5).at_most(Duration::from_secs(3));
/// assert_eq!(jitter.apply(Duration::from_secs(4), 1.0), Duration::from_secs(6));
/// assert_eq!(jitter.apply(Duration::from_secs(4), 0.0), Duration::from_secs(4));
/// assert_eq!(jitter.apply(Duration::from_secs(40), 1.0), Duration::from_secs(43));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter {
    fraction: f64,
    longest: Duration,
}

impl Jitter {
    /// The spread of repeats after a failure. The server that failed names no
    /// distant times, so it is wider than that of polls.
    pub(crate) const OF_REPEATS: Self = Self {
        fraction: 0.2,
        longest: Duration::MAX,
    };

    /// Adds up to `fraction` of the delay. It is taken to the nearest number
    /// from 0 to 10, and NaN to 0.
    #[must_use]
    pub fn up_to(fraction: f64) -> Self {
        let fraction = if fraction.is_nan() { 0.0 } else { fraction };
        Self {
            fraction: fraction.clamp(0.0, 10.0),
            longest: Duration::MAX,
        }
    }

    /// Limits the addition to `longest`. Unlimited by default.
    #[must_use]
    pub fn at_most(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// Returns the longer `delay`, for a `random` number from 0 to 1.
    #[must_use]
    pub fn apply(self, delay: Duration, random: f64) -> Duration {
        let span = (delay.as_secs_f64() * self.fraction).min(self.longest.as_secs_f64());
        let more = Duration::try_from_secs_f64(span * random).unwrap_or_default();
        delay.saturating_add(more)
    }

    pub(crate) fn spread(self, delay: Duration) -> Duration {
        if delay.is_zero() || self.fraction == 0.0 {
            return delay;
        }
        self.apply(delay, fastrand::f64())
    }
}

impl Default for Jitter {
    /// Up to a tenth of the delay, and at most a second.
    fn default() -> Self {
        Self::up_to(0.1).at_most(Duration::from_secs(1))
    }
}

/// The policy of [`PollPolicyExt::jitter`](crate::PollPolicyExt::jitter).
///
/// ```
/// use tower_poll::{PollPolicyExt, policy::{Jitter, Jittered, ServerDelay}};
///
/// let policy: Jittered<ServerDelay> = ServerDelay::new().jitter(Jitter::default());
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
