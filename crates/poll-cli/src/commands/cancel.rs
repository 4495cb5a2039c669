//! `poll cancel`.

use http::StatusCode;
use tower_poll::PendingJob;

use super::Session;
use crate::{
    arguments::Cancel,
    client::layer,
    exit::{Code, Failure},
};

pub(super) async fn run(cancel: &Cancel, session: &Session) -> Result<Code, Failure> {
    let answer = send(&cancel.job, session).await?;
    if !session.connection.silent {
        session.screen.line(&format!("poll: {answer}"));
    }
    Ok(Code::Success)
}

/// Asks the server to stop `job`. Gives what there is to say of it.
pub(super) async fn send(job: &PendingJob, session: &Session) -> Result<String, Failure> {
    let job = session.resume(job, layer(&session.connection))?;
    let response = job.cancel().await.map_err(Failure::of_call)?;
    match response.status() {
        StatusCode::ACCEPTED => Ok("the server cancels the job".to_owned()),
        status if status.is_success() => Ok("the job is gone".to_owned()),
        status => {
            let text = format!("the server answered {status} to the cancellation");
            Err(Failure::new(Code::HttpError, text))
        }
    }
}
