//! A custom adapter of policies.

use std::time::Duration;

use http::request;
use http_polling::JobState;
use tower_poll::{Hop, PollPolicy, Refusal};

/// A policy that multiplies the delay of `policy` while the job is queued, since a queued job does
/// not end before it starts.
#[derive(Clone)]
pub(crate) struct SlowWhileQueued<P> {
    policy: P,
    factor: u32,
}

impl<P> SlowWhileQueued<P> {
    pub(crate) fn new(policy: P, factor: u32) -> Self {
        Self { policy, factor }
    }
}

impl<P: PollPolicy> PollPolicy for SlowWhileQueued<P> {
    fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal> {
        let delay = self.policy.next(hop)?;
        Ok(match hop.state() {
            Some(JobState::Queued) => delay.saturating_mul(self.factor),
            _ => delay,
        })
    }

    fn prepare_poll(&mut self, parts: &mut request::Parts, hop: &Hop<'_>) {
        self.policy.prepare_poll(parts, hop);
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode, Uri};
    use tower_poll::policy::ServerDelay;

    use super::*;

    #[test]
    fn a_queued_job_is_polled_less_often() {
        let uri = Uri::from_static("http://example.com/work/1");
        let headers = HeaderMap::new();
        let hop = Hop::new(&uri, &uri, StatusCode::SEE_OTHER, &headers)
            .with_retry_after(Duration::from_secs(2));
        let mut policy = SlowWhileQueued::new(ServerDelay::new(), 3);

        let delay = |hop: &Hop<'_>, policy: &mut SlowWhileQueued<_>| policy.next(hop).unwrap();
        let queued = hop.with_state(JobState::Queued);
        assert_eq!(delay(&queued, &mut policy), Duration::from_secs(6));
        let running = hop.with_state(JobState::Running);
        assert_eq!(delay(&running, &mut policy), Duration::from_secs(2));
    }
}
