//! An attempt to notify of a job's end.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::StatusCode;
use tokio::time::{Instant, timeout_at};
use tower_async_job_core::{Claim, Detail, JobId, RecordedOutcome, StoreError, Task};

use crate::{
    node::{front::Front, places::Place, state::Node},
    notify::notification::{Notification, Notified},
    observe::with_sources,
    panics,
    time::{after, later},
};

/// The time for which a claim lasts if leases have no duration.
const CLAIM: Duration = Duration::from_secs(60);

/// The time until the next attempt after one that panicked or took too long.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// The time until the next attempt if the job could not be read.
const UNREAD: Duration = Duration::from_secs(5);

/// A claimed notification.
pub(super) struct Attempt {
    pub(super) front: Arc<Front>,
    pub(super) claim: Claim,
    /// The time before the store was asked for it.
    pub(super) called: Instant,
    /// The store's time of the claim.
    pub(super) now: SystemTime,
    pub(super) place: Place,
}

/// Makes an attempt, and stores its result.
pub(super) async fn begin<F, Fut>(attempt: Attempt, send: Arc<F>)
where
    F: Fn(Notification) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Notified> + Send + 'static,
{
    let Attempt {
        front,
        claim,
        called,
        now,
        place,
    } = attempt;
    let (node, lease, handle) = (&front.node, claim.lease, claim.handle);
    let abandoned = after(called, claim.remaining);
    let lasts = node.store.properties().lease.unwrap_or(CLAIM);
    // Its result is stored in the rest of the claim.
    let until = after(called, lasts / 4 * 3);
    let attempt = async {
        if node.submitters.had_result(&lease.id).await {
            return Notified::Done;
        }
        let Some(notification) = notification(&front, claim, now).await else {
            return Notified::Again(UNREAD);
        };
        let sent = Box::pin(async move {
            let sent = send(notification).await;
            drop(send);
            sent
        });
        let sent = panics::logged("the function of a notifier", sent).await;
        let sent = sent.unwrap_or(Notified::Again(AFTER_FAILURE));
        node.meter.notified(match sent {
            Notified::Done => "done",
            Notified::Refused => "refused",
            Notified::Again(_) => "again",
        });
        sent
    };
    let in_grace = async {
        match node.shutdown.given_up.is_set() {
            true => None,
            false => node.shutdown.given_up.or(timeout_at(until, attempt)).await,
        }
    };
    let sent = match in_grace.await {
        Some(Ok(sent)) => sent,
        Some(Err(_)) => {
            tracing::warn!(%handle, "a notification was not sent within {:?}", lasts / 4 * 3);
            Notified::Again(AFTER_FAILURE)
        }
        // Another node sends it.
        None => Notified::Again(Duration::ZERO),
    };
    tracing::debug!(%handle, ?sent, "notified of a job's end");
    if let Notified::Again(pause) = sent
        && later(pause) >= abandoned
    {
        node.meter.notified("given-up");
        tracing::warn!(%handle, "a notification is given up: the job expires before the next attempt");
    }
    let again = match sent {
        Notified::Again(after) => Some(after),
        Notified::Done | Notified::Refused => None,
    };
    if let Err(error) = node.store.notified(&lease, again).await {
        tracing::warn!(
            error = with_sources(&error),
            %handle,
            "the result of a notification could not be stored"
        );
    }
    drop(place);
}

/// Returns the notification of a claim. `None` if the job cannot be read now.
async fn notification(front: &Front, claim: Claim, now: SystemTime) -> Option<Notification> {
    let Task::Notify {
        notify,
        state,
        ended,
    } = claim.task
    else {
        return None;
    };
    let id = claim.lease.id;
    let status = match status(&front.node, &id).await {
        Ok(status) => status,
        Err(error) if error.is_corrupt() => None,
        Err(error) => {
            tracing::warn!(
                error = with_sources(&error),
                handle = %claim.handle,
                "a job to notify of could not be read"
            );
            return None;
        }
    };
    Some(Notification {
        handle: claim.handle,
        url: [&*front.config.public_base, "/", id.encode().as_str()].concat(),
        target: notify,
        state,
        status,
        ended,
        age: now.duration_since(ended).unwrap_or_default(),
        attempt: claim.attempt,
    })
}

/// Returns the status of a job's result.
async fn status(node: &Node, id: &JobId) -> Result<Option<StatusCode>, StoreError> {
    let Some(record) = node.read(id, Detail::Head).await? else {
        return Ok(None);
    };
    Ok(match record.outcome {
        Some(RecordedOutcome::Response(response) | RecordedOutcome::Head(response)) => {
            Some(response.decode()?.status)
        }
        Some(RecordedOutcome::Problem(problem)) => problem.status_code(),
        _ => None,
    })
}
