//! Submissions with other fields.

use std::time::Duration;

use http::{Method, header::ACCEPT};
use http_polling::{CANCEL_AFTER, JobState, PREFER};
use tokio::time::sleep;

use super::{
    cancelled::found,
    client::{Client, values},
    deletion::{delete_job_of, not_deferred},
    pending::{FORWARDED_HOST, NAVIGATION},
};
use crate::check::{evidence::Absence, step::Step};

/// The time for which an answer may stay away after the time of a deferral, before it counts as
/// one that is not deferred.
const MORE: Duration = Duration::from_secs(2);

/// The time in which a job must have ended after its deadline.
const AFTER_DEADLINE: Duration = Duration::from_secs(10);

/// Submits as a browser whose request claims to be forwarded for another host.
pub(super) async fn browser(client: &Client) {
    let [accept, mode] = NAVIGATION;
    let [host, forwarded] = FORWARDED_HOST;
    let fields = [accept, mode, host, forwarded];
    if let Some(submitted) = client.submit(Step::BrowserSubmitted, &fields).await {
        delete_job_of(client, &submitted).await;
    }
}

/// Submits with a wish to be answered inline.
pub(super) async fn wait(client: &Client) {
    let fields = [(PREFER, "wait=2")];
    if let Some(submitted) = client.submit(Step::WaitSubmitted, &fields).await {
        delete_job_of(client, &submitted).await;
    }
}

/// Submits with a deadline that cannot be read, and with one that is short.
pub(super) async fn deadline(client: &Client) {
    let fields = [(CANCEL_AFTER, "soon")];
    let Some(malformed) = client.submit(Step::DeadlineMalformed, &fields).await else {
        return;
    };
    delete_job_of(client, &malformed).await;
    if malformed.answer.status != 400 {
        return;
    }
    let fields = [(CANCEL_AFTER, "100ms")];
    let Some(submitted) = client.submit(Step::DeadlineSubmitted, &fields).await else {
        return;
    };
    let Some(job) = submitted.job() else {
        not_deferred(client, &submitted, &[Step::DeadlineEnded]);
        return;
    };
    let mut waited = Duration::ZERO;
    let mut pause = Duration::from_millis(100);
    while waited < AFTER_DEADLINE && !client.left().is_zero() {
        sleep(pause).await;
        waited += pause;
        pause = (pause * 3 / 2).min(Duration::from_secs(1));
        let asked = client.get(Step::Polled, &job.status()).await;
        let state = asked.and_then(|exchange| exchange.answer.state());
        if state.is_some_and(JobState::is_final) {
            break;
        }
    }
    client.get(Step::DeadlineEnded, &found(client, &job)).await;
    delete_job_of(client, &submitted).await;
}

/// Sends requests that are never deferred. `deferral` is the time after which the server defers.
pub(super) async fn never_deferred(client: &Client, deferral: Duration) {
    let limit = deferral + MORE;
    let uri = client.subject.uri.clone();
    let fields = values(&[(PREFER, "respond-async")]);
    for (step, method) in [
        (Step::TargetOptions, Method::OPTIONS),
        (Step::TargetHead, Method::HEAD),
    ] {
        client.ask_within(step, method, &uri, &fields, limit).await;
    }
    let stream = values(&[(ACCEPT, "text/event-stream")]);
    let body = client.subject.body.clone();
    if client.subject.method == Method::HEAD {
        let text = "the request is a HEAD".to_owned();
        client.lacks(Step::EventStream, Absence::NotSent(text));
    } else if let Some(answered) = client
        .submit_body(Step::EventStream, &stream, body, limit)
        .await
    {
        delete_job_of(client, &answered).await;
    }
}
