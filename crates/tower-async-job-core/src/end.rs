use bytes::Bytes;
use http_polling::{JobState, Problem, Progress};
use serde_json::{Map, Value};

use crate::{json::Json, message::StoredResponse};

/// The outcome of a run, as its worker states it.
///
/// ```
/// use http_polling::{JobState, Problem, ProblemType};
/// use tower_async_job_core::Outcome;
///
/// let outcome = Outcome::Failed(Problem::new(ProblemType::JobFailed));
/// assert_eq!(outcome.state(), JobState::Failed);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The handler answered, with whatever status.
    Done(StoredResponse),
    /// The handler answered, and the body was [written](crate::JobStore::write_chunk) in chunks.
    Streamed {
        /// The response without its body, and with its trailers.
        head: StoredResponse,
        /// The number of chunks.
        chunks: u32,
        /// The length of the body in bytes.
        len: u64,
    },
    /// There is no answer: a panic, an error of the service, a broken or oversized body.
    Failed(Problem),
    /// The deadline passed first.
    TimedOut(Problem),
}

impl Outcome {
    /// Returns the state in which the job ends.
    pub const fn state(&self) -> JobState {
        match self {
            Self::Done(_) | Self::Streamed { .. } => JobState::Done,
            Self::Failed(_) => JobState::Failed,
            Self::TimedOut(_) => JobState::TimedOut,
        }
    }
}

/// The end of a run: its outcome, and the last report, stored in one step.
///
/// ```
/// use http_polling::{Problem, ProblemType, Progress};
/// use tower_async_job_core::{End, Outcome, Report};
///
/// let outcome = Outcome::Failed(Problem::new(ProblemType::JobFailed));
/// let end = End::from(outcome).with_report(Report::default().with_progress(Progress::of(3, 4)));
/// assert!(end.report.is_some());
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// The outcome.
    pub outcome: Outcome,
    /// The report that was not stored yet. `None` by default.
    pub report: Option<Report>,
}

impl End {
    /// Adds the report that was not stored yet.
    #[must_use]
    pub fn with_report(mut self, report: Report) -> Self {
        self.report = Some(report);
        self
    }
}

impl From<Outcome> for End {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            report: None,
        }
    }
}

/// A handler's report on its job under way. A member that is `None` leaves what was said before.
///
/// ```
/// use http_polling::Progress;
/// use tower_async_job_core::Report;
///
/// let report = Report::default().with_progress(Progress::fraction(0.5));
/// assert!(report.partial.is_none());
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The progress.
    pub progress: Option<Progress>,
    /// The result so far, replacing the one before.
    pub partial: Option<Json>,
    /// The handler's own members of the status document, an object, replacing all those before.
    pub metadata: Option<Json>,
    /// The run's private note to itself, replacing the one before: no client sees it, and the
    /// next [claim](crate::Claim::checkpoint) of the job gives it back.
    pub checkpoint: Option<Bytes>,
}

impl Report {
    /// Sets the progress.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Sets the result so far.
    #[must_use]
    pub fn with_partial(mut self, partial: impl Into<Json>) -> Self {
        self.partial = Some(partial.into());
        self
    }

    /// Sets the handler's own members of the status document.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.metadata = Some(metadata.into());
        self
    }

    /// Sets the run's private note to itself.
    #[must_use]
    pub fn with_checkpoint(mut self, checkpoint: impl Into<Bytes>) -> Self {
        self.checkpoint = Some(checkpoint.into());
        self
    }
}
