//! Requests that are sent again later, since their server is not there.

use std::time::{Duration, SystemTime};

use http::{Request, Response};
use tokio::time::{Instant, sleep_until};
use tower_async_job::Release;

use super::{
    facts::Facts,
    respond::{Body, Failure},
    target::Target,
};
use crate::upstream::Kind;

/// The shortest and the longest time until a request is sent again.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The steps of a usual time until a request is sent again. The real one has 3/4 to 5/4 of them.
const STEPS: u32 = 40;

/// The terms on which a request is sent again. A server that refuses connections, or resets one before
/// the head of a response, has given no answer.
pub(super) struct Later {
    /// The time at which the request has become a job.
    accepted: Option<Instant>,
    received: SystemTime,
}

impl Later {
    /// Returns the terms of a request, if it may be sent again.
    pub(super) fn of<B>(request: &Request<B>) -> Option<Self> {
        let target: &Target = request.extensions().get()?;
        let facts: &Facts = request.extensions().get()?;
        target.replayable.then_some(Self {
            accepted: target.accepted,
            received: facts.received,
        })
    }

    /// Returns whether the client still waits for an answer other than that of a job.
    fn is_awaited(&self) -> bool {
        self.accepted
            .is_some_and(|accepted| Instant::now() < accepted)
    }

    /// Returns the response to a failure: one that puts the job back into its queue, or the answer of a
    /// request that did not become a job.
    pub(super) async fn response(self, failure: &Failure) -> Response<Body> {
        let mut response = failure.response();
        let counts = match failure {
            Failure::Upstream(error) => match error.kind() {
                Kind::Refused | Kind::ConnectTimeout => false,
                Kind::Reset => true,
                _ => return response,
            },
            Failure::Forgotten => true,
            // A client that still waits is answered at once.
            Failure::Full if !self.is_awaited() => false,
            _ => return response,
        };
        if let Some(accepted) = self.accepted {
            sleep_until(accepted).await;
        }
        put_back(&mut response, self.received, counts);
        response
    }
}

/// Returns the response to a failure that puts a job back into its queue, as no attempt.
pub(crate) fn later<B>(request: &Request<B>, failure: &Failure) -> Response<Body> {
    let facts = request.extensions().get::<Facts>();
    let received = facts.map_or_else(SystemTime::now, |facts| facts.received);
    let mut response = failure.response();
    put_back(&mut response, received, false);
    response
}

fn put_back(response: &mut Response<Body>, received: SystemTime, counts: bool) {
    let age = received.elapsed().unwrap_or_default();
    let release = Release::default()
        .with_after(backoff(age))
        .with_counts(counts);
    response.extensions_mut().insert(release);
}

/// Returns the time until a request of this age is sent again: each is longer than the one before,
/// and a part of it is random. It has whole [`STEPS`], since jobs are released together
/// if they wait for the same time.
fn backoff(age: Duration) -> Duration {
    let (shortest, longest) = BACKOFF;
    let usual = Duration::from_secs((age / 4).as_secs()).clamp(shortest, longest);
    usual * (3 * STEPS / 4 + fastrand::u32(0..=STEPS / 2)) / STEPS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_that_finds_the_queue_full_is_sent_again_later() {
        let release = async |accepted| {
            let received = SystemTime::now();
            let later = Later { accepted, received };
            let response = later.response(&Failure::Full).await;
            response.extensions().get::<Release>().cloned()
        };
        assert!(!release(None).await.unwrap().counts);
        let soon = Instant::now() + Duration::from_secs(60);
        assert_eq!(release(Some(soon)).await, None);
    }

    #[test]
    fn a_request_is_sent_again_less_and_less_often() {
        for (age, from, to) in [(0, 750, 1250), (40, 7500, 12_500), (3600, 45_000, 75_000)] {
            let after = backoff(Duration::from_secs(age)).as_millis();
            assert!(
                (from..=to).contains(&after),
                "{after} ms at the age of {age} s"
            );
        }
    }
}
