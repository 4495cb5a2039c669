//! Histories: what concurrent callers were told, in the order in which they asked and were answered.
//!
//! A history is checked against what any order of its calls could have answered: no answer may be
//! older than an acknowledged change, epochs and versions rise, ends stay, and one result is seen.

mod check;
mod random;

pub(crate) use check::check;
pub(crate) use random::record;

use http_polling::JobState;
use tower_async_job_core::{JobId, Lease};

/// One call and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// The time before which it was not called, by a clock of all callers.
    pub(crate) began: u64,
    /// The time by which it was answered.
    pub(crate) ended: u64,
    /// The job.
    pub(crate) id: JobId,
    /// The answer.
    pub(crate) fact: Fact,
}

/// An acknowledged change, or what was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fact {
    /// A job was made, by this number of an idempotency key.
    Made { key: usize },
    /// The job was claimed.
    Claimed { lease: Lease },
    /// A holder reported this progress, which no other report has.
    Reported { lease: Lease, progress: u64 },
    /// The holder finished it with a result of this mark.
    Finished { lease: Lease, mark: u64 },
    /// It was cancelled.
    Cancelled,
    /// It was read.
    Read(Option<Seen>),
}

/// A record, as far as histories look at it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) version: u64,
    pub(crate) epoch: u64,
    pub(crate) state: JobState,
    pub(crate) progress: Option<u64>,
    pub(crate) mark: Option<u64>,
}

impl Event {
    /// Returns whether it was answered before the other was called.
    fn precedes(&self, later: &Self) -> bool {
        self.ended < later.began
    }
}
