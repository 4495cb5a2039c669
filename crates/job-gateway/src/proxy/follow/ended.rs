//! The ends of a server's job other than by a response.

use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_LENGTH};
use http_polling::JobState;
use tower_poll::Error;

use super::super::respond::Failure;
use crate::upstream;

/// Returns the answer to an error of a server's job: the server's own, if that says how the job has
/// ended.
pub(super) fn answer(error: Error) -> Result<Response<Bytes>, Failure> {
    let tells = matches!(
        error.job_state(),
        Some(JobState::Failed | JobState::TimedOut | JobState::Cancelled)
    );
    let (true, Some(status), Some(headers)) = (tells, error.status(), error.headers()) else {
        return Err(failure(error));
    };
    let mut response = Response::new(Bytes::copy_from_slice(error.body()));
    response.headers_mut().clone_from(headers);
    response.headers_mut().remove(CONTENT_LENGTH);
    // A document that reports a failure is sent with 200.
    let is_error = status.is_client_error() || status.is_server_error();
    *response.status_mut() = match is_error {
        true => status,
        false => StatusCode::BAD_GATEWAY,
    };
    Ok(response)
}

/// Returns the failure of a request whose server has not answered, or whose job has no result.
pub(super) fn failure(error: Error) -> Failure {
    let detail = error.to_string();
    let failure = match error.job_state() {
        Some(_) => Failure::Forgotten,
        None if error.is_cross_origin() => Failure::Elsewhere,
        None if error.is_unauthorized() => Failure::PollRefused,
        None => Failure::Unfollowable,
    };
    match error.into_inner().map(|cause| cause.downcast()) {
        Some(Ok(error)) => {
            let error: upstream::Error = *error;
            Failure::Upstream(error)
        }
        _ => {
            tracing::warn!(error = detail, "a server's job has no result");
            failure
        }
    }
}
