//! The server of a request.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::HeaderName;
use tokio::time::Instant;
use tower_async_job::{Policy, store::JobHandle};

use super::queue::Queue;
use crate::{config::Route, progress::Reach, upstream};

/// A place for the handle of a job.
pub(crate) type Handle = Arc<OnceLock<JobHandle>>;

/// The route of a request, and the client of its server: an extension of each request.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) route: Arc<Route>,
    pub(crate) client: upstream::Client,
    /// The places at the server, if these are limited.
    pub(crate) queue: Option<Queue>,
    /// The way for reports of its progress.
    pub(crate) progress: Option<Reach>,
    /// The fields that name principals, which trailers cannot have.
    pub(crate) principals: Arc<[HeaderName]>,
    /// The terms of the job that it may become.
    pub(crate) policy: Arc<Policy>,
    /// The time at which the request has become a job, unless it is answered before; `None` in later
    /// runs.
    pub(crate) accepted: Option<Instant>,
    /// The place for the handle of the job, once it is known.
    pub(crate) handle: Handle,
    /// The time for which the client may send nothing of its upload.
    pub(crate) upload_timeout: Duration,
    /// The request may become a job, whose deadline is then the layer's.
    pub(crate) deferrable: bool,
    /// The request may be sent again, under the same key.
    pub(crate) replayable: bool,
    /// The request may not be sent again, but a job that its server has made of it can be resumed.
    pub(crate) resumable: bool,
    /// The job that the server makes of the request is polled.
    pub(crate) follows: bool,
}

impl Target {
    /// Notes whether the request may be sent again.
    pub(crate) fn set_replayable(&mut self, replayable: bool) {
        if self.replayable != replayable {
            self.replayable = replayable;
            self.resumable = self.follows && !replayable;
            let policy = Arc::make_mut(&mut self.policy);
            (policy.replay, policy.resume) = (replayable, self.resumable);
        }
    }
}
