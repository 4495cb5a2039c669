//! Deliveries: results that clients read to their end.

use std::{fmt, sync::Arc, time::Duration};

use tower_async_job_core::{JobId, JobStore};

use crate::{panics, time::alarm::Alarm};

pub(crate) struct Deliveries {
    store: Arc<dyn JobStore>,
    /// The time for which a delivered result is kept.
    keep: Option<Duration>,
    alarm: Arc<Alarm>,
}

impl Deliveries {
    pub(crate) fn new(store: Arc<dyn JobStore>, keep: Option<Duration>, alarm: Arc<Alarm>) -> Self {
        Self { store, keep, alarm }
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
}

impl Delivery {
    pub(crate) fn new(deliveries: Arc<Deliveries>, id: JobId) -> Self {
        Self { deliveries, id }
    }

    pub(crate) fn complete(self) {
        self.deliveries.note(&self.id);
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").finish_non_exhaustive()
    }
}
