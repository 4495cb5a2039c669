//! Jobs that could only be resumed, and have nothing to resume from.

use std::{error::Error, fmt};

use http_polling::{Problem, ProblemType};
use tower_async_job_core::Outcome;

/// The error of a run that has no checkpoint, and not the whole request either.
#[derive(Debug)]
pub(crate) struct Unresumable;

impl Unresumable {
    /// Returns the end of its job.
    pub(crate) fn outcome(&self) -> Outcome {
        tracing::warn!("a job is lost: {self}");
        Outcome::Lost(Problem::new(ProblemType::JobLost).with_detail(self.to_string()))
    }
}

impl fmt::Display for Unresumable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "its run ended before it had saved a checkpoint, and the request may not be repeated",
        )
    }
}

impl Error for Unresumable {}
