use std::{
    borrow::Cow,
    fmt,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, Method, Request, Response,
    header::{CONTENT_LENGTH, UPGRADE},
};
use http_body::Body;
use http_polling::{Prefer, ProblemType, RequestHead};
use smallvec::SmallVec;
use tower::{BoxError, Service};
use tower_async_job_core::Protocol;

use crate::{
    answer,
    body::{JobBody, ResponseBody},
    context::JobContext,
    future::ResponseFuture,
    inline::Inline,
    resource::{self, ResourceRequest},
    shared::Shared,
    work::{Call, Submitted},
};

/// The service that [`AsyncJobLayer`](crate::AsyncJobLayer) makes.
///
/// It is always ready: the inner service's readiness is awaited inside the call, so that polls and
/// cancellations are answered while the inner service is busy.
#[derive(Clone)]
pub struct AsyncJob<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> AsyncJob<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }

    /// The wrapped service.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

/// What the layer remembers of a request that may become a job.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) method: Method,
    /// Copied, since the first clone of a URI may allocate, and each keeps the buffer alive that
    /// the whole head was read into.
    path: SmallVec<[u8; 64]>,
    pub(crate) asked: Asked,
}

/// What its client prefers and speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) prefer: Prefer,
    pub(crate) protocol: Protocol,
}

impl Submission {
    /// Remembers a request, and makes it ready for its handler.
    #[inline]
    pub(crate) fn of<B>(
        request: &mut Request<B>,
        asked: Asked,
        context: Option<&JobContext>,
    ) -> Self {
        if !asked.prefer.is_empty() {
            let _ = Prefer::take(request.headers_mut());
        }
        if let Some(context) = context {
            request.extensions_mut().insert(context.clone());
        }
        Self {
            method: request.method().clone(),
            path: SmallVec::from_slice(request.uri().path().as_bytes()),
            asked,
        }
    }

    pub(crate) fn path(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.path)
    }
}

impl<S, B, R> Service<Request<B>> for AsyncJob<S>
where
    S: Service<Request<JobBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = &self.shared;
        if let Some(path) = resource::below(&shared.config.base, request.uri().path()) {
            let request = ResourceRequest::new(&request, path);
            return ResponseFuture::resource(resource::answer(shared.clone(), request));
        }
        let Some(asked) = shared.config.may_defer(&request) else {
            let request = request.map(JobBody::new);
            // There is no task yet that could be woken; who is not ready is asked again in it.
            let mut nobody = Context::from_waker(Waker::noop());
            return ResponseFuture::bypass(Call::new(self.inner.clone(), request, &mut nobody));
        };
        let refused = |problem| ResponseFuture::refused(answer::refusal(problem, asked.protocol));
        if shared.config.refuses_length(request.headers()) {
            return refused(ProblemType::RequestTooLarge);
        }
        let Some(admission) = shared.admit() else {
            return refused(ProblemType::CapacityExhausted);
        };
        let call = Submitted {
            service: self.inner.clone(),
            request,
            admission,
        };
        ResponseFuture::inline(Inline::new(shared.clone(), call, asked))
    }
}

impl<S: fmt::Debug> fmt::Debug for AsyncJob<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncJob")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl crate::config::Config {
    /// What the client prefers and speaks, if the request may be deferred at all.
    fn may_defer<B>(&self, request: &Request<B>) -> Option<Asked> {
        let head = RequestHead::of(request);
        let never = matches!(
            *head.method,
            Method::HEAD | Method::OPTIONS | Method::TRACE | Method::CONNECT
        );
        // The predicate goes first, since it costs least where it does not look at the headers.
        if never
            || self.predicate.as_ref().is_some_and(|defer| !defer(head))
            || head.headers.contains_key(UPGRADE)
        {
            return None;
        }
        let prefer = if head.headers.is_empty() {
            Prefer::new()
        } else {
            Prefer::from_headers(head.headers)
        };
        let (protocol, must_ask) = if head.is_grpc() {
            (Protocol::Grpc, true)
        } else {
            (Protocol::Http, self.only_when_asked)
        };
        (prefer.respond_async() || !must_ask).then_some(Asked { prefer, protocol })
    }

    fn refuses_length(&self, headers: &HeaderMap) -> bool {
        self.refuse_large_requests
            && headers
                .get(CONTENT_LENGTH)
                .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
                .is_some_and(|length| length > self.request_spool as u64)
    }

    /// How long the handler may take before the request becomes a job (RFC 7240, sections 4.1 and
    /// 4.3: `respond-async, wait=10` asks for up to ten seconds inline first).
    pub(crate) fn inline_wait(&self, prefer: &Prefer) -> Duration {
        match prefer.wait() {
            Some(wait) => wait.min(self.max_inline_wait),
            None if prefer.respond_async() => Duration::ZERO,
            None => self.inline_wait,
        }
    }
}
