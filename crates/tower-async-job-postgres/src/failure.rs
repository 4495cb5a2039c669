//! Failures of statements of an open store.

use std::{error::Error, fmt, time::Duration};

use tokio_postgres::error::SqlState;
use tower_async_job_core::StoreError;

/// The failure of one attempt of a statement.
#[derive(Debug)]
pub(crate) struct Failure {
    source: tokio_postgres::Error,
    /// True if the statement was not sent.
    is_unsent: bool,
}

impl Failure {
    pub(crate) fn unsent(source: tokio_postgres::Error) -> Self {
        Self {
            source,
            is_unsent: true,
        }
    }

    pub(crate) fn sent(source: tokio_postgres::Error) -> Self {
        Self {
            source,
            is_unsent: false,
        }
    }

    /// Returns whether the connection is of no more use.
    pub(crate) fn is_lost(&self) -> bool {
        match self.source.code() {
            // The server ends or starts.
            Some(code) => matches!(&code.code()[..2], "08" | "57" | "58") || self.is_standby(),
            None => true,
        }
    }

    /// Returns whether the server has become a standby. The second code is that of a read.
    fn is_standby(&self) -> bool {
        matches!(
            self.source.code(),
            Some(
                &SqlState::READ_ONLY_SQL_TRANSACTION | &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE
            )
        )
    }

    /// Returns whether the statement is known to have had no effect, and may succeed if repeated.
    pub(crate) fn is_rolled_back(&self) -> bool {
        let is_conflict = matches!(
            self.source.code(),
            Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE)
        );
        // Another call may be done with its connection soon.
        let is_crowded = self.source.code() == Some(&SqlState::TOO_MANY_CONNECTIONS);
        is_conflict || self.is_standby() || self.is_unsent && (self.is_lost() || is_crowded)
    }

    /// Returns the error of a call of this function of this server.
    pub(crate) fn into_store_error(self, function: &'static str, server: &str) -> StoreError {
        let is_full = self.source.code() == Some(&SqlState::DISK_FULL);
        let failure = PostgresFailure {
            function,
            server: server.to_owned(),
            source: self.source,
        };
        match is_full {
            true => StoreError::full().with_source(failure),
            false => StoreError::unavailable(failure),
        }
    }
}

/// Returns the error of a call that this server did not answer within this time.
pub(crate) fn late(server: &str, limit: Duration) -> StoreError {
    StoreError::unavailable(format!(
        "PostgreSQL at `{server}` did not answer within {limit:?}: check that the server and the \
         network respond, or set more `connections` or a longer `operation_timeout`"
    ))
}

/// The failure of PostgreSQL in an open store.
#[derive(Debug)]
struct PostgresFailure {
    function: &'static str,
    server: String,
    source: tokio_postgres::Error,
}

impl fmt::Display for PostgresFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            function, server, ..
        } = self;
        write!(f, "PostgreSQL at `{server}` failed to perform `{function}`")
    }
}

impl Error for PostgresFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
