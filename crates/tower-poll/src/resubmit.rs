//! Sending a submission again that may have been lost.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use http::{HeaderMap, Request, Response};
use http_polling::{IDEMPOTENCY_KEY, JOB_STATUS, retry_after};
use tokio::time::{Sleep, sleep};
use tower::retry::{
    Policy,
    budget::{Budget, TpsBudget},
};

use crate::{policy::Jitter, statuses::is_failure};

type Backoff = <ExponentialBuilder as BackoffBuilder>::Backoff;

/// The first wait where the answer names none. The next are each twice as
/// long.
const FIRST_DELAY: Duration = Duration::from_millis(200);

/// Sends a request again that failed, if it carries an `Idempotency-Key`.
///
/// A connection that breaks after the request was sent leaves open whether
/// the work was accepted. With a key, a server that knows keys answers the
/// same request with the same job (draft-ietf-httpapi-idempotency-key-header),
/// so that a lost `303 See Other` loses nothing and nothing is done twice.
///
/// It is a [`Policy`] for [`RetryLayer`](tower::retry::RetryLayer), which
/// belongs right beneath [`PollLayer`](crate::PollLayer). What is sent again
/// is the request as it was: method, URI, version, headers, extensions and
/// body.
///
/// - Requests without the header are sent once, polls among them.
/// - Reasons are any error of the service, and 408, 429, 500, 502, 503 and
///   504. An answer with `Job-Status` is the job's own and is passed up.
/// - A request is sent again up to 3 [`times`](Self::retries), and within a
///   [`budget`](Self::budget) that all clones of the policy share.
/// - The wait before it is what the answer asks for (`Retry-After` or
///   `retry-after-ms`), from 100 ms ([`min_delay`](Self::min_delay)) to 60 s
///   ([`max_delay`](Self::max_delay)), and up to a fifth of it longer at
///   random. Where it asks for none: 200 ms, and
///   each time twice as long, up to the same limit, and up to twice that at
///   random.
///
/// When it gives up, the caller gets the last error or answer. Dropping the
/// call stops it. Waiting needs a tokio runtime with its timer.
///
/// ```
/// use http::{Request, Response};
/// use tower::{Service, ServiceBuilder, ServiceExt, retry::RetryLayer};
/// use tower_poll::{PollLayer, Resubmit};
/// # use http_body_util::Full;
/// # use bytes::Bytes;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_poll::Error> {
/// # let client = tower::service_fn(|_: Request<Full<Bytes>>| async {
/// #     Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
/// # });
/// let mut service = ServiceBuilder::new()
///     .layer(PollLayer::new().idempotency_keys(true))
///     .layer(RetryLayer::new(Resubmit::new()))
///     .service(client);
///
/// let request = Request::post("https://example.com/report")
///     .body(Full::<Bytes>::from("year=2031"))
///     .unwrap();
/// let response = service.ready().await?.call(request).await?;
/// # Ok(())
/// # }
/// ```
///
/// The body must be [`Clone`]. One that cannot be, such as a stream, could
/// not be sent again, and does not compile:
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
    budget: Arc<TpsBudget>,
    /// Made when it is first needed.
    backoff: Option<Box<Backoff>>,
}

impl Resubmit {
    /// With the defaults named at each method.
    pub fn new() -> Self {
        Self {
            left: 3,
            min_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(60),
            budget: Arc::default(),
            backoff: None,
        }
    }

    /// How many times a request is sent again at most. 3 by default.
    pub fn retries(self, retries: u32) -> Self {
        Self {
            left: retries,
            ..self
        }
    }

    /// The shortest wait before jitter, whatever the server asks for. 100 ms by
    /// default. The longest takes precedence, where it is less.
    pub fn min_delay(self, min_delay: Duration) -> Self {
        Self { min_delay, ..self }
    }

    /// The longest wait before jitter, whatever the server asks for. 60 s by
    /// default.
    pub fn max_delay(self, max_delay: Duration) -> Self {
        Self { max_delay, ..self }
    }

    /// What keeps a failing server from being sent many times the load:
    /// requests sent again are paid for by those that need not be. Clones of
    /// the policy share it, and so may several policies.
    ///
    /// By default one of its own, as [`TpsBudget::default`] has it: one
    /// repetition for every five requests with a key that came through within
    /// 10 s, and 10 per second beside.
    pub fn budget(self, budget: Arc<TpsBudget>) -> Self {
        Self { budget, ..self }
    }

    /// How long to wait after an answer with these headers, or after an error.
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
    /// The clone starts its backoff anew, and shares the budget.
    fn clone(&self) -> Self {
        Self {
            left: self.left,
            min_delay: self.min_delay,
            max_delay: self.max_delay,
            budget: Arc::clone(&self.budget),
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

/// Whether an answer comes from before there was a job, and may be another
/// one next time.
fn has_failed<R>(answer: &Response<R>) -> bool {
    is_failure(answer.status()) && !answer.headers().contains_key(JOB_STATUS)
}
