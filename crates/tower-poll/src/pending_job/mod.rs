//! A job that was accepted and is not, or not yet, waited for.

mod wire;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use http::{Method, Uri};
use http_polling::JobState;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::wire::Wire;
use crate::{dialect::CallContext, redact::Redacted};

/// Where an accepted job can be asked for.
///
/// Every [`Error`](crate::Error) carries it once a job was accepted. [`PollService::submit`](crate::PollService::submit)
/// and [`DoNotWait`](crate::DoNotWait) give it at once.
///
/// It can be stored and [resumed](crate::PollService::resume) by another
/// process: its serde form is an object that has a `version` and no
/// credentials. The job's URL may be all that is needed to read its result,
/// so that it should be kept like a password, and `Debug` shows little of it.
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
    /// When the next poll is due.
    pub(crate) due: Option<SystemTime>,
    pub(crate) state: Option<JobState>,
    /// True if the server's answers have a `Job-Status`.
    pub(crate) has_status: bool,
    /// Whether the URL is that of a job, as far as can be told.
    pub(crate) is_cancellable: bool,
    /// Credentials have been dropped on the way, for good.
    pub(crate) crossed: bool,
    /// The dialect of the job's API by name, if it has one.
    pub(crate) dialect: Option<Box<(String, CallContext)>>,
}

impl PendingJob {
    /// The URL at which to ask for the job next. Path-only where the
    /// submission's was.
    #[must_use]
    pub fn url(&self) -> &Uri {
        &self.url
    }

    /// The origin of the submission, with the path `/`. Credentials that a
    /// [resumed](crate::PollService::resume) job is given go there only.
    #[must_use]
    pub fn origin(&self) -> &Uri {
        &self.origin
    }

    /// Replaces the [origin](Self::origin) by one that the caller knows; of
    /// `origin`, scheme, host and port count.
    ///
    /// A stored job names its origin itself, and anyone who can write to where
    /// it is kept can have it name another. Resumed with this, its polls carry
    /// credentials to the caller's origin only, and the default policy refuses
    /// to poll anywhere else.
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

    /// How to ask: GET, or HEAD if the submission was HEAD.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// How many polls were sent, by all processes together.
    #[must_use]
    pub fn polls(&self) -> u32 {
        self.polls
    }

    /// How much time passed since the submission was sent. Where the job was
    /// resumed, the time between the processes does not count.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// How long the last pending answer asked to wait, unclamped.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// When the next poll is due.
    #[must_use]
    pub fn due(&self) -> Option<SystemTime> {
        self.due
    }

    /// Where the job stood at the last pending answer, if the server said so.
    #[must_use]
    pub fn state(&self) -> Option<JobState> {
        self.state
    }
}

impl Serialize for PendingJob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PendingJob {
    /// Fails for a version that this build does not know, and for URLs that
    /// could not be polled.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        wire.try_into().map_err(serde::de::Error::custom)
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
