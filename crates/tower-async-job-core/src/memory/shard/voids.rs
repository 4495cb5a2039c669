//! The ids with which no create stores a job for a time.

use std::collections::VecDeque;

use crate::{
    id::{JobId, JobIdMap},
    memory::clock::Micros,
};

/// Ids with the times until which they are void.
#[derive(Debug, Default)]
pub(super) struct Voids {
    ids: JobIdMap<Micros>,
    /// The order in which they are forgotten. An id is there once for each time until which it was
    /// void; only the last counts.
    queue: VecDeque<(Micros, JobId)>,
}

impl Voids {
    pub(super) fn add(&mut self, id: JobId, until: Micros) {
        if self.ids.insert(id, until) != Some(until) {
            self.queue.push_back((until, id));
        }
    }

    pub(super) fn has(&self, id: &JobId, now: Micros) -> bool {
        self.ids.get(id).is_some_and(|until| *until > now)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the time when the next may be forgotten.
    pub(super) fn next(&self) -> Option<Micros> {
        self.queue.front().map(|(until, _)| *until)
    }

    /// Forgets the oldest if its time is over; returns whether it was.
    pub(super) fn forget_one(&mut self, now: Micros) -> bool {
        let Some(&(until, id)) = self.queue.front() else {
            return false;
        };
        if until <= now {
            self.queue.pop_front();
            if self.ids.get(&id) == Some(&until) {
                self.ids.remove(&id);
            }
        }
        until <= now
    }
}
