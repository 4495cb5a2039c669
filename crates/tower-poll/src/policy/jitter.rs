//! Keeping clients that were told the same delay from coming back together.

use std::time::Duration;

use http::request;

use super::{hop::Hop, poll_policy::PollPolicy, refusal::Refusal};

/// The span by which a wait may be longer than asked: a random part of the
/// delay, from nothing to a fraction of it. A wait is never shorter, since the
/// server named the earliest time at which a poll is of use.
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
    /// The spread of what is repeated after a failure. The server that failed
    /// names no times that are far apart, so it is wider than that of polls.
    pub(crate) const OF_REPEATS: Self = Self {
        fraction: 0.2,
        longest: Duration::MAX,
    };

    /// Up to `fraction` of the delay on top of it. It is taken to the nearest
    /// number from 0 to 10, and to 0 where it is none.
    #[must_use]
    pub fn up_to(fraction: f64) -> Self {
        let fraction = if fraction.is_nan() { 0.0 } else { fraction };
        Self {
            fraction: fraction.clamp(0.0, 10.0),
            longest: Duration::MAX,
        }
    }

    /// Adds no more than `longest`, however long the delay is. Unlimited by
    /// default.
    #[must_use]
    pub fn at_most(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// Returns `delay` made longer, `random` being from 0 to 1.
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

/// Made by [`PollPolicyExt::jitter`](super::PollPolicyExt::jitter).
///
/// It spreads every delay, whether or not the server
/// [spreads the polls itself](Hop::is_spread_by_server).
///
/// ```
/// use tower_poll::policy::{Jitter, Jittered, PollPolicyExt, ServerDelay};
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
