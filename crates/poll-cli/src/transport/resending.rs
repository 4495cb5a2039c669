//! Repeats of submissions that may have been lost.

use http::{Method, Request, Response};
use http_polling::IDEMPOTENCY_KEY;
use tokio::time::Sleep;
use tower::retry::Policy;
use tower_poll::Resubmit;

use crate::exchange::Submission;

/// The policy that repeats submissions: [`Resubmit`], extended to safe and
/// idempotent methods. Polls are repeated by the polling layer.
#[derive(Clone, Debug)]
pub(super) struct Resending(Resubmit);

impl Resending {
    pub(super) fn new(retries: u32) -> Self {
        Self(Resubmit::new().retries(retries))
    }
}

impl<B: Clone, R, E> Policy<Request<B>, Response<R>, E> for Resending {
    type Future = Sleep;

    fn retry(
        &mut self,
        request: &mut Request<B>,
        result: &mut Result<Response<R>, E>,
    ) -> Option<Sleep> {
        self.0.retry(request, result)
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        let is_submission = request.extensions().get::<Submission>().is_some();
        (is_submission && may_be_repeated(request)).then(|| request.clone())
    }
}

/// Returns whether a request is safe to repeat (RFC 9110, section 9.2.2).
pub(crate) fn may_be_repeated<B>(request: &Request<B>) -> bool {
    let methods = [
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
        Method::PUT,
        Method::DELETE,
    ];
    methods.contains(request.method()) || request.headers().contains_key(IDEMPOTENCY_KEY)
}
