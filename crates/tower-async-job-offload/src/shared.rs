//! The parts of the store that its tasks share.

use std::{sync::Arc, time::Duration};

use tower_async_job_core::Clock;

use crate::{object::Objects, upload::Uploads};

/// The settings of the store.
pub(crate) struct Settings {
    pub(crate) threshold: u64,
    pub(crate) retention: Duration,
    pub(crate) timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Settings {
    /// Returns the bytes of one result that are in memory at most, beside the chunk that is written:
    /// the threshold or two parts, one chunk beyond them, and one that waits.
    pub(crate) fn held(&self, part: usize, chunk: usize) -> usize {
        let threshold = usize::try_from(self.threshold).unwrap_or(usize::MAX);
        let gathered = threshold.max(part.saturating_mul(2));
        gathered.saturating_add(chunk.saturating_mul(2))
    }
}

/// The parts of the store that its tasks share.
pub(crate) struct Shared<S> {
    pub(crate) inner: S,
    pub(crate) objects: Arc<Objects>,
    pub(crate) uploads: Uploads,
    pub(crate) settings: Settings,
}
