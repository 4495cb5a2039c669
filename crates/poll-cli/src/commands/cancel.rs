//! `poll cancel`.

use http::StatusCode;

use super::{follow, session::Session};
use crate::{
    arguments::Cancel,
    client::layer,
    exit::{Code, Failure},
};

pub(super) async fn run(cancel: &Cancel, session: &Session) -> Result<Code, Failure> {
    let work = async {
        let job = session.resume_given(&cancel.given, layer(&session.connection))?;
        let answer = job.cancel().await.map_err(|error| session.failure(error))?;
        session
            .screen
            .note(&format!("poll: {}", meaning(answer.status())?));
        Ok(Code::Success)
    };
    follow::within(Some(cancel.limit.deadline), work).await
}

/// Describes the answer to DELETE.
pub(super) fn meaning(status: StatusCode) -> Result<&'static str, Failure> {
    match status {
        StatusCode::ACCEPTED => Ok("the server cancels the job"),
        status if status.is_success() => Ok("the job is gone"),
        _ => {
            let text = "the server did not cancel the job";
            Err(Failure::new(Code::HttpError, text))
        }
    }
}
