//! The cancellation of a server's job for whose result no client waits any more.

use std::{future::pending, time::Duration};

use tokio::{runtime::Handle, time::timeout};
use tower_async_job::{CancelReason, JobContext};

use super::server::Polled;

/// The time for the answer to a cancellation.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server's job. When this is dropped, the job is cancelled by DELETE, with the cookies of its polls,
/// unless a later run continues it, or its end is known.
pub(super) struct Abandon {
    context: JobContext,
    /// `None` once it has ended.
    job: Option<Polled>,
}

impl Abandon {
    pub(super) fn new(context: JobContext, job: Polled) -> Self {
        let job = Some(job);
        Self { context, job }
    }

    /// Returns the job.
    pub(super) fn job(&mut self) -> &mut Polled {
        self.job.as_mut().expect("it is there until its end")
    }

    /// Notes that the job has ended.
    pub(super) fn disarm(&mut self) {
        self.job = None;
    }

    /// Cancels the job at once, and waits until this run is dropped: nothing of it counts.
    pub(super) async fn now<T>(self) -> T {
        drop(self);
        pending().await
    }
}

impl Drop for Abandon {
    fn drop(&mut self) {
        let continues = matches!(
            self.context.cancel_reason(),
            Some(CancelReason::Shutdown | CancelReason::LeaseLost)
        );
        let (Some(followed), false) = (self.job.take(), continues) else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let job = self.context.handle();
        runtime.spawn(async move {
            match timeout(PATIENCE, followed.cancel()).await {
                Ok(Ok(response)) => {
                    let status = response.status().as_u16();
                    tracing::debug!(%job, status, "a followed job is cancelled at its server");
                }
                Ok(Err(error)) => {
                    tracing::warn!(%job, %error, "a followed job is not cancelled at its server");
                }
                Err(_) => {
                    tracing::warn!(%job, "the server does not say whether it cancels a followed job");
                }
            }
        });
    }
}
