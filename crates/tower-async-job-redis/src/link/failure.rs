//! Failures of commands.

use redis::{ErrorKind, RedisError, ServerErrorKind};
use tower_async_job_core::StoreError;

/// The further course of a command that failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The server refused it.
    Final,
    /// The server could not perform it yet.
    Repeat,
    /// The connection cannot be used any more.
    Reconnect,
}

/// A failure of all attempts.
#[derive(Debug)]
pub(super) enum Failed {
    /// The server refused it.
    Refused(StoreError),
    Unanswered(StoreError),
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Refused(error) | Failed::Unanswered(error) => error,
        }
    }
}

pub(super) fn fate(error: &RedisError) -> Fate {
    match error.kind() {
        _ if is_of_replica(error) => Fate::Reconnect,
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask,
        ) => Fate::Repeat,
        ErrorKind::Io | ErrorKind::ClusterConnectionNotFound | ErrorKind::Parse => Fate::Reconnect,
        // Another client's script takes long.
        _ if error.code() == Some("BUSY") => Fate::Repeat,
        _ => Fate::Final,
    }
}

/// Returns whether the server is a replica, so that its master is another one.
pub(super) fn is_of_replica(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Converts the refusal of a server.
pub(crate) fn store_error(error: RedisError) -> StoreError {
    if error.code() == Some("OOM") {
        StoreError::full().with_source(error)
    } else {
        StoreError::unavailable(error)
    }
}
