//! Runs that outside parties continue: their reports, and their responses.

mod delivery;
mod error;
mod pending;

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;
use tower_async_job_core::{JobHandle, JobId, Outside, Renewal};

pub use self::{delivery::Delivery, error::OutsideError};
use crate::{
    context::job::JobContext,
    node::{front::Front, housekeeping::keep_house},
    outside::{error::Kind, pending::pending},
};

/// A run that an outside party continues, created by
/// [`AsyncJobLayer::outside`](crate::AsyncJobLayer::outside).
///
/// A handler leaves its job to such a party by a [`Release`](crate::Release) in the extensions of
/// its response, [with](crate::Release::with_outside) the digest of a token. The party may then
/// report progress, and deliver the response, by any node that shares the store, for as long as
/// it was given, and after restarts of all nodes. Nothing is held open meanwhile.
///
/// ```
/// use std::time::Duration;
/// use bytes::Bytes;
/// use http::{Response, StatusCode};
/// use http_body_util::Full;
/// use tower_async_job::{
///     AsyncJobLayer, OutsideError, Release,
///     store::{JobHandle, Outside},
/// };
///
/// /// The answer of a handler whose work continues elsewhere.
/// fn accepted(token: &str) -> Response<Full<Bytes>> {
///     let time = Duration::from_secs(600);
///     let release = Release::default().with_outside(Outside::new(token, time));
///     let mut response = Response::new(Full::default());
///     *response.status_mut() = StatusCode::ACCEPTED;
///     response.extensions_mut().insert(release);
///     response
/// }
///
/// /// Delivers its response later, on any node.
/// async fn deliver(jobs: &AsyncJobLayer, handle: JobHandle, token: &str) -> Result<(), OutsideError> {
///     let run = jobs.outside(handle, 1, token);
///     run.report(Duration::from_secs(600), |job| job.progress(0.9)).await?;
///     run.resume().await?.record(Response::new(Full::from("the report"))).await
/// }
/// ```
#[must_use = "it only names a run"]
pub struct OutsideRun {
    front: Arc<Front>,
    handle: JobHandle,
    attempt: u32,
    token: [u8; 32],
}

impl OutsideRun {
    pub(crate) fn new(front: Arc<Front>, handle: JobHandle, attempt: u32, token: &[u8]) -> Self {
        Self {
            front,
            handle,
            attempt,
            token: Outside::digest(token),
        }
    }

    /// Passes on what the party reports, and gives it this time from now, within the job's deadline.
    ///
    /// The context has the progress and the metadata that the job has, so that a message keeps
    /// earlier numbers. Each call is one write to the store: a party that reports often is to be
    /// slowed down before. Of two calls at once, the later one wins. Cancel safe.
    ///
    /// ```
    /// # async fn example(jobs: tower_async_job::AsyncJobLayer, handle: tower_async_job::store::JobHandle) {
    /// use std::time::Duration;
    ///
    /// let run = jobs.outside(handle, 1, "token");
    /// let reported = run.report(Duration::from_secs(60), |job| job.progress_of(3, 4)).await;
    /// if reported.is_err_and(|error| error.is_cancelled()) {
    ///     println!("the work is no longer wanted");
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails without any effect if the job is not with the party, or the store is unavailable.
    pub async fn report(
        &self,
        time: Duration,
        report: impl FnOnce(&JobContext),
    ) -> Result<(), OutsideError> {
        let node = &self.front.node;
        keep_house(node);
        let id = self.id().await?;
        let record = pending(&self.front, &id, self.attempt).await?;
        let context = JobContext::continued(self.attempt, record.progress, record.metadata);
        report(&context);
        let report = context.take_report(node.config.report_limit);
        let mut outside = Outside::new([], time);
        outside.token = self.token;
        let store = &node.store;
        let renewed = store.renew_outside(&record.id, outside, report.unwrap_or_default());
        match renewed.await? {
            Renewal::Held => {
                node.alarm.within(time);
                Ok(())
            }
            Renewal::Cancelled => Err(Kind::Cancelled.into()),
            Renewal::Missing => Err(Kind::Unknown.into()),
            _ => Err(Kind::Early.into()),
        }
    }

    /// Takes the job over, to record the response that the party delivers. An earlier delivery that
    /// is under way at this node fails as [superseded](OutsideError::is_superseded).
    ///
    /// # Errors
    ///
    /// Fails without any effect if the job is not with the party, or the store is unavailable.
    /// Dropping the future may leave the job taken over, until the lease is over; it then is with
    /// the party again.
    pub async fn resume(&self) -> Result<Delivery, OutsideError> {
        let node = &self.front.node;
        keep_house(node);
        let open = node.hold_open().ok_or(Kind::Closing)?;
        let id = self.id().await?;
        let called = Instant::now();
        let claim = node.store.resume(&id, &self.token).await?;
        // The token may be that of all attempts: another one's job is given back.
        let is_own = claim.as_ref().map(|claim| claim.attempt == self.attempt);
        let delivery = claim.map(|claim| Delivery::new(self.front.clone(), claim, called, open));
        match delivery {
            Some(delivery) if is_own == Some(true) => Ok(delivery),
            _ => {
                pending(&self.front, &id, self.attempt).await?;
                Err(Kind::Early.into())
            }
        }
    }

    async fn id(&self) -> Result<JobId, OutsideError> {
        let found = self.front.node.store.find(self.handle).await?;
        Ok(found.ok_or(Kind::Unknown)?)
    }
}

impl fmt::Debug for OutsideRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutsideRun")
            .field("handle", &self.handle)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
