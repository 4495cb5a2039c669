//! The cancellation of a server's job for whose result no client waits any more.

use std::{future::pending, time::Duration};

use http::HeaderMap;
use tokio::{runtime::Handle, time::timeout};
use tower_async_job::{CancelReason, JobContext};
use tower_poll::{PendingJob, PollService};

use super::server::Server;

/// The time for the answer to a cancellation.
const PATIENCE: Duration = Duration::from_secs(10);

/// The handle of a server's job. When this is dropped, the job is cancelled by DELETE, unless a later
/// run continues it, or its end is known.
pub(super) struct Abandon {
    context: JobContext,
    service: PollService<Server>,
    headers: HeaderMap,
    handle: Option<PendingJob>,
}

impl Abandon {
    pub(super) fn new(
        context: JobContext,
        service: PollService<Server>,
        headers: &HeaderMap,
    ) -> Self {
        Self {
            context,
            service,
            headers: headers.clone(),
            handle: None,
        }
    }

    /// Notes the handle of the job.
    pub(super) fn set(&mut self, handle: PendingJob) {
        self.handle = Some(handle);
    }

    /// Notes that the job has ended.
    pub(super) fn disarm(&mut self) {
        self.handle = None;
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
        let (Some(handle), false) = (self.handle.take(), continues) else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let (service, headers) = (self.service.clone(), std::mem::take(&mut self.headers));
        let job = self.context.handle();
        runtime.spawn(async move {
            let Ok(followed) = service.resume(&handle, &headers) else {
                return;
            };
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
