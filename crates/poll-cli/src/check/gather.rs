//! The requests of a check, in an order that needs few of them.

mod cancelled;
mod client;
mod deletion;
mod ended;
mod keyed;
mod others;
mod pending;
mod unknown;

use std::{cell::RefCell, rc::Rc, time::Duration};

use tokio::time::Instant;

pub(super) use self::client::{MAX_REQUESTS, Subject};
use self::{client::Client, deletion::delete};
use super::{
    evidence::Evidence,
    location::JobUrls,
    record::{Answer, Exchange},
    scenario::Scenario,
    step::Step,
};
use crate::{
    arguments::Connection,
    exit::{Code, Failure},
    request::Whole,
    transport::Transport,
};

/// All that was seen.
pub(super) struct Gathered {
    pub(super) evidence: Evidence,
    pub(super) requests: u32,
    pub(super) jobs: u32,
    /// The first answer, if it was no deferral.
    pub(super) never_deferred: Option<Answer>,
    /// The number of jobs that could not be deleted.
    pub(super) left: usize,
}

/// Sends the requests of the scenarios.
///
/// # Errors
///
/// Fails if the first request is not answered, or if the job is at an origin that is not allowed.
pub(super) async fn gather(
    transport: Transport<Whole>,
    subject: Subject,
    connection: &Connection,
    scenarios: &[Scenario],
    limit: Duration,
    running: &Running,
) -> Result<Gathered, Failure> {
    let end = Instant::now().checked_add(limit);
    let far = Instant::now() + Duration::from_secs(86_400);
    let client = Client::new(transport, connection, subject, end.unwrap_or(far));
    let client = Rc::new(client);
    *running.0.borrow_mut() = Some(Rc::clone(&client));
    let never_deferred = match first(&client).await? {
        Ok((exchange, job)) => {
            scenes(&client, scenarios, &exchange, &job).await;
            None
        }
        Err(answer) => Some(*answer),
    };
    let left = clean_up(&client).await;
    Ok(Gathered {
        requests: client.requests.get(),
        jobs: client.jobs.get(),
        evidence: client.evidence.take(),
        never_deferred,
        left,
    })
}

/// A check that is running, whose jobs can be deleted if it is interrupted.
#[derive(Default)]
pub(crate) struct Running(RefCell<Option<Rc<Client>>>);

impl Running {
    /// Deletes the jobs, and returns the number of those that cannot be deleted.
    pub(crate) async fn clean_up(&self) -> usize {
        let client = self.0.borrow_mut().take();
        match client {
            Some(client) => clean_up(&client).await,
            None => 0,
        }
    }
}

/// Submits the job that runs to its end. The inner error is an answer that is no deferral.
async fn first(client: &Client) -> Result<Result<(Exchange, JobUrls), Box<Answer>>, Failure> {
    let Some(exchange) = client.submit(Step::Submitted, &[]).await else {
        return Err(match client.unanswered.take() {
            Some(error) => Failure::of_transport(error),
            None => Failure::new(Code::Deadline, "the request was not answered in time"),
        });
    };
    let Some(job) = exchange.job() else {
        return Ok(Err(Box::new(exchange.answer)));
    };
    if !client.allows(&job.location) {
        let text = format!(
            "the job is at another origin, which --cross-origin allows: {}",
            job.bare
        );
        return Err(Failure::new(Code::Refused, text));
    }
    Ok(Ok((exchange, job)))
}

async fn scenes(client: &Client, scenarios: &[Scenario], exchange: &Exchange, job: &JobUrls) {
    let has = |scenario| scenarios.contains(&scenario);
    let mut job = job.clone();
    if has(Scenario::Pending) {
        pending::look(client, &mut job).await;
        unknown::look(client, &job).await;
    }
    if has(Scenario::Stranger) {
        unknown::pending_stranger(client, &job).await;
    }
    if has(Scenario::End) {
        ended::look(client, &job, has(Scenario::Stranger)).await;
    }
    delete(client, &job).await;
    if has(Scenario::Cancel) {
        cancelled::look(client).await;
    }
    if has(Scenario::Key) {
        keyed::look(client).await;
    }
    if has(Scenario::Browser) {
        others::browser(client).await;
    }
    if has(Scenario::Wait) {
        others::wait(client).await;
    }
    if has(Scenario::Deadline) {
        others::deadline(client).await;
    }
    if has(Scenario::NeverDeferred) {
        others::never_deferred(client, exchange.took).await;
    }
}

/// Deletes the jobs that are still there, and returns the number of those that cannot be deleted.
async fn clean_up(client: &Client) -> usize {
    let jobs = client.accepted.borrow().clone();
    let mut left = 0;
    for job in &jobs {
        if !delete(client, job).await {
            left += 1;
        }
    }
    left
}
