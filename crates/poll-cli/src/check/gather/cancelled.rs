//! A job that is polled early, and cancelled.

use std::{time::Duration, time::SystemTime};

use http::Method;
use http_polling::retry_after;

use super::{client::Client, deletion::not_deferred};
use crate::check::{evidence::Absence, location::JobUrls, step::Step};

/// The longest delay that an early poll waits for.
const MAX_EARLY: Duration = Duration::from_secs(10);

pub(super) async fn look(client: &Client) {
    let Some(submitted) = client.submit(Step::CancelSubmitted, &[]).await else {
        return;
    };
    let Some(job) = submitted.job() else {
        not_deferred(client, &submitted, &[Step::Early, Step::Cancelled]);
        return;
    };
    let delay = retry_after(&submitted.answer.headers, SystemTime::now()).unwrap_or_default();
    if !job.has_hints() {
        let text = "`Location` has no `due`".to_owned();
        client.lacks(Step::Early, Absence::NotSent(text));
    } else if delay > MAX_EARLY {
        let text = "the delay is too long to be waited for".to_owned();
        client.lacks(Step::Early, Absence::NotSent(text));
    } else {
        client.get(Step::Early, &job.location).await;
    }
    let url = found(client, &job);
    client.ask(Step::Cancelled, Method::DELETE, &url, &[]).await;
    client.get(Step::CancelledJob, &url).await;
    client.get(Step::CancelledStatus, &job.status()).await;
    client
        .ask(Step::CancelledDropped, Method::DELETE, &url, &[])
        .await;
    client.get(Step::CancelledGone, &url).await;
}

/// Returns the URL at which the server finds the job: without hints, unless it relies on them.
pub(super) fn found(client: &Client, job: &JobUrls) -> http::Uri {
    match client.evidence.borrow().look(Step::PendingByLocation) {
        Ok(_) => job.location.clone(),
        Err(_) => job.bare.clone(),
    }
}
