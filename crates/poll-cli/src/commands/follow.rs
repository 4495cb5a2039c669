//! Polling until the final answer.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body;
use http_polling::{JOB_STATUS, JobState};
use hyper::body::Incoming;
use tokio::time::timeout;
use tower::BoxError;
use tower_poll::{Error, Job, PendingJob, Update};

use super::{download, glance::Glance, session::Session};
use crate::{
    arguments::Follow,
    client::Pace,
    exit::{Code, Failure},
    transport::Transport,
    words,
};

/// Polls until the final answer, and writes that.
///
/// The job stays in the session's slot as long as it can be resumed.
pub(super) async fn to_the_end<B>(
    mut job: Job<Transport<B>, B, Incoming, Pace>,
    session: &Session,
    follow: &Follow,
) -> Result<Code, Failure>
where
    B: Body<Data = Bytes> + Default + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    loop {
        session.slot.set(Some(job.pending()));
        match job.next().await {
            Some(Ok(Update::Pending(_))) => {}
            Some(Ok(Update::Final(response))) => {
                session.slot.set(Some(job.pending()));
                return write(response, session, follow).await;
            }
            Some(Err(error)) => return Err(fail(error, session, follow).await?),
            None => return Err(Failure::new(Code::Other, "the job has no more answers")),
        }
    }
}

/// Writes the final answer.
///
/// It is the answer of a failed poll instead of the job's, if the layer stopped
/// repeating that poll.
pub(super) async fn write(
    response: Response<Incoming>,
    session: &Session,
    follow: &Follow,
) -> Result<Code, Failure> {
    let response = match download::start(response, session, follow).await? {
        Ok(code) => return Ok(code),
        Err(response) => response,
    };
    session.screen.clear();
    let status = response.status();
    let code = Code::of(status);
    let is_of_job = response.headers().contains_key(JOB_STATUS);
    let given_up = response.extensions().get::<PendingJob>().cloned();
    let output = follow.output();
    let mut glance = Glance::new(response.headers());
    if follow.fail && code == Code::HttpError {
        output.write_head(&response).await?;
    } else {
        output.write(response, |data| glance.add(data)).await?;
    }
    session.last.set_downloaded(glance.length);
    if given_up.is_some() {
        session.slot.set(given_up);
        return Err(Failure::new(Code::HttpError, "polls kept failing"));
    }
    session.slot.set(None);
    // An answer with `Job-Status` is always the job's own.
    if !(is_of_job && status.is_success()) {
        remark(status, &glance, session);
    }
    Ok(code)
}

/// Explains an answer on standard error if its body alone may mislead.
fn remark(status: StatusCode, glance: &Glance, session: &Session) {
    let screen = &session.screen;
    let exchange = session.last.get();
    let answered = exchange.describe().unwrap_or_default();
    if Code::of(status) == Code::HttpError {
        if glance.length == 0 {
            screen.line(&format!("poll: {answered}"));
        }
    } else if status == StatusCode::ACCEPTED {
        let hint = match exchange.method.is_safe() {
            true => " (--poll-202 asks again)",
            false => "",
        };
        screen.line(&format!(
            "poll: {answered}, and named no URL to poll: the work may go on{hint}"
        ));
    } else if status.is_redirection() {
        screen.note(&format!(
            "poll: {answered}, which is no part of polling and not followed"
        ));
    } else if let Some((member, word)) = glance.running() {
        screen.line(&format!(
            "poll: `{member}` of the answer is `{word}`: the work may go on \
             (--dialect status-document={member} waits for its end)"
        ));
    }
}

/// Converts the call's error to a failure.
///
/// Writes the problem document of a failed job as the final body, unless `-f`
/// is set.
pub(super) async fn fail(
    error: Error,
    session: &Session,
    follow: &Follow,
) -> Result<Failure, Failure> {
    session.screen.clear();
    let state = error.job_state();
    if state.is_some_and(|state| state != JobState::Unknown) {
        session.slot.set(None);
    } else if let Some(job) = error.pending_job() {
        session.slot.set(Some(job.clone()));
    }
    if let Some(problem) = error.problem()
        && state.is_some()
        && !follow.fail
    {
        let text = String::from_utf8_lossy(&problem.to_json()).into_owned();
        follow.output().text(&words::json(&text)).await?;
    }
    Ok(session.failure(error))
}

/// Runs `work` with a deadline.
pub(super) async fn within<T>(
    deadline: Option<Duration>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match deadline {
        None => work.await,
        Some(deadline) => timeout(deadline, work)
            .await
            .unwrap_or_else(|_| Err(Failure::new(Code::Deadline, "the deadline passed"))),
    }
}
