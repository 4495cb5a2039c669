//! Accepted jobs in a form that can be stored.

mod wire;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use http::{Method, Uri};
use http_polling::JobState;

use crate::{dialect::CallContext, redact::Redacted};

/// The URL and the state of an accepted job.
///
/// Every [`Error`](crate::Error) has it once a job was accepted.
/// [`PollService::submit`](crate::PollService::submit) and
/// [`DoNotWait`](crate::DoNotWait) give it at once.
///
/// It can be stored and [resumed](crate::PollService::resume) by another
/// process: its serde form is an object that has a `version` and no
/// credentials. The URL of a job may be enough to read its result, so keep it
/// like a password. `Debug` shows little of it.
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
    /// The time of the next poll.
    pub(crate) due: Option<SystemTime>,
    pub(crate) state: Option<JobState>,
    /// The server's answers have a `Job-Status`.
    pub(crate) has_status: bool,
    /// The URL is that of a job, as far as can be known.
    pub(crate) is_cancellable: bool,
    /// Credentials have been dropped for good.
    pub(crate) crossed: bool,
    /// The name and the context of the job's dialect, if it has one.
    pub(crate) dialect: Option<Box<(String, CallContext)>>,
}

impl PendingJob {
    /// The URL of the next poll. Path-only if the submission's was.
    pub fn url(&self) -> &Uri {
        &self.url
    }

    /// The origin of the submission, with the path `/`. The credentials of a
    /// [resumed](crate::PollService::resume) job go there only.
    pub fn origin(&self) -> &Uri {
        &self.origin
    }

    /// Replaces the [origin](Self::origin) by a known one. The scheme, host
    /// and port of `origin` count.
    ///
    /// A stored job contains its origin, and anyone who can write to the
    /// storage can replace it. With this, the polls of a resumed job carry
    /// credentials to the given origin only, and the default policy refuses to
    /// poll anywhere else.
    ///
    /// ```
    /// use http::Uri;
    /// use tower_poll::PendingJob;
    ///
    /// # fn main() -> Result<(), serde_json::Error> {
    /// let stored = r#"{"version":1,"url":"https://evil.example/1","origin":"https://evil.example/"}"#;
    /// let job: PendingJob = serde_json::from_str(stored)?;
    /// let job = job.with_origin(Uri::from_static("https://example.com"));
    /// assert_eq!(job.origin(), "https://example.com/");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_origin(mut self, origin: Uri) -> Self {
        self.origin = origin;
        self
    }

    /// The method of polls: GET, or HEAD if the submission was HEAD.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The number of polls that were sent, by all processes together.
    pub fn polls(&self) -> u32 {
        self.polls
    }

    /// The time since the submission was sent, without the time between
    /// processes if the job was resumed.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The delay that the last pending answer asked for, unclamped.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The time of the next poll.
    pub fn due(&self) -> Option<SystemTime> {
        self.due
    }

    /// The state of the job in the last pending answer, if it had one.
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
            .finish_non_exhaustive()
    }
}
