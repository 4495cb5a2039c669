//! Failures of statements of an open store.

use std::{error::Error, fmt};

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
            Some(code) => {
                let class = &code.code()[..2];
                // The server ends, starts, or has become a standby.
                matches!(class, "08" | "57" | "58") || *code == SqlState::READ_ONLY_SQL_TRANSACTION
            }
            None => true,
        }
    }

    /// Returns whether the statement is known to have had no effect, and may succeed if repeated.
    pub(crate) fn is_rolled_back(&self) -> bool {
        let is_conflict = matches!(
            self.source.code(),
            Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE)
        );
        let is_standby = self.source.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION);
        // Another call may be done with its connection soon.
        let is_crowded = self.source.code() == Some(&SqlState::TOO_MANY_CONNECTIONS);
        is_conflict || is_standby || self.is_unsent && (self.is_lost() || is_crowded)
    }

    pub(crate) fn into_store_error(self) -> StoreError {
        let is_full = self.source.code() == Some(&SqlState::DISK_FULL);
        let failure = PostgresFailure(self.source);
        match is_full {
            true => StoreError::full().with_source(failure),
            false => StoreError::unavailable(failure),
        }
    }
}

/// The failure of PostgreSQL in an open store.
#[derive(Debug)]
struct PostgresFailure(tokio_postgres::Error);

impl fmt::Display for PostgresFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgreSQL failed")
    }
}

impl Error for PostgresFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
