use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use http_polling::{ProblemType, RequestHead};
use tower::{BoxError, Service};
use tower_async_job_core::{Principal, Protocol};

use crate::{
    answer::{self, Answer},
    body::{JobBody, ResponseBody},
    bounds::{HandlerBody, HandlerService, RequestBody},
    call::{inline::Inline, kept, keyed},
    config::{Config, Role, policy::Policy},
    context::{handler::HandlerContext, job::JobContext},
    future::ResponseFuture,
    node::{front::Front, housekeeping::keep_shared_house},
    panics::Panicked,
    request::{
        glance::Glance,
        submission::{Asked, Submission, cancel_at, refuses_length},
    },
    resource::{
        own_jobs::{self, OwnJobs},
        request::{self, ResourceRequest},
    },
    run::work::{Call, NewCall},
};

/// The service that [`AsyncJobLayer`](crate::AsyncJobLayer) creates.
///
/// It is always ready: it awaits the inner service's readiness inside the call, so that polls and
/// cancellations are answered while the inner service is busy.
///
/// ```
/// use tower::Layer;
/// use tower_async_job::{AsyncJob, AsyncJobLayer};
///
/// let service: AsyncJob<&str> = AsyncJobLayer::new().layer("any service");
/// assert_eq!(*service.get_ref(), "any service");
/// ```
#[derive(Clone)]
pub struct AsyncJob<S> {
    inner: S,
    front: Arc<Front>,
}

impl<S> AsyncJob<S> {
    pub(crate) fn new(inner: S, front: Arc<Front>) -> Self {
        Self { inner, front }
    }

    /// Returns a reference to the wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the wrapped service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the wrapped service.
    pub fn into_inner(self) -> S {
        self.inner
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
        let front = &self.front;
        keep_shared_house(&front.node);
        if front.config.lists_own_jobs
            && let Some(list) = self.list_own_jobs(&request)
        {
            return ResponseFuture::answer(list);
        }
        if let Some(path) = request::below(&front.config.base, request.uri().path()) {
            return match ResourceRequest::new(&front.config, &request, path) {
                Ok(request) => ResponseFuture::resource(front.clone(), request),
                Err(Panicked) => ResponseFuture::refused(answer::panicked(Protocol::Http)),
            };
        }
        // An outer layer has taken the request.
        if JobContext::is_in(request.extensions()) {
            return self.pass(request);
        }
        let panicked = |protocol| ResponseFuture::refused(answer::panicked(protocol));
        let glance = Glance::at(request.headers());
        // The predicate comes first, since it is cheapest if it does not read the headers.
        let Ok(defers) = front.config.defers(RequestHead::of(&request)) else {
            return panicked(protocol_of(&request));
        };
        if !defers && !glance.is_governed() && !front.governs_all() {
            return self.pass(request);
        }
        let Ok(chosen) = front.config.policy_of(RequestHead::of(&request)) else {
            return panicked(protocol_of(&request));
        };
        let policy = front.config.policy(chosen.as_ref());
        let mut asked = front.config.asked(&request, glance, defers, policy);
        let protocol = asked.protocol;
        let refused = |problem| {
            ResponseFuture::refused(answer::refusal(&front.node.meter, problem, protocol))
        };
        match cancel_at(request.headers(), protocol, glance) {
            Ok(cancel_at) => {
                asked.cancel_at = cancel_at;
                asked.cap_wait(&front.config);
            }
            Err(_) => return refused(ProblemType::RequestInvalid),
        }
        let keyed = glance.idempotency_key && takes_key(request.method(), protocol);
        let may_be_job = asked.deferrable || keyed;
        let governs_all = front.is_limited() || policy.job_deadline.is_some();
        if !may_be_job && asked.cancel_at.is_none() && !governs_all {
            return self.pass(request);
        }
        if may_be_job && refuses_length(policy, request.headers()) {
            return refused(ProblemType::RequestTooLarge);
        }
        let Ok(principal) = front.config.principal_of(RequestHead::of(&request)) else {
            return panicked(protocol);
        };
        if may_be_job {
            let Ok(replays) = front.config.replays(RequestHead::of(&request), policy) else {
                return panicked(protocol);
            };
            asked.replayable = replays;
            if !replays && front.config.refuses_local() {
                return refused(ProblemType::CapacityExhausted);
            }
        }
        if may_be_job
            && let Some(problem) = front.config.refuses_names(&request, principal.as_ref())
        {
            return refused(problem);
        }
        if may_be_job && front.config.notification.is_some() {
            match front.config.note(&mut request) {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => {
                    let refusal = answer::invalid(&front.node.meter, reason, protocol);
                    return ResponseFuture::refused(refusal);
                }
                Err(Panicked) => return panicked(protocol),
            }
        }
        if keyed || asked.replayable {
            return self.call_whole(request, asked, principal, chosen, keyed);
        }
        let route = || front.config.route_of(&front.route_names, &request);
        if asked.deferrable
            && let Err(error) = front.refuse_without_room(route)
        {
            return ResponseFuture::refused(answer::not_stored(
                &front.node.meter,
                &error,
                protocol,
            ));
        }
        let admission = if asked.deferrable {
            front.admit(principal.as_ref())
        } else {
            front.place(principal.as_ref())
        };
        let admission = match admission {
            Ok(admission) => admission,
            Err(no_place) => {
                return ResponseFuture::refused(answer::no_place(
                    &front.node.meter,
                    no_place,
                    protocol,
                    request.version(),
                ));
            }
        };
        if admission.is_some() {
            mark(&front.config, &mut request);
        }
        let call = NewCall {
            service: self.inner.clone(),
            request,
            admission,
        };
        ResponseFuture::inline(Inline::new(front.clone(), call, asked, principal, chosen))
    }
}

impl<S> AsyncJob<S> {
    /// Answers a request for the list of the caller's own jobs. It stands apart, since few servers
    /// have one.
    #[cold]
    #[inline(never)]
    fn list_own_jobs<B>(&self, request: &Request<B>) -> Option<Answer> {
        let config = &self.front.config;
        OwnJobs::are_at_base(config, request.uri().path())
            .then(|| own_jobs::answer(self.front.clone(), OwnJobs::new(config, request)))
    }

    /// Answers a request that is read to its end before its handler is called: it has a key, or is
    /// stored with its job. It stands apart, so that other calls need no memory for it.
    #[cold]
    #[inline(never)]
    fn call_whole<B, R>(
        &self,
        mut request: Request<B>,
        asked: Asked,
        principal: Option<Principal>,
        chosen: Option<Arc<Policy>>,
        keyed: bool,
    ) -> ResponseFuture<S, B, R>
    where
        S: HandlerService<B, R> + Clone,
        B: RequestBody,
        R: HandlerBody,
    {
        let config = &self.front.config;
        mark(config, &mut request);
        if asked.replayable
            && let Some(principal) = &principal
        {
            request.extensions_mut().insert(principal.clone());
        }
        let context = config.context.then(|| HandlerContext::new(1));
        let context_of = context.as_deref();
        let submission = Submission::of(config, &mut request, asked, principal, chosen, context_of);
        let Ok(submission) = submission else {
            return ResponseFuture::refused(answer::panicked(asked.protocol));
        };
        let (front, service) = (self.front.clone(), self.inner.clone());
        if keyed || config.role == Role::Front {
            let answer = keyed::submit(front, service, request, submission, context, keyed);
            return ResponseFuture::answer(answer);
        }
        let reading = kept::read(front, service, request, submission, context);
        ResponseFuture::reading(reading)
    }
}

/// Marks a request for layers within.
fn mark<B>(config: &Config, request: &mut Request<B>) {
    if !config.context {
        request.extensions_mut().insert(JobContext::inert());
    }
}

fn protocol_of<B>(request: &Request<B>) -> Protocol {
    match RequestHead::of(request).is_grpc() {
        true => Protocol::Grpc,
        false => Protocol::Http,
    }
}

impl<S: Clone> AsyncJob<S> {
    fn pass<B, R>(&self, request: Request<B>) -> ResponseFuture<S, B, R>
    where
        S: Service<Request<JobBody<B>>>,
        B: Body,
    {
        let request = request.map(JobBody::new);
        // No task can be woken yet; readiness is polled again within the future.
        let mut cx = Context::from_waker(Waker::noop());
        ResponseFuture::bypass(Call::new(self.inner.clone(), request, &mut cx))
    }
}

/// Returns whether an Idempotency-Key counts. A safe method needs none. The body of a gRPC call or
/// a tunnel may be a conversation, which must not be read to its end first.
fn takes_key(method: &Method, protocol: Protocol) -> bool {
    protocol == Protocol::Http && !method.is_safe() && *method != Method::CONNECT
}

impl<S: fmt::Debug> fmt::Debug for AsyncJob<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncJob")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
