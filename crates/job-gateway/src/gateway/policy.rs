//! The terms of a request's job.

use std::{sync::Arc, time::Duration};

use http::{
    Extensions, HeaderName, Method, Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, COOKIE, UPGRADE},
};
use http_polling::{IDEMPOTENCY_KEY, Prefer, RequestHead};
use tower_async_job::{Policy, store::Retention};

use crate::{
    config::{Credentials, Replay, Route},
    observe::metrics::count_unreplayable,
    proxy::{self, Target},
};

/// Returns the terms of a route's jobs, whose uploads may stall for a time.
pub(super) fn of(route: &Route, body_timeout: Duration) -> Policy {
    let mut policy = Policy::default();
    policy.inline_wait = route.inline_wait;
    policy.pending_status = route.pending_status;
    policy.request_spool = route.request_spool;
    policy.result_limit = route.result_limit;
    policy.retention = Retention::new(route.retention, policy.retention.tombstone);
    policy.job_deadline = Some(route.deadline);
    policy.max_attempts = route.max_attempts;
    policy.request_read_timeout = body_timeout;
    policy.request_read_deadline = route.deadline;
    policy
}

/// Returns the terms of a job whose request is stored, or its head alone: with all of its fields that
/// are sent on, except for credentials that are not to be stored.
pub(super) fn storing<B>(
    of_route: &Policy,
    route: &Route,
    request: &Request<B>,
    replayable: bool,
) -> Arc<Policy> {
    let mut policy = of_route.clone();
    (policy.replay, policy.resume) = (replayable, !replayable);
    let is_kept = |name: &&HeaderName| match route.credentials {
        Some(Credentials::Keep) => true,
        _ => !is_credential(name),
    };
    let lasting = proxy::lasting(request.headers());
    policy.kept_headers = lasting.filter(is_kept).cloned().collect();
    Arc::new(policy)
}

/// The longest inline wait that a client may ask for.
pub(super) const MAX_INLINE_WAIT: Duration = Duration::from_secs(25);

/// Returns the time that a request has before it becomes a job.
pub(super) fn inline_wait<B>(route: &Route, request: &Request<B>) -> Duration {
    let prefer = Prefer::from_headers(request.headers());
    let asked = match prefer.respond_async() {
        true => Some(prefer.wait().unwrap_or_default()),
        false => prefer.wait(),
    };
    asked.map_or(route.inline_wait, |wait| wait.min(MAX_INLINE_WAIT))
}

/// Returns whether a request may become a job. Event streams, websockets and calls of gRPC that do
/// not ask for it are conversations.
pub(super) fn may_defer<B>(route: &Route, request: &Request<B>) -> bool {
    let head = RequestHead::of(request);
    let is_call = head.is_grpc() && !Prefer::from_headers(head.headers).respond_async();
    let is_conversation =
        is_call || head.headers.contains_key(UPGRADE) || accepts_event_stream(request);
    route.defer && may_be_deferred(head.method) && !is_conversation
}

/// Returns whether a request of this method can become a job.
pub(super) fn may_be_deferred(method: &Method) -> bool {
    !matches!(
        *method,
        Method::HEAD | Method::OPTIONS | Method::TRACE | Method::CONNECT
    )
}

fn accepts_event_stream<B>(request: &Request<B>) -> bool {
    const EVENT_STREAM: &[u8] = b"text/event-stream";
    let mut ranges = request.headers().get_all(ACCEPT).iter();
    let names = |range: &[u8]| range.eq_ignore_ascii_case(EVENT_STREAM);
    ranges.any(|ranges| ranges.as_bytes().windows(EVENT_STREAM.len()).any(names))
}

/// The reason why a request cannot be sent again if the gateway or the server dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Its route does not replay such requests.
    Route,
    /// It has credentials, and its route says neither to keep nor to drop them.
    Credentials,
    /// Its body is not read first: it is too long or too slow, or there is no room.
    Body,
}

impl Obstacle {
    /// Counts a request of a route that has replayed it but for this reason.
    pub(super) fn count(self, route: &Route) {
        match self {
            Self::Route => {}
            Self::Credentials => count_unreplayable(&route.name, "credentials"),
            Self::Body => count_unreplayable(&route.name, "body"),
        }
    }
}

/// Checks that a request can be sent again if the gateway or the server dies.
///
/// # Errors
///
/// Fails with the reason why it cannot.
pub(super) fn check_replay<B>(route: &Route, request: &Request<B>) -> Result<(), Obstacle> {
    let headers = request.headers();
    let is_idempotent = is_idempotent(request.method());
    let is_keyed = is_keyed(request);
    let may_repeat = match route.replay {
        Replay::Idempotent => is_idempotent,
        Replay::Keyed => is_idempotent || is_keyed,
        Replay::All => true,
        Replay::None => false,
    };
    if !may_repeat {
        return Err(Obstacle::Route);
    }
    if route.credentials.is_none() && headers.keys().any(is_credential) {
        return Err(Obstacle::Credentials);
    }
    let length = headers.get(CONTENT_LENGTH);
    let length: Option<usize> = length.and_then(|length| length.to_str().ok()?.parse().ok());
    // A longer one is sent while it is read. One with a key is refused.
    match is_keyed || length.is_none_or(|length| length <= route.request_spool) {
        true => Ok(()),
        false => Err(Obstacle::Body),
    }
}

/// Returns whether a request of this method can be sent again by `replay = "idempotent"`.
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::PUT | Method::DELETE)
}

/// Returns whether a request has a key of its client's.
pub(super) fn is_keyed<B>(request: &Request<B>) -> bool {
    request.headers().contains_key(IDEMPOTENCY_KEY)
}

fn is_credential(name: &HeaderName) -> bool {
    [AUTHORIZATION, COOKIE].contains(name)
        || matches!(
            name.as_str(),
            "x-amz-security-token" | "x-api-key" | "x-auth-token"
        )
}

/// Returns whether the gateway may make a job of a request.
pub(super) fn is_deferrable(extensions: &Extensions) -> bool {
    extensions
        .get::<Target>()
        .is_some_and(|target| target.deferrable)
}

/// Returns the name of a request's route.
pub(super) fn route_name(request: RequestHead<'_>) -> Arc<str> {
    match request.extensions.get::<Target>() {
        Some(target) => target.route.name.clone(),
        None => Arc::from("unknown"),
    }
}
