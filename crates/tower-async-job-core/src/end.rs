use bytes::Bytes;
use http_polling::{JobState, Problem, Progress};
use serde_json::{Map, Value};

use crate::{json::Json, message::StoredResponse};

/// The outcome of a run.
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
    /// The handler answered, with any status.
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
    /// No answer: a panic, an error of the service, or a broken or oversized body.
    Failed(Problem),
    /// The deadline passed before an answer.
    TimedOut(Problem),
    /// The run ended without an answer, as if its worker had crashed, and the work may not be
    /// repeated.
    Lost(Problem),
}

impl Outcome {
    /// Returns the state in which the job ends.
    pub const fn state(&self) -> JobState {
        match self {
            Self::Done(_) | Self::Streamed { .. } => JobState::Done,
            Self::Failed(_) => JobState::Failed,
            Self::TimedOut(_) => JobState::TimedOut,
            Self::Lost(_) => JobState::Lost,
        }
    }
}

/// The end of a run: its outcome, and its last report, stored in one step.
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
    /// The last report, if not stored yet. `None` by default.
    pub report: Option<Report>,
}

impl End {
    /// Adds the last report, if not stored yet.
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

/// A handler's report on its running job. A field that is `None` leaves the stored value unchanged.
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
    /// The partial result, which replaces the previous one.
    pub partial: Option<Json>,
    /// The handler's own members of the status document, an object, which replaces the previous
    /// one.
    pub metadata: Option<Json>,
    /// The run's private checkpoint, which replaces the previous one. Clients never see it; the
    /// job's next [claim](crate::Claim::checkpoint) returns it.
    pub checkpoint: Option<Bytes>,
}

impl Report {
    /// Sets the progress.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Sets the partial result.
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

    /// Sets the run's private checkpoint.
    #[must_use]
    pub fn with_checkpoint(mut self, checkpoint: impl Into<Bytes>) -> Self {
        self.checkpoint = Some(checkpoint.into());
        self
    }
}
