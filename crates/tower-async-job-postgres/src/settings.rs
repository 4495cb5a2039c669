use std::time::Duration;

/// The settings of an open store.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) schema: String,
    pub(crate) lease: Duration,
    pub(crate) operation_timeout: Duration,
    pub(crate) connections: usize,
}
