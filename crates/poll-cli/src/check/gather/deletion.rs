//! The deletion of jobs that are no longer needed, and what follows from jobs that there are not.

use std::time::Duration;

use http::{Method, StatusCode};

use super::client::Client;
use crate::check::{evidence::Absence, location::JobUrls, record::Exchange, step::Step};

/// The time for the deletion of a job at the end.
const DELETION: Duration = Duration::from_secs(5);

/// Deletes a job that is no longer needed, so that the next ones find a place.
pub(super) async fn delete(client: &Client, job: &JobUrls) -> bool {
    // The first DELETE of a pending job cancels it, and the second drops its record.
    for _ in 0..2 {
        let asked = client.ask_within(Step::CleanedUp, Method::DELETE, &job.bare, &[], DELETION);
        match asked.await.map(|exchange| exchange.answer.status) {
            Some(StatusCode::ACCEPTED) => {}
            Some(status) if status.is_success() || is_gone(status) => {
                let mut accepted = client.accepted.borrow_mut();
                accepted.retain(|other| other.bare != job.bare);
                return true;
            }
            _ => return false,
        }
    }
    let mut accepted = client.accepted.borrow_mut();
    accepted.retain(|other| other.bare != job.bare);
    true
}

fn is_gone(status: StatusCode) -> bool {
    status == StatusCode::NOT_FOUND || status == StatusCode::GONE
}

/// Deletes the job of a submission, if it has one.
pub(super) async fn delete_job_of(client: &Client, exchange: &Exchange) {
    if let Some(job) = exchange.job() {
        delete(client, &job).await;
    }
}

/// Notes that the exchanges that follow a submission are missing, since it was not deferred.
pub(super) fn not_deferred(client: &Client, exchange: &Exchange, steps: &[Step]) {
    let summary = exchange.answer.summary();
    let absence = match exchange.answer.status.as_u16() {
        429 | 503 => Absence::Late(format!("the server had no room for another job: {summary}")),
        _ => Absence::NotSent(format!("the request was not deferred: {summary}")),
    };
    for step in steps {
        client.lacks(*step, absence.clone());
    }
}
