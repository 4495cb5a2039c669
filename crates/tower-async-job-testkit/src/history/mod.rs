//! Histories: the answers to concurrent callers, with the times of calls and answers.
//!
//! A history is checked against all possible orders of its calls: no answer is older than an
//! acknowledged change, epochs and versions rise, ends are final, and all readers see one result.

mod check;
mod random;

pub(crate) use check::check;
pub(crate) use random::record;

use http_polling::JobState;
use tower_async_job_core::{JobId, Lease};

/// One call and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// A time before the call, by a clock shared by all callers.
    pub(crate) began: u64,
    /// A time after the answer.
    pub(crate) ended: u64,
    /// The job.
    pub(crate) id: JobId,
    /// The answer.
    pub(crate) fact: Fact,
}

/// An acknowledged change, or the result of a read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fact {
    /// A job was created with this number of an idempotency key.
    Made { key: usize },
    /// The job was claimed.
    Claimed { lease: Lease },
    /// A holder reported this progress, which is unique among reports.
    Reported { lease: Lease, progress: u64 },
    /// The holder finished it with a result that has this mark.
    Finished { lease: Lease, mark: u64 },
    /// It was cancelled.
    Cancelled,
    /// It was read.
    Read(Option<Seen>),
}

/// The parts of a record that histories check.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) version: u64,
    pub(crate) epoch: u64,
    pub(crate) state: JobState,
    pub(crate) progress: Option<u64>,
    pub(crate) mark: Option<u64>,
}

impl Event {
    /// Returns whether this was answered before the other was called.
    fn precedes(&self, later: &Self) -> bool {
        self.ended < later.began
    }
}
