//! The reasons why a request has no effect, and their responses.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::Full;
use http_polling::{JSON, PROBLEM_JSON, Problem};
use tower_async_job::OutsideError;

/// The reason why a request has no effect.
#[derive(Debug)]
pub(super) enum Refusal {
    Unknown,
    Over,
    Method(&'static str),
    Type,
    Length,
    Slow,
    Invalid(String),
    /// The server has delivered its result before it said that it would, or the gateway that has the
    /// run is another one.
    Early,
    /// The same result is delivered by another request.
    Superseded,
    TooLarge,
    Unavailable,
}

impl From<OutsideError> for Refusal {
    fn from(error: OutsideError) -> Self {
        match error {
            error if error.is_early() => Self::Early,
            error if error.is_superseded() => Self::Superseded,
            error if error.is_too_large() => Self::TooLarge,
            error if error.is_broken() => Self::Invalid("the result was cut off".to_owned()),
            error if error.is_unavailable() => {
                tracing::warn!(
                    error = std::error::Error::source(&error),
                    "a server is told to try again later: {error}"
                );
                Self::Unavailable
            }
            _ => Self::Over,
        }
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Over => StatusCode::GONE,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Type => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Length | Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Early | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Superseded => StatusCode::CONFLICT,
        }
    }

    fn detail(&self) -> &str {
        match self {
            Self::Unknown => "the gateway has no such run: it may have been started anew since",
            Self::Over => {
                "the run is over, or another one has taken its place: its work has no effect"
            }
            Self::Method(_) => {
                "progress is reported by PUT, and the state is read by GET; a result is delivered \
                 by PUT"
            }
            Self::Type => "a report is application/json, without a coding",
            Self::Length => "a report has at most 64 KiB",
            Self::Slow => "the report took longer than 10 s to arrive",
            Self::Invalid(detail) => detail,
            Self::Early => {
                "the job is not the server's yet: answer its request with 202 and `Job-Accepted: \
                 result-later` first, then try again"
            }
            Self::Superseded => "another request delivers the same result",
            Self::TooLarge => "the result is larger than `result_limit`, so the job has failed",
            Self::Unavailable => "the store of jobs does not answer, or is full: try again",
        }
    }

    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        let status = self.status();
        let mut problem = Problem::default().with_detail(self.detail());
        problem.title = status.canonical_reason().map(str::to_owned);
        problem.status = Some(status.as_u16());
        let mut response = Response::new(Full::new(Bytes::from(problem.to_json())));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::Method(allowed) => drop(headers.insert(ALLOW, HeaderValue::from_static(allowed))),
            Self::Type => drop(headers.insert(ACCEPT, JSON)),
            Self::Early | Self::Unavailable => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
