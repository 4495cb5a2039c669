//! The schema of the file, and the migrations to it.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tower_async_job_core::StoreError;

use crate::error::{OpenError, store_error};

/// The number by which the file is recognised.
const APPLICATION_ID: i64 = 0x746a_6f62;

/// The steps to each version from the previous one. Released steps never change.
const STEPS: &[&str] = &[include_str!("version-1.sql")];

/// Brings the schema to the latest version, in one transaction, so that processes that do so at
/// once do it once.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::of_sql(path, error);
    if check(connection, path)? == STEPS.len() {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    // Another process may have been first.
    let version = version(&transaction, path)?;
    apply(transaction, version).map_err(failed)
}

fn apply(transaction: Transaction<'_>, version: usize) -> rusqlite::Result<()> {
    for step in &STEPS[version..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", STEPS.len() as i64)?;
    transaction.commit()
}

/// Returns the version of the schema, which is 0 for an empty file. Fails if the file is not a
/// store's.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<usize, OpenError> {
    // Another process may be creating the tables.
    let snapshot = connection.unchecked_transaction();
    let snapshot = snapshot.map_err(|error| OpenError::of_sql(path, error))?;
    version(&snapshot, path)
}

/// Fails if a newer release has migrated the file since it was opened, within a transaction.
pub(crate) fn check_again(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let version = || {
        let mut statement = connection.prepare_cached("PRAGMA user_version")?;
        statement.query_row([], |row| row.get(0))
    };
    let version: i64 = version().map_err(|error| store_error(path, error))?;
    if version > STEPS.len() as i64 {
        return Err(StoreError::unavailable(newer(path, version)));
    }
    Ok(())
}

fn newer(path: &Path, version: i64) -> OpenError {
    OpenError::newer(path, version, STEPS.len() as i64)
}

/// Returns the version of the schema, within a transaction.
pub(crate) fn version(connection: &Connection, path: &Path) -> Result<usize, OpenError> {
    let failed = |error| OpenError::of_sql(path, error);
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let application = number("application_id").map_err(failed)?;
    let version = number("user_version").map_err(failed)?;
    let tables = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = connection
        .query_row(tables, [], |row| row.get(0))
        .map_err(failed)?;
    match (application, usize::try_from(version)) {
        (APPLICATION_ID, Ok(version)) if version <= STEPS.len() => Ok(version),
        (APPLICATION_ID, _) => Err(newer(path, version)),
        (0, Ok(0)) if tables == 0 => Ok(0),
        _ => Err(OpenError::foreign(path)),
    }
}
