use std::{path::PathBuf, sync::Arc, time::Duration};

use tower_async_job_core::Clock;

/// The level of SQLite at which commits wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Synchronous {
    /// No commit waits, and no checkpoint.
    Off,
    /// No commit waits. It is durable with the next one that does, or the next checkpoint.
    Normal,
    /// Each commit waits.
    Full,
}

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
    pub(crate) synchronous: Synchronous,
    pub(crate) clock: Arc<dyn Clock>,
}
