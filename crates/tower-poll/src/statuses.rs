//! What statuses say by themselves.

use http::StatusCode;

/// Whether answers of this status may announce where to ask next: 202, and
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

/// Whether the same request may well have another answer next time.
pub(crate) fn is_failure(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}
