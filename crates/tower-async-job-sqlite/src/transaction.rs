//! Transactions, as operations see them.

use std::{cell::RefCell, fmt, ops::Deref};

use http_polling::JobState;
use rusqlite::{
    Connection, OptionalExtension, Params, Row, Statement, StatementStatus, types::FromSql,
};
use tower_async_job_core::{CHUNKS_LINGER, JobId, StoreError};

use crate::{
    notes::Notes,
    time::{Micros, micros},
};

/// The reason why an operation was not performed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The store refuses it.
    Refused(StoreError),
    /// SQLite failed.
    Sql(rusqlite::Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Failure {
    /// Creates the failure of a record that cannot be read.
    pub(crate) fn corrupt(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Refused(StoreError::corrupt(source))
    }

    pub(crate) fn is_corrupt(&self) -> bool {
        matches!(self, Self::Refused(error) if error.is_corrupt())
    }

    pub(crate) fn is_unsupported(&self) -> bool {
        matches!(self, Self::Refused(error) if error.is_unsupported_version())
    }
}

/// The result of a part of an operation.
pub(crate) type Step<T> = Result<T, Failure>;

/// A consistent view of the file, at one time.
pub(crate) struct Snapshot<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) now: Micros,
    /// The deliveries that are not written yet; `None` within a transaction, which writes them.
    pub(crate) notes: Option<&'a Notes>,
}

impl Snapshot<'_> {
    /// Returns the first column of the first row.
    pub(crate) fn one<T: FromSql>(&self, sql: &str, parameters: impl Params) -> Step<Option<T>> {
        self.row(sql, parameters, |row| row.get(0))
    }

    /// Returns the first row.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Step<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let row = statement.query_row(parameters, read).optional()?;
        assert_no_scan(&statement, sql);
        Ok(row)
    }

    /// Returns all rows.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Step<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(parameters, read)?;
        let rows = rows.collect::<Result<_, _>>()?;
        assert_no_scan(&statement, sql);
        Ok(rows)
    }

    /// Returns the contents of a part of a job, which must exist.
    pub(crate) fn part(&self, job: i64, id: i64) -> Step<Vec<u8>> {
        let sql = "SELECT data FROM parts WHERE id = ? AND job = ?";
        let found = self.one(sql, [id, job])?;
        found.ok_or_else(|| Failure::corrupt("a part of it is missing"))
    }
}

impl fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("now", &self.now).finish()
    }
}

/// Checks in tests that a statement has found its rows by an index, unless it counts all of some.
fn assert_no_scan(statement: &Statement<'_>, sql: &str) {
    if cfg!(debug_assertions) {
        let steps = statement.reset_status(StatementStatus::FullscanStep);
        let counts = sql.contains("GROUP BY") || sql.contains("nodes");
        assert!(steps == 0 || counts, "{steps} rows are scanned: {sql}");
    }
}

/// A transaction of the writer.
pub(crate) struct Transaction<'a> {
    snapshot: Snapshot<'a>,
    /// The time of day, for people to read.
    pub(crate) day: Micros,
    /// The duration of a lease.
    pub(crate) lease: Micros,
    effects: RefCell<Effects>,
}

/// The events to notify of after the commit.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// The jobs that are no longer pending.
    pub(crate) ended: Vec<JobId>,
    /// The number of tasks that have become claimable.
    pub(crate) claimable: usize,
    /// The number of jobs that have ended because a lease lapsed.
    pub(crate) lost: u64,
    /// The jobs that have ended because a lease lapsed or a deadline passed.
    pub(crate) lapsed: Vec<JobId>,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(connection: &'a Connection, now: Micros, day: Micros, lease: Micros) -> Self {
        Self {
            snapshot: Snapshot {
                connection,
                now,
                notes: None,
            },
            day,
            lease,
            effects: RefCell::default(),
        }
    }

    /// Sets the time for the operations that follow, which have arrived since.
    pub(crate) fn advance(&mut self, now: Micros) {
        self.snapshot.now = self.snapshot.now.max(now);
    }

    /// Executes a statement, and returns the number of changed rows.
    pub(crate) fn execute(&self, sql: &str, parameters: impl Params) -> Step<usize> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let changed = statement.execute(parameters)?;
        assert_no_scan(&statement, sql);
        Ok(changed)
    }

    /// Adds a part of a job, and returns its id.
    pub(crate) fn add_part(&self, job: i64, data: &[u8]) -> Step<i64> {
        let sql = "INSERT INTO parts (job, data) VALUES (?, ?)";
        self.execute(sql, (job, data))?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Leaves the chunks of a job's latest run without a job.
    pub(crate) fn leave_chunks(&self, job: i64) -> Step<()> {
        let until = self.now.saturating_add(micros(CHUNKS_LINGER));
        let sql = "UPDATE bodies SET linger = ? WHERE job = ? AND linger IS NULL";
        self.execute(sql, [until, job])?;
        Ok(())
    }

    /// Notes that a job is no longer pending.
    pub(crate) fn note_end(&self, id: JobId) {
        self.effects.borrow_mut().ended.push(id);
    }

    /// Notes that a task has become claimable.
    pub(crate) fn note_claimable(&self) {
        self.effects.borrow_mut().claimable += 1;
    }

    /// Notes that a job has ended because a lease lapsed or its deadline passed.
    pub(crate) fn note_lapse(&self, id: JobId, state: JobState) {
        let mut effects = self.effects.borrow_mut();
        effects.lapsed.push(id);
        effects.lost += u64::from(matches!(state, JobState::Lost | JobState::Failed));
    }

    /// Performs a part of the transaction, without effects if it fails.
    pub(crate) fn attempt<T>(&self, act: impl FnOnce(&Self) -> Step<T>) -> Step<T> {
        let (ended, claimable, lost, lapsed) = {
            let effects = self.effects.borrow();
            let (ended, lapsed) = (effects.ended.len(), effects.lapsed.len());
            (ended, effects.claimable, effects.lost, lapsed)
        };
        let result = act(self);
        if result.is_err() {
            let mut effects = self.effects.borrow_mut();
            effects.ended.truncate(ended);
            effects.claimable = claimable;
            effects.lost = lost;
            effects.lapsed.truncate(lapsed);
        }
        result
    }

    pub(crate) fn into_effects(self) -> Effects {
        self.effects.into_inner()
    }
}

impl<'a> Deref for Transaction<'a> {
    type Target = Snapshot<'a>;

    fn deref(&self) -> &Snapshot<'a> {
        &self.snapshot
    }
}
