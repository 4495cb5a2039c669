//! The jobs that a store has ended by itself, until it reports them.

use std::sync::{Mutex, PoisonError};

use crate::id::JobId;

/// The jobs that the calls of one handle of a store have ended since its latest sweep, for
/// [`Upkeep::ended`](crate::Upkeep::ended). Stores note them once they are committed.
///
/// ```
/// use tower_async_job_core::{EndedJobs, JobId};
///
/// let (ended, id) = (EndedJobs::default(), JobId::random());
/// ended.note([id]);
/// assert_eq!(ended.take(), [id]);
/// assert!(ended.take().is_empty());
/// ```
#[derive(Debug, Default)]
pub struct EndedJobs(Mutex<Vec<JobId>>);

impl EndedJobs {
    /// The number of jobs that are kept. Others are not noted.
    pub const MAX: usize = 1_000;

    /// Notes jobs.
    pub fn note(&self, ids: impl IntoIterator<Item = JobId>) {
        let mut ids = ids.into_iter().peekable();
        if ids.peek().is_some() {
            let mut ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let room = Self::MAX - ended.len();
            ended.extend(ids.take(room));
        }
    }

    /// Returns the jobs that were noted since the call before.
    pub fn take(&self) -> Vec<JobId> {
        let mut ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_jobs_are_kept_than_the_limit() {
        let ended = EndedJobs::default();
        let id = JobId::from_bits;
        ended.note((0..900).map(id));
        ended.note((900..3_000).map(id));
        assert!(ended.take().into_iter().eq((0..1_000).map(id)));
        ended.note([id(1)]);
        assert_eq!(ended.take(), [id(1)]);
    }
}
