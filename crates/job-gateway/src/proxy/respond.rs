//! The responses of the gateway's own: a problem document (RFC 9457) with `Proxy-Status` (RFC 9209).

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt, Either, Full, combinators::MapErr};
use http_polling::{JOB_STATUS, JobState, PROBLEM_JSON, Problem};

use super::{identity::name, occupied::Occupied, queue};
use crate::{
    principal::Refusal,
    upstream::{self, Held, Kind},
};

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// The body of a response: the server's, or one of the gateway's own. The error of one that breaks off is
/// the problem of the job that it ends.
pub(crate) type Body = Either<MapErr<Passed, fn(hyper::Error) -> Problem>, Full<Bytes>>;

/// The body of a server's response.
type Passed = Held<upstream::Incoming, Occupied>;

/// Returns a server's body as one of a response.
pub(super) fn passed(body: upstream::Incoming, occupied: Occupied) -> Body {
    let broken: fn(hyper::Error) -> Problem = broken;
    Either::Left(Held::new(body, Some(occupied)).map_err(broken))
}

fn broken(error: hyper::Error) -> Problem {
    tracing::debug!(%error, "the response of a server broke off");
    Failure::Broken.problem()
}

/// Tells in the answer of a job that the response of its server has broken off.
pub(crate) fn set_broken<B>(response: &mut Response<B>) {
    let state = response.headers().get(JOB_STATUS);
    let has_failed = state.is_some_and(|state| state == JobState::Failed.as_str());
    let (status, error, _) = Failure::Broken.parts();
    if has_failed && response.status() == status {
        set_proxy_status(response.headers_mut(), error);
    }
}

fn set_proxy_status(headers: &mut HeaderMap, error: &str) {
    let value = HeaderValue::from_str(&format!("{}; error={error}", name()));
    let value = value.expect("names have visible characters");
    headers.insert(PROXY_STATUS, value);
}

/// The reason for which a request is answered by the gateway itself.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request has passed this gateway before.
    Loop,
    /// The request has too many fields.
    Fields,
    /// The request is for a tunnel.
    Connect,
    /// The body has a coding that the gateway does not know.
    Coding,
    /// The target has a segment that moves it elsewhere.
    DotSegment,
    /// The path is one of a job, in another spelling.
    Spelling,
    /// The request names no server, or several.
    Host,
    /// The client has stalled in its upload.
    Upload,
    /// No route matches the request.
    NoRoute,
    /// No route matches the request of a job any more.
    RouteGone,
    /// The request does not say who asks.
    Principal(Refusal),
    /// The server has as many requests as it takes, and as many wait as may, or for too long.
    Full,
    /// The body of the response has a coding that the gateway does not know.
    ServerCoding,
    /// The server's response has broken off.
    Broken,
    /// The server has switched to a protocol that was not asked for.
    Unasked,
    /// The server delivers the result later, and no job could be made of the request.
    NoJob,
    /// The server's own job is at another host.
    Elsewhere,
    /// The server refuses polls of its own job.
    PollRefused,
    /// The server does not know its own job any more, or has lost it.
    Forgotten,
    /// The answers about the server's own job cannot be followed.
    Unfollowable,
    /// The server has not answered.
    Upstream(upstream::Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Principal(refusal)
    }
}

impl From<queue::Full> for Failure {
    fn from(_: queue::Full) -> Self {
        Self::Full
    }
}

impl From<upstream::Error> for Failure {
    fn from(error: upstream::Error) -> Self {
        Self::Upstream(error)
    }
}

impl Failure {
    /// Returns the status, the type of the error in `Proxy-Status`, and a text for people.
    fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        let bad = StatusCode::BAD_GATEWAY;
        match self {
            Self::Loop => (
                StatusCode::LOOP_DETECTED,
                "proxy_loop_detected",
                "the request has passed this gateway before, and its server sends it back; or another \
                 gateway has the same `name`",
            ),
            Self::Fields => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "http_request_error",
                "the request has too many fields",
            ),
            Self::Connect => (
                StatusCode::NOT_IMPLEMENTED,
                "http_request_denied",
                "the gateway makes no tunnels",
            ),
            Self::Coding => (
                StatusCode::NOT_IMPLEMENTED,
                "http_request_error",
                "the gateway knows no transfer coding but chunked",
            ),
            Self::DotSegment => (
                StatusCode::BAD_REQUEST,
                "http_request_error",
                "the path has a segment of dots, which servers resolve in different ways",
            ),
            Self::Spelling => (
                StatusCode::BAD_REQUEST,
                "http_request_error",
                "the path is one of a job in another spelling: use the URL as it was given",
            ),
            Self::Host => (
                StatusCode::BAD_REQUEST,
                "http_request_error",
                "the request has no valid Host, or more than one",
            ),
            Self::Upload => (
                StatusCode::REQUEST_TIMEOUT,
                "http_request_error",
                "the upload stood still for too long",
            ),
            Self::NoRoute => (
                StatusCode::NOT_FOUND,
                "destination_not_found",
                "the gateway has no route for this method and path",
            ),
            Self::RouteGone => (
                bad,
                "destination_not_found",
                "the gateway's settings have no route for the request of this job any more",
            ),
            Self::Principal(refusal) => (refusal.status(), "http_request_denied", refusal.detail()),
            Self::Full => (
                StatusCode::SERVICE_UNAVAILABLE,
                "connection_limit_reached",
                "the server has as many requests as it takes: try again later",
            ),
            Self::ServerCoding => (
                bad,
                "http_response_transfer_coding",
                "the server's response has a transfer coding other than chunked",
            ),
            Self::Broken => (
                bad,
                "http_response_incomplete",
                "the server's response broke off",
            ),
            Self::Unasked => (
                bad,
                "http_protocol_error",
                "the server has switched to a protocol that was not asked for",
            ),
            Self::NoJob => (
                StatusCode::SERVICE_UNAVAILABLE,
                "proxy_internal_error",
                "the server delivers the result later, but no job could be stored for it",
            ),
            Self::Elsewhere => (
                bad,
                "http_protocol_error",
                "the server's job is at another host, which the gateway does not poll",
            ),
            Self::PollRefused => (
                bad,
                "http_protocol_error",
                "the server refuses polls of its job: a request that was stored without its \
                  credentials needs `credentials = \"keep\"`",
            ),
            Self::Forgotten => (
                bad,
                "http_protocol_error",
                "the server does not know its job any more, or has lost it",
            ),
            Self::Unfollowable => (
                bad,
                "http_protocol_error",
                "the server's answers about its job cannot be followed",
            ),
            Self::Upstream(error) => match error.kind() {
                Kind::Refused => (
                    bad,
                    "connection_refused",
                    "the server accepts no connection",
                ),
                Kind::ConnectTimeout => (
                    StatusCode::GATEWAY_TIMEOUT,
                    "connection_timeout",
                    "no connection to the server was made in time",
                ),
                Kind::Tls => (
                    bad,
                    "tls_certificate_error",
                    "the server's certificate is not accepted",
                ),
                Kind::Reset => (
                    bad,
                    "connection_terminated",
                    "the server ended the connection without a response",
                ),
                Kind::Timeout => (
                    StatusCode::GATEWAY_TIMEOUT,
                    "http_response_timeout",
                    "the server has not answered in time",
                ),
                Kind::Unreadable => (
                    bad,
                    "http_protocol_error",
                    "the server's response cannot be read",
                ),
                Kind::Body => (
                    StatusCode::BAD_REQUEST,
                    "http_request_error",
                    "the upload ended too early",
                ),
            },
        }
    }

    fn problem(&self) -> Problem {
        let (status, _, detail) = self.parts();
        let mut problem = Problem::default().with_detail(detail);
        problem.title = status.canonical_reason().map(str::to_owned);
        problem.status = Some(status.as_u16());
        problem
    }

    /// Returns the response.
    pub(crate) fn response(&self) -> Response<Body> {
        let (status, error, _) = self.parts();
        let body = Full::new(Bytes::from(self.problem().to_json()));
        let mut response = Response::new(Either::Right(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        set_proxy_status(headers, error);
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if matches!(self, Self::Connect | Self::Coding) {
            // Further bytes may be meant for the tunnel, or have the coding.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Self::Principal(refusal) = self
            && let Some(challenge) = refusal.challenge()
        {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}
