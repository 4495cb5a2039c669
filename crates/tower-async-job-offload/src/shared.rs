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

/// The parts of the store that its tasks share.
pub(crate) struct Shared<S> {
    pub(crate) inner: S,
    pub(crate) objects: Arc<Objects>,
    pub(crate) uploads: Uploads,
    pub(crate) settings: Settings,
}
