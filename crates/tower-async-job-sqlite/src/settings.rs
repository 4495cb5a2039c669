use std::{path::PathBuf, sync::Arc, time::Duration};

use tower_async_job_core::Clock;

/// The settings of an open store.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) path: PathBuf,
    pub(crate) lease: Duration,
    pub(crate) operation_timeout: Duration,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_log_bytes: u64,
    pub(crate) readers: usize,
    pub(crate) page_size: Option<u32>,
    pub(crate) clock: Arc<dyn Clock>,
}
