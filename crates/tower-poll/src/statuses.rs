//! Classes of status codes.

use http::StatusCode;

/// Returns whether answers of this status may announce the next URL: 202, and
/// the redirects to another URL.
#[inline(always)]
pub(crate) fn announces(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::ACCEPTED
            | StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// Returns whether Retry-After makes an answer of this status a pending one.
pub(crate) fn waits(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    )
}

/// Returns whether the same request may have another answer next time.
pub(crate) fn is_failure(status: StatusCode) -> bool {
    waits(status)
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT
                | StatusCode::INTERNAL_SERVER_ERROR
                | StatusCode::BAD_GATEWAY
                | StatusCode::GATEWAY_TIMEOUT
        )
}
