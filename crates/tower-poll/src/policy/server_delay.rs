//! The delay that the server asks for, or a backoff.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use http_polling::{JobState, has_retry_after};

use super::{hop::Hop, poll_policy::PollPolicy, refusal::Refusal};

type Backoff = <ExponentialBuilder as BackoffBuilder>::Backoff;

/// Waits as long as the server asks, and backs off exponentially otherwise.
///
/// The server's `retry-after-ms`, `x-ms-retry-after-ms` or `Retry-After` is
/// read again from each pending answer. Without a readable one, the first wait
/// is 1 s, and each later one 1.5 times as long, up to 30 s. A poll that is
/// redirected to a different URL without a delay and without `Job-Status` is
/// followed at once, as a redirect would be.
///
/// Failed polls have a separate backoff of the same kind, which restarts
/// with each good poll.
///
/// It neither limits nor spreads the server's delays, and follows to every
/// origin: add [`clamp`](crate::PollPolicyExt::clamp),
/// [`jitter`](crate::PollPolicyExt::jitter) and
/// [`same_origin`](crate::PollPolicyExt::same_origin), or use
/// [`StandardPolicy`](crate::StandardPolicy).
///
/// ```
/// use std::time::Duration;
/// use tower_poll::policy::ServerDelay;
///
/// let policy = ServerDelay::new().backoff(Duration::from_millis(50), 2.0, Duration::from_secs(5));
/// ```
#[derive(Debug)]
#[must_use]
pub struct ServerDelay {
    first: Duration,
    longest: Duration,
    factor: f32,
    /// The backoff of answered polls. Made when it is first needed: most
    /// servers name their delays.
    backoff: Option<Box<Backoff>>,
    /// The backoff of polls that failed in a row.
    failing: Option<Box<Backoff>>,
}

impl ServerDelay {
    /// Creates the policy with the default backoff: 1 s, times 1.5, up to 30
    /// s.
    pub fn new() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            factor: 1.5,
            backoff: None,
            failing: None,
        }
    }

    /// Sets the waits without a delay from the server: the `first`, the
    /// `factor` from each to the next (at least 1), and the `longest`.
    pub fn backoff(self, first: Duration, factor: f32, longest: Duration) -> Self {
        Self {
            first,
            longest,
            factor: factor.max(1.0),
            backoff: None,
            failing: None,
        }
    }

    fn back_off(&mut self, is_failing: bool) -> Duration {
        let Self {
            first,
            longest,
            factor,
            ..
        } = *self;
        let backoff = match is_failing {
            true => &mut self.failing,
            false => &mut self.backoff,
        };
        let backoff = backoff.get_or_insert_with(|| {
            let builder = ExponentialBuilder::new()
                .with_min_delay(first)
                .with_max_delay(longest)
                .with_factor(factor)
                .without_max_times();
            Box::new(builder.build())
        });
        backoff.next().unwrap_or(longest)
    }
}

impl Default for ServerDelay {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for ServerDelay {
    /// The clone restarts its backoff, since it is for another call.
    fn clone(&self) -> Self {
        Self {
            backoff: None,
            failing: None,
            ..*self
        }
    }
}

impl PollPolicy for ServerDelay {
    fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal> {
        let is_failing = hop.retries() > 0;
        if hop.retries() <= 1 {
            // The previous poll was good, or this one is.
            self.failing = None;
        }
        Ok(match hop.retry_after() {
            Some(delay) => delay,
            None if is_redirected_poll(hop) => Duration::ZERO,
            None => self.back_off(is_failing),
        })
    }

    fn prepares_polls(&self) -> bool {
        false
    }
}

fn is_redirected_poll(hop: &Hop<'_>) -> bool {
    hop.poll() > 1
        && hop.status().is_redirection()
        && !hop.state().is_some_and(JobState::is_pending)
        && !has_retry_after(hop.headers())
        && hop.from() != hop.to()
}
