use std::{
    borrow::Cow,
    fmt,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Version, header::CONTENT_LENGTH};
use http_body::Body;
use http_polling::{
    GRPC_TIMEOUT, InvalidCancelAfter, Prefer, ProblemType, RequestHead, cancel_after, grpc_timeout,
};
use smallvec::SmallVec;
use tokio::time::Instant;
use tower::{BoxError, Service};
use tower_async_job_core::{JobId, NewJob, Principal, Protocol};

use crate::{
    answer,
    body::{JobBody, ResponseBody},
    closing,
    config::{Config, PendingStatus},
    context::JobContext,
    future::ResponseFuture,
    glance::{self, Glance},
    idempotency,
    inline::Inline,
    page,
    resource::{self, ResourceRequest},
    route_names::RouteNames,
    shared::{Shared, later},
    work::{Call, Submitted},
};

/// The service that [`AsyncJobLayer`](crate::AsyncJobLayer) makes.
///
/// It is always ready: the inner service's readiness is awaited inside the call, so that polls and
/// cancellations are answered while the inner service is busy.
///
/// ```
/// use tower::Layer;
/// use tower_async_job::{AsyncJob, AsyncJobLayer};
///
/// let service: AsyncJob<&str> = AsyncJobLayer::new().layer("any service");
/// assert_eq!(*service.inner(), "any service");
/// ```
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
    /// Where a function for it is set.
    route: Option<Arc<str>>,
    pub(crate) principal: Option<Principal>,
}

/// What its client prefers and speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// Whether it may become a job. If not, its preferences are the handler's.
    pub(crate) deferrable: bool,
    pub(crate) prefer: Prefer,
    pub(crate) protocol: Protocol,
    /// Whether it asks for another protocol on its connection.
    pub(crate) upgrade: bool,
    /// Whether it is CONNECT.
    pub(crate) tunnel: bool,
    /// Whether a browser asks that is to be led to the page, where others get a 202.
    pub(crate) page: bool,
    pub(crate) may_close: bool,
    /// When the work is to be given up.
    cancel_at: Option<Instant>,
}

impl Submission {
    /// Remembers a request, and makes it ready for its handler.
    #[inline]
    pub(crate) fn of<B>(
        config: &Config,
        request: &mut Request<B>,
        asked: Asked,
        principal: Option<Principal>,
        context: Option<&JobContext>,
    ) -> Self {
        if !asked.prefer.is_empty() {
            let _ = Prefer::take(request.headers_mut());
        }
        let route = config.route.as_ref();
        let route = route.map(|route| route(RequestHead::of(request)));
        if let Some(context) = context {
            request.extensions_mut().insert(context.clone());
        }
        Self {
            method: request.method().clone(),
            path: SmallVec::from_slice(request.uri().path().as_bytes()),
            asked,
            route,
            principal,
        }
    }

    /// What the job's Retry-After is learned by.
    pub(crate) fn route(&self, routes: &RouteNames) -> Arc<str> {
        self.route.clone().unwrap_or_else(|| {
            let mut route: SmallVec<[u8; 128]> = SmallVec::new();
            route.extend_from_slice(self.method.as_str().as_bytes());
            route.push(b' ');
            route.extend_from_slice(&self.path);
            routes.share(&route)
        })
    }

    /// The route, where a function for it is set.
    #[cfg_attr(
        not(feature = "metrics"),
        allow(dead_code, reason = "a metric's label")
    )]
    pub(crate) fn named_route(&self) -> Option<&Arc<str>> {
        self.route.as_ref()
    }

    /// The path, if it is not to be had from the route.
    pub(crate) fn target(&self) -> Option<Box<str>> {
        self.route.as_ref().map(|_| self.path().into())
    }

    pub(crate) fn path(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.path)
    }

    /// How long the work may take from now.
    pub(crate) fn deadline(&self, config: &Config) -> Duration {
        let left = self
            .asked
            .cancel_at
            .map(|at| at.saturating_duration_since(Instant::now()));
        left.map_or(config.job_deadline, |left| left.min(config.job_deadline))
    }

    /// How long the handler may take before the request becomes a job (RFC 7240, sections 4.1 and
    /// 4.3: `respond-async, wait=10` asks for up to ten seconds inline first).
    pub(crate) fn inline_wait(&self, config: &Config) -> Duration {
        if !self.asked.deferrable {
            return Duration::MAX;
        }
        let prefer = &self.asked.prefer;
        let wait = match prefer.wait() {
            Some(wait) => wait.min(config.max_inline_wait),
            None if prefer.respond_async() => Duration::ZERO,
            None => config.inline_wait,
        };
        // Past its deadline the work is a job that times out.
        self.asked
            .cancel_at
            .map_or(wait, |_| wait.min(self.deadline(config)))
    }

    pub(crate) fn new_job(&self, shared: &Shared, queued: bool) -> NewJob {
        let config = &shared.config;
        let mut job = NewJob::new(JobId::random());
        job.route = self.route(&shared.route_names);
        job.protocol = self.asked.protocol;
        job.principal = self.principal.clone();
        job.running = !queued;
        job.deadline = self.deadline(config);
        job.retention = config.retention;
        job
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
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let shared = &self.shared;
        if let Some(path) = resource::below(&shared.config.base, request.uri().path()) {
            let request = ResourceRequest::new(&shared.config, &request, path);
            return ResponseFuture::resource(shared.clone(), request);
        }
        let (mut asked, glance) = shared.config.asked(&request);
        let protocol = asked.protocol;
        let refused = |problem| ResponseFuture::refused(answer::refusal(problem, protocol));
        match cancel_at(request.headers(), protocol, glance) {
            Ok(cancel_at) => asked.cancel_at = cancel_at,
            Err(_) => return refused(ProblemType::RequestInvalid),
        }
        let keyed = glance.idempotency_key && takes_key(request.method(), protocol);
        let may_be_job = asked.deferrable || keyed;
        if !may_be_job && asked.cancel_at.is_none() && !shared.is_limited() {
            let request = request.map(JobBody::new);
            // There is no task yet that could be woken; who is not ready is asked again in it.
            let mut nobody = Context::from_waker(Waker::noop());
            return ResponseFuture::bypass(Call::new(self.inner.clone(), request, &mut nobody));
        }
        if may_be_job && shared.config.refuses_length(request.headers()) {
            return refused(ProblemType::RequestTooLarge);
        }
        let principal = shared.config.principal_of(RequestHead::of(&request));
        if keyed {
            let context = shared.config.context.then(JobContext::new);
            let (config, context_of) = (&shared.config, context.as_ref());
            let submission = Submission::of(config, &mut request, asked, principal, context_of);
            let (shared, service) = (shared.clone(), self.inner.clone());
            let answer = idempotency::submit(shared, service, request, submission, context);
            return ResponseFuture::answer(answer);
        }
        let admission = if asked.deferrable {
            shared.admit(principal.as_ref())
        } else {
            shared.place(principal.as_ref())
        };
        let admission = match admission {
            Ok(admission) => admission,
            Err(no_place) => {
                return ResponseFuture::refused(answer::no_place(no_place, protocol));
            }
        };
        let call = Submitted {
            service: self.inner.clone(),
            request,
            admission,
        };
        ResponseFuture::inline(Inline::new(shared.clone(), call, asked, principal))
    }
}

/// Returns whether an Idempotency-Key counts. A safe method needs none; the body of a gRPC call or a tunnel
/// may be a conversation, which is not to be read to its end first.
fn takes_key(method: &Method, protocol: Protocol) -> bool {
    protocol == Protocol::Http && !method.is_safe() && *method != Method::CONNECT
}

/// When the client wants the work to be given up.
fn cancel_at(
    headers: &HeaderMap,
    protocol: Protocol,
    glance: Glance,
) -> Result<Option<Instant>, InvalidCancelAfter> {
    let asked = match protocol {
        Protocol::Grpc if glance.grpc_timeout => headers.get(GRPC_TIMEOUT).and_then(grpc_timeout),
        Protocol::Http if glance.cancel_after => cancel_after(headers)?,
        _ => None,
    };
    Ok(asked.map(later))
}

impl<S: fmt::Debug> fmt::Debug for AsyncJob<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncJob")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl Config {
    pub(crate) fn principal_of(&self, head: RequestHead<'_>) -> Option<Principal> {
        self.principal.as_ref().and_then(|find| find(head))
    }

    /// Returns the client's preferences and protocol, and whether the request may be deferred at all.
    fn asked<B>(&self, request: &Request<B>) -> (Asked, Glance) {
        let head = RequestHead::of(request);
        let glance = Glance::at(head.headers);
        let is_grpc = glance.grpc && head.is_grpc();
        let upgrade = glance.upgrade
            && request.version() == Version::HTTP_11
            && glance::is_upgrade(head.headers);
        let prefer = if glance.prefer {
            Prefer::from_headers(head.headers)
        } else {
            Prefer::new()
        };
        let never = matches!(
            *head.method,
            Method::HEAD | Method::OPTIONS | Method::TRACE | Method::CONNECT
        );
        let must_ask = is_grpc || self.only_when_asked;
        let deferrable = !(never || upgrade || glance.event_stream)
            && (!must_ask || prefer.respond_async())
            && self.predicate.as_ref().is_none_or(|defer| defer(head));
        let page = deferrable
            && self.page
            && self.pending_status == PendingStatus::Accepted
            && page::is_preferred(head.headers);
        let asked = Asked {
            deferrable,
            prefer: if deferrable { prefer } else { Prefer::new() },
            protocol: if is_grpc {
                Protocol::Grpc
            } else {
                Protocol::Http
            },
            upgrade,
            tunnel: matches!(*head.method, Method::CONNECT),
            page,
            may_close: !page && closing::may_close(request.version(), glance.proxied),
            cancel_at: None,
        };
        (asked, glance)
    }

    fn refuses_length(&self, headers: &HeaderMap) -> bool {
        self.refuse_large_requests
            && headers
                .get(CONTENT_LENGTH)
                .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
                .is_some_and(|length| length > self.request_spool as u64)
    }
}
