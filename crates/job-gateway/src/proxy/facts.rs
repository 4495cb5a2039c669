//! The facts of a request that are the same in all of its runs.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::forwarded::Forwarded;

/// The facts of a request that are the same in all of its runs. It is stored with the request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) forwarded: Forwarded,
    /// The name of the server that the client asked.
    pub(crate) host: Option<String>,
    /// The trace to which the request belongs, as `traceparent`.
    pub(crate) trace: String,
    /// The time at which the request was received.
    pub(crate) received: SystemTime,
    /// The time at which the request, or its job, is ended.
    pub(crate) deadline: Option<SystemTime>,
    /// The client asks for an answer before the work is done.
    #[serde(default)]
    pub(crate) prefers_async: bool,
    /// The request may be sent again. One that may not is stored so that its job can be resumed.
    #[serde(default = "yes")]
    pub(crate) is_repeatable: bool,
}

/// Those that were stored without the fact could all be sent again.
fn yes() -> bool {
    true
}

impl Facts {
    /// Returns the time that is left.
    pub(super) fn remaining(&self) -> Option<Duration> {
        let left = self.deadline?.duration_since(SystemTime::now());
        Some(left.unwrap_or_default())
    }
}
