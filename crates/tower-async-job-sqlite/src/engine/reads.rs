//! The queue of the readers.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use tower_async_job_core::{Detail, JobId, JobRecord};

use super::{queue::Refused, slot::Reply};
use crate::transaction::Snapshot;

/// The maximum number of calls that wait.
const WAITING: usize = 65_536;

/// A question about any jobs.
pub(crate) type Query = Box<dyn FnOnce(&Snapshot<'_>) + Send>;

/// A job, and the part of it that is read.
pub(crate) type Wanted = (JobId, Detail);

type Waiting = Vec<Reply<Option<JobRecord>>>;

/// The work of a reader.
pub(crate) enum Read {
    /// One job is read once for all these calls.
    Record(Wanted, Waiting),
    Query(Query),
}

enum Place {
    Record(Wanted),
    Query(Query),
}

/// The reads that wait. Those of one job share a read that has not begun, so that none returns a
/// state older than its call.
#[derive(Default)]
pub(crate) struct Reads {
    inner: Mutex<Inner>,
    arrival: Condvar,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<Place>,
    records: HashMap<Wanted, Waiting>,
    calls: usize,
    is_closed: bool,
}

impl Reads {
    pub(crate) fn push_record(
        &self,
        wanted: Wanted,
        reply: Reply<Option<JobRecord>>,
    ) -> Result<(), Refused> {
        let mut inner = self.lock();
        inner.admit()?;
        let waiting = inner.records.entry(wanted).or_default();
        waiting.push(reply);
        if waiting.len() == 1 {
            inner.queue.push_back(Place::Record(wanted));
            drop(inner);
            self.arrival.notify_one();
        }
        Ok(())
    }

    pub(crate) fn push_query(&self, query: Query) -> Result<(), Refused> {
        let mut inner = self.lock();
        inner.admit()?;
        inner.queue.push_back(Place::Query(query));
        drop(inner);
        self.arrival.notify_one();
        Ok(())
    }

    /// Waits for reads, and takes some. Takes none once the queue is closed and empty.
    pub(crate) fn take(&self, limit: usize) -> Vec<Read> {
        let mut inner = self.lock();
        while inner.queue.is_empty() && !inner.is_closed {
            inner = self
                .arrival
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let mut taken = Vec::new();
        while taken.len() < limit
            && let Some(place) = inner.queue.pop_front()
        {
            taken.push(match place {
                Place::Record(wanted) => {
                    let waiting = inner.records.remove(&wanted).unwrap_or_default();
                    inner.calls -= waiting.len();
                    Read::Record(wanted, waiting)
                }
                Place::Query(query) => {
                    inner.calls -= 1;
                    Read::Query(query)
                }
            });
        }
        taken
    }

    /// Returns the number of reads that have not begun.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    /// Closes the queue: what is in it can still be taken.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.arrival.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn admit(&mut self) -> Result<(), Refused> {
        if self.is_closed {
            return Err(Refused::Closed);
        }
        if self.calls >= WAITING {
            return Err(Refused::Full);
        }
        self.calls += 1;
        Ok(())
    }
}
