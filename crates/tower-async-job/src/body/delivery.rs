//! Deliveries: results that clients read to their end.

use std::{fmt, sync::Arc, time::Duration};

use tower_async_job_core::{JobId, JobStore};

use crate::{observe::recent::Recent, panics, time::alarm::Alarm};

pub(crate) struct Deliveries {
    store: Arc<dyn JobStore>,
    /// The time for which a delivered result is kept.
    keep: Option<Duration>,
    alarm: Arc<Alarm>,
    /// The positions up to which results were read from their first bytes, but not to their end.
    read: Recent<u64>,
}

impl Deliveries {
    pub(crate) fn new(store: Arc<dyn JobStore>, keep: Option<Duration>, alarm: Arc<Alarm>) -> Self {
        Self {
            store,
            keep,
            alarm,
            read: Recent::default(),
        }
    }

    /// Returns the delivery of a result from this position on, if all before it was read here.
    pub(crate) fn from(self: &Arc<Self>, id: &JobId, first: u64) -> Option<Delivery> {
        let continues = first == 0 || first <= self.read.find(id).unwrap_or(0);
        continues.then(|| Delivery {
            deliveries: self.clone(),
            id: *id,
            end: first,
        })
    }

    fn note(&self, id: &JobId) {
        let _ = panics::catching("the store", || self.store.note_delivery(id, self.keep));
        if let Some(keep) = self.keep {
            self.alarm.within(keep);
        }
    }
}

/// The delivery of one result, to be completed once it is read.
#[derive(Clone)]
pub(crate) struct Delivery {
    deliveries: Arc<Deliveries>,
    id: JobId,
    /// The position at which its body ends.
    end: u64,
}

impl Delivery {
    pub(crate) fn complete(self) {
        self.deliveries.note(&self.id);
    }

    /// Returns it with a body of this length.
    pub(super) fn of(mut self, len: u64) -> Self {
        self.end += len;
        self
    }

    /// Notes that the body broke off before its last bytes.
    #[cold]
    pub(super) fn break_off(self, left: u64) {
        let (read, reached) = (&self.deliveries.read, self.end - left);
        if read.find(&self.id).unwrap_or(0) < reached {
            read.insert(self.id, reached);
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").finish_non_exhaustive()
    }
}
