//! A job that was accepted and is not, or not yet, waited for.

use std::{fmt, time::Duration};

use http::{Method, Uri};
use http_polling::JobState;

use crate::redact::Redacted;

/// Where an accepted job can be asked for.
///
/// An [`Error`](crate::Error) carries it when the layer stops polling while
/// the job may well go on: at the deadline, at the limit of polls, when a
/// poll could not be made. The job's URL may be all that is needed to read
/// its result, so that `Debug` shows little of it.
///
/// ```no_run
/// # async fn example(result: Result<(), tower_poll::Error>) {
/// if let Err(error) = result
///     && let Some(job) = error.pending_job()
/// {
///     println!("still at work after {:?}: {}", job.elapsed(), job.url());
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct PendingJob {
    pub(crate) url: Uri,
    pub(crate) origin: Uri,
    pub(crate) method: Method,
    pub(crate) polls: u32,
    pub(crate) elapsed: Duration,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) state: Option<JobState>,
}

impl PendingJob {
    /// The URL at which to ask for the job next. Path-only where the
    /// submission's was.
    #[must_use]
    pub fn url(&self) -> &Uri {
        &self.url
    }

    /// How to ask: GET, or HEAD if the submission was HEAD.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// How many polls were sent.
    #[must_use]
    pub fn polls(&self) -> u32 {
        self.polls
    }

    /// How much time passed since the submission was sent.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// How long the last pending answer asked to wait, unclamped.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Where the job stood at the last pending answer, if the server said so.
    #[must_use]
    pub fn state(&self) -> Option<JobState> {
        self.state
    }
}

impl fmt::Debug for PendingJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingJob")
            .field("url", &Redacted(&self.url))
            .field("origin", &Redacted(&self.origin))
            .field("method", &self.method)
            .field("polls", &self.polls)
            .field("elapsed", &self.elapsed)
            .field("retry_after", &self.retry_after)
            .field("state", &self.state)
            .finish()
    }
}
