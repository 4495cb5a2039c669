use std::time::Duration;

use crate::time::{Micros, StoreClock, micros};

/// The settings of an open store.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) lease: Duration,
    pub(crate) operation_timeout: Duration,
    /// The interval between two checks of all that is watched, whatever was noticed.
    pub(crate) fallback: Duration,
    pub(crate) clock: StoreClock,
    /// The means by which a change becomes durable before it is acknowledged.
    pub(crate) durability: Durability,
}

impl Settings {
    pub(crate) fn lease_micros(&self) -> Micros {
        micros(self.lease)
    }
}

/// The confirmations that a change waits for, beside the answer of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Durability {
    /// True if the server has to be asked whether its file is flushed.
    pub(crate) flush: bool,
    /// The number of replicas that must have the change.
    pub(crate) replicas: u32,
}
