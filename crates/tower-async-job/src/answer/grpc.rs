//! Answers to gRPC calls without a handler's response: trailers-only, as defined by the gRPC
//! protocol over HTTP/2.

use http::{HeaderName, HeaderValue, Response, header::CONTENT_TYPE};
use http_polling::{JobState, ProblemType};

use crate::body::StoredBody;

/// The status codes of gRPC that the layer uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Cancelled = 1,
    DeadlineExceeded = 4,
    NotFound = 5,
    ResourceExhausted = 8,
    Aborted = 10,
    Internal = 13,
    Unavailable = 14,
}

pub(crate) fn code_of(state: JobState) -> Code {
    match state {
        JobState::Cancelled => Code::Cancelled,
        JobState::TimedOut => Code::DeadlineExceeded,
        JobState::Lost => Code::Aborted,
        JobState::Expired | JobState::Unknown => Code::NotFound,
        _ => Code::Internal,
    }
}

pub(crate) fn code_of_refusal(kind: ProblemType) -> Code {
    match kind {
        ProblemType::QuotaExceeded | ProblemType::RequestTooLarge | ProblemType::TargetTooLong => {
            Code::ResourceExhausted
        }
        ProblemType::JobTimedOut | ProblemType::RequestTimeout => Code::DeadlineExceeded,
        _ => Code::Unavailable,
    }
}

/// Returns a trailers-only response. `message` is one of the layer's own: ASCII without `%`, so it
/// needs no percent-encoding.
pub(crate) fn trailers_only(code: Code, message: &str) -> Response<StoredBody> {
    let mut response = Response::new(StoredBody::default());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from(code as u16),
    );
    if let Ok(message) = HeaderValue::from_str(message) {
        headers.insert(HeaderName::from_static("grpc-message"), message);
    }
    response
}
