//! Repeating a submission that may have been lost.

use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBuilder};
use http::{HeaderMap, Request, Response};
use http_polling::{IDEMPOTENCY_KEY, JOB_STATUS, retry_after};
use tokio::time::{Sleep, sleep};
use tower::retry::Policy;

use crate::{budget::RetryBudget, policy::Jitter, statuses::is_failure};

type Backoff = <ExponentialBuilder as BackoffBuilder>::Backoff;

/// The first wait without one in the answer. Each further one is twice as
/// long.
const FIRST_DELAY: Duration = Duration::from_millis(200);

/// Repeats a failed request that carries an `Idempotency-Key`.
///
/// After a connection breaks, it is unknown whether the work was accepted. A
/// server that supports keys answers the same request with the same job
/// (draft-ietf-httpapi-idempotency-key-header), so that a lost `303 See Other`
/// loses nothing and no work is done twice.
///
/// It is a [`Policy`] for [`RetryLayer`](tower::retry::RetryLayer), which
/// belongs right beneath [`PollLayer`](crate::PollLayer). The whole request is
/// repeated: method, URI, version, headers, extensions and body.
///
/// - Requests without the header, such as polls, are sent once.
/// - Failures are any error of the service, and 408, 429, 500, 502, 503 and
///   504 without `Job-Status`, which would be an answer of the job.
/// - A request is repeated up to 3 [times](Self::retries), and within a
///   [`budget`](Self::budget) that all clones of the policy share.
/// - The delay before it is that of the answer (`Retry-After` or
///   `retry-after-ms`), from 100 ms ([`min_delay`](Self::min_delay)) to 60 s
///   ([`max_delay`](Self::max_delay)), and up to a fifth longer at random.
///   Without one it is 200 ms, and each time twice as long, up to the same
///   limit, and up to twice as long at random.
///
/// After the last repetition, the caller gets the last error or answer.
/// Dropping the call stops it. Waiting needs a tokio runtime with its timer.
///
/// ```
/// use http::{Request, Response};
/// use tower::{Service, ServiceBuilder, ServiceExt, retry::RetryLayer};
/// use tower_poll::{PollLayer, Resubmit};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_poll::Error> {
/// # let client = tower::service_fn(async |_: Request<String>| {
/// #     Ok::<_, tower::BoxError>(Response::new(String::new()))
/// # });
/// let mut service = ServiceBuilder::new()
///     .layer(PollLayer::new().idempotency_keys(true))
///     .layer(RetryLayer::new(Resubmit::new()))
///     .service(client);
///
/// let request = Request::post("https://example.com/report").body("year=2031".to_owned()).unwrap();
/// let response = service.ready().await?.call(request).await?;
/// # Ok(())
/// # }
/// ```
///
/// The body must be [`Clone`]. A stream could not be sent again, and does not
/// compile:
///
/// ```compile_fail,E0277
/// # use http::{Request, Response};
/// use tower::retry::Policy;
/// use tower_poll::Resubmit;
///
/// struct Stream;
///
/// fn assert_policy<P: Policy<Request<B>, Response<()>, ()>, B>(_: P, _: B) {}
///
/// assert_policy(Resubmit::new(), Stream);
/// ```
#[derive(Debug)]
#[must_use]
pub struct Resubmit {
    left: u32,
    min_delay: Duration,
    max_delay: Duration,
    budget: RetryBudget,
    /// The backoff, made when it is first needed.
    backoff: Option<Box<Backoff>>,
}

impl Resubmit {
    /// Creates a policy with the defaults named at each method.
    pub fn new() -> Self {
        Self {
            left: 3,
            min_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(60),
            budget: RetryBudget::default(),
            backoff: None,
        }
    }

    /// Sets the most repetitions of a request. 3 by default.
    pub fn retries(self, retries: u32) -> Self {
        Self {
            left: retries,
            ..self
        }
    }

    /// Sets the shortest delay before jitter. 100 ms by default. The longest
    /// takes precedence, if it is less.
    pub fn min_delay(self, min_delay: Duration) -> Self {
        Self { min_delay, ..self }
    }

    /// Sets the longest delay before jitter. 60 s by default.
    pub fn max_delay(self, max_delay: Duration) -> Self {
        Self { max_delay, ..self }
    }

    /// Sets the limit that keeps a failing server from getting many times the
    /// load. Only requests with an `Idempotency-Key` are counted. Clones of the
    /// policy share it, and so may several policies. By default one of its own,
    /// [`RetryBudget::default`].
    pub fn budget(self, budget: RetryBudget) -> Self {
        Self { budget, ..self }
    }

    /// Returns the delay after an answer with these headers, or after an
    /// error.
    fn delay(&mut self, headers: Option<&HeaderMap>) -> Duration {
        match headers.and_then(|headers| retry_after(headers, SystemTime::now())) {
            Some(asked) => Jitter::OF_REPEATS.spread(asked.max(self.min_delay).min(self.max_delay)),
            None => self.back_off(),
        }
    }

    fn back_off(&mut self) -> Duration {
        let max_delay = self.max_delay;
        let first = FIRST_DELAY.max(self.min_delay).min(max_delay);
        let backoff = self.backoff.get_or_insert_with(|| {
            let builder = ExponentialBuilder::new()
                .with_min_delay(first)
                .with_max_delay(max_delay)
                .with_jitter()
                .without_max_times();
            Box::new(builder.build())
        });
        backoff.next().unwrap_or(max_delay)
    }
}

impl Default for Resubmit {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for Resubmit {
    /// The clone restarts its backoff, and shares the budget.
    fn clone(&self) -> Self {
        Self {
            left: self.left,
            min_delay: self.min_delay,
            max_delay: self.max_delay,
            budget: self.budget.clone(),
            backoff: None,
        }
    }
}

impl<B: Clone, R, E> Policy<Request<B>, Response<R>, E> for Resubmit {
    type Future = Sleep;

    fn retry(&mut self, _: &mut Request<B>, result: &mut Result<Response<R>, E>) -> Option<Sleep> {
        let answer = result.as_ref().ok();
        if answer.is_some_and(|answer| !has_failed(answer)) {
            self.budget.deposit();
            return None;
        }
        let left = self.left.checked_sub(1)?;
        if !self.budget.withdraw() {
            return None;
        }
        self.left = left;
        Some(sleep(self.delay(answer.map(Response::headers))))
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        let has_key = request.headers().contains_key(IDEMPOTENCY_KEY);
        has_key.then(|| request.clone())
    }
}

/// Returns whether an answer has no job yet, and may be another one next time.
fn has_failed<R>(answer: &Response<R>) -> bool {
    is_failure(answer.status()) && !answer.headers().contains_key(JOB_STATUS)
}
