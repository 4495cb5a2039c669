//! The default policy of a layer.

use std::{sync::Arc, time::Duration};

use http::Uri;
use http_polling::same_origin;

use super::{
    adapters::clamp,
    guard::{stay_on_https, stay_on_origin},
    hop::Hop,
    jitter::Jitter,
    poll_policy::PollPolicy,
    refusal::Refusal,
    server_delay::ServerDelay,
};

/// The longest delay by default.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// The longest delay by default if the server spreads the polls itself.
const MAX_SPREAD_DELAY: Duration = Duration::from_secs(15 * 60);

/// Waits as long as the server asks, within bounds, and stays on the origin
/// of the submission.
///
/// - The delay is that of [`ServerDelay`], kept within 100 ms and 60 s.
/// - It is made longer at random, by up to a tenth and at most a second. A
///   server that [spreads the polls itself](Hop::is_spread_by_server) is
///   polled at the very time that it names, up to 15 minutes later.
/// - Before a failed poll is repeated, the delay is made up to a fifth longer.
/// - A poll on another origin (scheme, host, port) is refused, unless the
///   origin was [allowed](Self::cross_origin). One from https to http is
///   always refused.
///
/// ```
/// use std::time::Duration;
/// use http::Uri;
/// use tower_poll::StandardPolicy;
///
/// let policy = StandardPolicy::new()
///     .min_delay(Duration::from_millis(20))
///     .max_delay(Duration::from_secs(5))
///     .cross_origin([Uri::from_static("https://jobs.example.com")]);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct StandardPolicy {
    pace: ServerDelay,
    min_delay: Duration,
    /// `None`: it depends on the server.
    max_delay: Option<Duration>,
    jitter: Jitter,
    is_jittered: bool,
    /// Shared, so that a call does not copy them.
    allowed: Arc<Vec<Uri>>,
}

impl StandardPolicy {
    /// Creates the policy with the defaults named [above](Self).
    pub fn new() -> Self {
        Self {
            pace: ServerDelay::new(),
            min_delay: Duration::from_millis(100),
            max_delay: None,
            jitter: Jitter::default(),
            is_jittered: true,
            allowed: Arc::default(),
        }
    }

    /// Sets the shortest delay. 100 ms by default. It takes precedence over
    /// the longest, if it is greater.
    pub fn min_delay(self, min_delay: Duration) -> Self {
        Self { min_delay, ..self }
    }

    /// Sets the longest delay before jitter. By default 60 s, and 15 minutes
    /// if the server [spreads the polls itself](Hop::is_spread_by_server):
    /// under load it spreads them widely, and earlier polls would come back
    /// together.
    pub fn max_delay(self, max_delay: Duration) -> Self {
        Self {
            max_delay: Some(max_delay),
            ..self
        }
    }

    /// Sets the delays without one from the server. See
    /// [`ServerDelay::backoff`].
    pub fn backoff(self, first: Duration, factor: f32, longest: Duration) -> Self {
        Self {
            pace: self.pace.backoff(first, factor, longest),
            ..self
        }
    }

    /// Sets the spread of delays that the server does not [spread
    /// itself](Hop::is_spread_by_server). Up to a tenth and at most a second
    /// by default.
    ///
    /// It also applies to delays that were clamped. Repeats of failed polls
    /// have jitter of their own.
    pub fn jitter(self, jitter: Jitter) -> Self {
        Self { jitter, ..self }
    }

    /// Turns all jitter on or off. On by default.
    ///
    /// Off is for tests: in production, clients that were given the same delay
    /// come back in one burst.
    pub fn jittered(self, is_jittered: bool) -> Self {
        Self {
            is_jittered,
            ..self
        }
    }

    /// Allows polls on these origins besides that of the submission. The
    /// scheme, host and port of each URI count.
    ///
    /// They get no credentials: see [`PollLayer`](crate::PollLayer).
    pub fn cross_origin(mut self, allowed: impl IntoIterator<Item = Uri>) -> Self {
        Arc::make_mut(&mut self.allowed).extend(allowed);
        self
    }

    fn judge(&self, hop: &Hop<'_>) -> Result<(), Refusal> {
        stay_on_https(hop)?;
        let mut allowed = self.allowed.iter();
        match allowed.any(|origin| same_origin(origin, hop.to())) {
            true => Ok(()),
            false => stay_on_origin(hop),
        }
    }
}

impl Default for StandardPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl PollPolicy for StandardPolicy {
    fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal> {
        self.judge(hop)?;
        let asked = self.pace.next(hop)?;
        let is_spread = hop.is_spread_by_server();
        let longest = if is_spread {
            MAX_SPREAD_DELAY
        } else {
            MAX_DELAY
        };
        let max_delay = self.max_delay.unwrap_or(longest);
        let delay = clamp(asked, &(self.min_delay..=max_delay));
        Ok(if !self.is_jittered {
            delay
        } else if hop.retries() > 0 {
            Jitter::OF_REPEATS.spread(delay)
        } else if is_spread && delay == asked {
            delay
        } else {
            self.jitter.spread(delay)
        })
    }

    fn prepares_polls(&self) -> bool {
        false
    }
}
