//! Submissions: the requests that may become jobs.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Version, header::CONTENT_LENGTH};
use http_polling::{
    GRPC_TIMEOUT, InvalidCancelAfter, Prefer, ProblemType, RequestHead, cancel_after, grpc_timeout,
};
use smallvec::SmallVec;
use tokio::time::Instant;
use tower_async_job_core::{PendingStatus, Principal, Protocol};

use crate::{
    config::{Config, Role, policy::Policy},
    context::job::JobContext,
    panics::{self, Panicked},
    request::{
        accept, closing,
        glance::{self, Glance},
        kept::Kept,
        route_names::{LONGEST, RouteNames},
    },
    shorten::shorten,
    time::later,
};

/// The parts of a request that its job needs.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) method: Method,
    /// A copy, since the first clone of a URI may allocate, and each keeps the buffer of the whole
    /// head alive.
    pub(crate) path: SmallVec<[u8; 64]>,
    pub(crate) asked: Asked,
    /// `None` without a function for routes.
    route: Option<Arc<str>>,
    pub(crate) principal: Option<Principal>,
    /// `None` for the default policy.
    pub(crate) policy: Option<Arc<Policy>>,
    /// The request as it is stored with the job, if it can be replayed.
    pub(crate) kept: Option<Box<Kept>>,
    /// The notification of its job's end.
    pub(crate) notify: Option<Bytes>,
}

/// The notification of a request, in its extensions until its submission takes it.
#[derive(Clone)]
struct Noted(Bytes);

/// The client's preferences, and the properties of its request and connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// False if it cannot become a job; its preferences are then left to the handler.
    pub(crate) deferrable: bool,
    /// Its wait is already capped.
    pub(crate) prefer: Prefer,
    pub(crate) protocol: Protocol,
    /// The request asks to change its connection's protocol.
    pub(crate) upgrade: bool,
    pub(crate) tunnel: bool,
    /// A browser that is redirected to the page, while other clients get 202.
    pub(crate) page: bool,
    pub(crate) may_close: bool,
    /// The client's own deadline.
    pub(crate) cancel_at: Option<Instant>,
    /// Its request is to be stored with its job.
    pub(crate) replayable: bool,
}

impl Asked {
    /// Caps the wait that the client asks for by the server's limit and by the client's own
    /// deadline.
    #[inline]
    pub(crate) fn cap_wait(&mut self, config: &Config) {
        if let Some(wait) = self.prefer.wait() {
            let left = self.left().unwrap_or(Duration::MAX);
            self.prefer = (self.prefer).with_wait(wait.min(config.max_inline_wait).min(left));
        }
    }

    /// Returns the time from now that the work may take.
    pub(crate) fn deadline(&self, policy: &Policy) -> Duration {
        let deadline = policy.deadline();
        self.left().map_or(deadline, |left| left.min(deadline))
    }

    /// Returns the time until the client's own deadline.
    fn left(&self) -> Option<Duration> {
        let at = self.cancel_at?;
        Some(at.saturating_duration_since(Instant::now()))
    }
}

impl Submission {
    pub(crate) fn prepare<B>(
        request: &mut Request<B>,
        asked: &Asked,
        context: Option<&JobContext>,
    ) {
        if !asked.prefer.is_empty() {
            let _ = Prefer::take(request.headers_mut());
        }
        if let Some(context) = context {
            request.extensions_mut().insert(context.clone());
        }
    }

    /// Prepares a request for its handler, and copies what its job needs.
    #[inline]
    pub(crate) fn of<B>(
        config: &Config,
        request: &mut Request<B>,
        asked: Asked,
        principal: Option<Principal>,
        policy: Option<Arc<Policy>>,
        context: Option<&JobContext>,
    ) -> Result<Self, Panicked> {
        Self::prepare(request, &asked, context);
        let route = config.route.as_ref().map(|route| {
            let head = RequestHead::of(request);
            panics::catching("the function for routes", || short(route(head)))
        });
        Ok(Self {
            method: request.method().clone(),
            path: SmallVec::from_slice(request.uri().path().as_bytes()),
            asked,
            route: route.transpose()?,
            principal,
            policy,
            kept: None,
            notify: (config.notification.as_ref())
                .and_then(|_| request.extensions_mut().remove::<Noted>())
                .map(|Noted(notify)| notify),
        })
    }

    #[inline]
    pub(crate) fn policy<'a>(&'a self, config: &'a Config) -> &'a Policy {
        config.policy(self.policy.as_ref())
    }

    /// Returns the route by which the job's Retry-After is learned.
    pub(crate) fn route(&self, routes: &RouteNames) -> Arc<str> {
        let route = self.route.clone();
        route.unwrap_or_else(|| usual_route(routes, &self.method, &self.path))
    }

    /// Returns the route that the application's function has named.
    #[cfg_attr(
        not(feature = "metrics"),
        allow(dead_code, reason = "a metric's label")
    )]
    pub(crate) fn named_route(&self) -> Option<&Arc<str>> {
        self.route.as_ref()
    }

    /// Returns whether the job is offered to all workers.
    pub(crate) fn is_offered(&self, config: &Config) -> bool {
        self.asked.replayable && self.kept.is_some() && config.role == Role::Front
    }

    /// Returns the path, unless the route contains it.
    pub(crate) fn target(&self) -> Option<Box<str>> {
        self.keeps_path().then(|| self.path().into())
    }

    pub(crate) fn keeps_path(&self) -> bool {
        let usual = self.method.as_str().len() + 1 + self.path.len();
        self.route.is_some() || usual > LONGEST
    }

    pub(crate) fn path(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.path)
    }

    /// Returns the time from now that the work may take.
    pub(crate) fn deadline(&self, config: &Config) -> Duration {
        self.asked.deadline(self.policy(config))
    }

    /// Returns the time that the handler may take before the request becomes a job. `respond-async,
    /// wait=10` asks for up to ten seconds inline first (RFC 7240, sections 4.1 and 4.3).
    pub(crate) fn inline_wait(&self, config: &Config) -> Duration {
        if !self.asked.deferrable {
            return Duration::MAX;
        }
        let prefer = &self.asked.prefer;
        let wait = match prefer.wait() {
            // Whole seconds, so possibly up to a second above the cap.
            Some(wait) => wait.min(config.max_inline_wait),
            None if prefer.respond_async() => Duration::ZERO,
            None => self.policy(config).inline_wait,
        };
        // After its deadline, the work becomes a job that times out.
        self.asked
            .cancel_at
            .map_or(wait, |_| wait.min(self.deadline(config)))
    }
}

/// Returns whether a request is refused for its Content-Length.
pub(crate) fn refuses_length(policy: &Policy, headers: &HeaderMap) -> bool {
    policy.refuse_large_requests
        && headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
            .is_some_and(|length| length > policy.request_spool as u64)
}

/// Returns the default route: method and path.
fn usual_route(routes: &RouteNames, method: &Method, path: &[u8]) -> Arc<str> {
    let mut route: SmallVec<[u8; 128]> = SmallVec::new();
    route.extend_from_slice(method.as_str().as_bytes());
    route.push(b' ');
    route.extend_from_slice(path);
    routes.share(&route)
}

/// Cuts a long route of the application.
fn short(route: Arc<str>) -> Arc<str> {
    match shorten(&route, LONGEST) {
        cut if cut.len() < route.len() => cut.into(),
        _ => route,
    }
}

/// Returns the client's own deadline.
pub(crate) fn cancel_at(
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

impl Config {
    /// Returns the policy that the application's function chooses, if any.
    #[inline]
    pub(crate) fn policy_of(&self, head: RequestHead<'_>) -> Result<Option<Arc<Policy>>, Panicked> {
        let choose = self.policies.as_ref();
        choose.map_or(Ok(None), |choose| {
            panics::catching("the function for policies", || choose(head)).map(Some)
        })
    }

    /// Notes the notification of a request's job in its extensions. The inner error is the reason why the
    /// request is refused.
    #[cold]
    pub(crate) fn note<B>(&self, request: &mut Request<B>) -> Result<Result<(), String>, Panicked> {
        let Some(find) = &self.notification else {
            return Ok(Ok(()));
        };
        let head = RequestHead::of(request);
        let found = panics::catching("the function for notifications", || find(head))?;
        Ok(found.map(|notify| {
            if let Some(notify) = notify {
                request.extensions_mut().insert(Noted(notify));
            }
        }))
    }

    #[inline]
    pub(crate) fn principal_of(
        &self,
        head: RequestHead<'_>,
    ) -> Result<Option<Principal>, Panicked> {
        let find = self.principal.as_ref();
        find.map_or(Ok(None), |find| {
            panics::catching("the function for principals", || find(head))
        })
    }

    /// Returns whether a request may be deferred according to its method and the application's
    /// predicate.
    pub(crate) fn defers(&self, head: RequestHead<'_>) -> Result<bool, Panicked> {
        let never = matches!(
            *head.method,
            Method::HEAD | Method::OPTIONS | Method::TRACE | Method::CONNECT
        ) || self.role == Role::Worker;
        match &self.predicate {
            Some(defer) if !never => {
                panics::catching("the predicate for deferring", || defer(head))
            }
            _ => Ok(!never),
        }
    }

    /// Returns whether a request can be replayed, by its policy or the application's predicate.
    #[inline]
    pub(crate) fn replays(&self, head: RequestHead<'_>, policy: &Policy) -> Result<bool, Panicked> {
        match &self.replay {
            Some(replay) if !policy.replay => {
                panics::catching("the predicate for replaying", || replay(head))
            }
            _ => Ok(policy.replay),
        }
    }

    /// Reads the client's preferences and protocol, and whether the request may be deferred.
    pub(crate) fn asked<B>(
        &self,
        request: &Request<B>,
        glance: Glance,
        defers: bool,
        policy: &Policy,
    ) -> Asked {
        let head = RequestHead::of(request);
        let is_grpc = glance.grpc && head.is_grpc();
        let upgrade = glance.upgrade
            && request.version() == Version::HTTP_11
            && glance::is_upgrade(head.headers);
        let prefer = if glance.prefer {
            Prefer::from_headers(head.headers)
        } else {
            Prefer::new()
        };
        let must_ask = is_grpc || self.only_when_asked;
        let deferrable =
            defers && !(upgrade || glance.event_stream) && (!must_ask || prefer.respond_async());
        let page = deferrable
            && self.page
            && policy.pending_status == PendingStatus::Accepted
            && accept::wants_page(head.headers);
        Asked {
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
            replayable: false,
        }
    }

    /// Returns the refusal of a request with too long a path or principal.
    pub(crate) fn refuses_names<B>(
        &self,
        request: &Request<B>,
        principal: Option<&Principal>,
    ) -> Option<ProblemType> {
        if request.uri().path().len() > self.path_limit {
            return Some(ProblemType::TargetTooLong);
        }
        let principal = principal.filter(|principal| self.is_too_long(principal))?;
        let (size, limit) = (principal.as_str().len(), self.principal_limit);
        tracing::warn!(size, limit, "a principal is longer than `principal_limit`");
        Some(ProblemType::RequestInvalid)
    }

    pub(crate) fn is_too_long(&self, principal: &Principal) -> bool {
        principal.as_str().len() > self.principal_limit
    }

    /// Returns the route by which the Retry-After of a job of this request is learned.
    pub(crate) fn route_of<B>(&self, routes: &RouteNames, request: &Request<B>) -> Arc<str> {
        match &self.route {
            Some(route) => short(route(RequestHead::of(request))),
            None => usual_route(routes, request.method(), request.uri().path().as_bytes()),
        }
    }
}
