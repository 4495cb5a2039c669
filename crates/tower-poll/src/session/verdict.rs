//! The meaning of an answer.

use http_polling::{JobState, Problem};

use crate::dialect::Interim;

#[derive(Debug)]
pub(crate) enum Verdict {
    /// There will be another poll.
    Pending(Interim),
    /// The response, to be passed up as it is.
    Final,
    /// The answer of a poll that failed and is not repeated: passed up too,
    /// with the job.
    GivenUp,
    /// Its head leaves it open.
    NeedsBody,
    /// The job has ended without a response of its own.
    Ended(JobState, Option<Box<Problem>>),
    /// The credentials are no longer accepted.
    Unauthorized,
}
