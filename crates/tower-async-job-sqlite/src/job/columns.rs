//! The row of a job.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicI64, Ordering},
};

use rusqlite::{Row, ToSql, params_from_iter, types::FromSql};
use tower_async_job_core::{JobHandle, JobId, Lease, StoreError};

use super::{numbers::handle_of, owner::StoredOwner, state::State};
use crate::{
    time::Micros,
    transaction::{Failure, Snapshot, Step, Transaction},
};

static FORMAT: AtomicI64 = AtomicI64::new(1);

/// Returns the format of rows that this build writes, and the newest that it reads.
pub(crate) fn newest_format() -> i64 {
    FORMAT.load(Ordering::Relaxed)
}

pub(crate) fn use_next_format() {
    FORMAT.store(2, Ordering::Relaxed);
}

/// Generates the struct of a row from its columns, which have the same names in the file.
macro_rules! columns {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        /// A job, as its row has it; see `version-1.sql`.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct Job {
            $($(#[$doc])* pub(crate) $name: $type,)*
        }

        const NAMES: &[&str] = &[$(stringify!($name),)*];

        impl Job {
            fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
                let mut cells = Cells { row, next: 0 };
                Ok(Self { $($name: cells.next()?,)* })
            }

            fn values(&self) -> [&dyn ToSql; NAMES.len()] {
                [$(&self.$name,)*]
            }

            fn is_changed(&self, before: &Self) -> [bool; NAMES.len()] {
                [$(self.$name != before.$name,)*]
            }
        }
    };
}

columns! {
    key: i64,
    format: i64,
    id: [u8; 16],
    handle: i64,
    state: State,
    /// True if a worker or an outside party has it until `due`.
    held: bool,
    epoch: i64,
    attempt: i64,
    max_attempts: i64,
    reports: i64,
    /// The end of the lease; the time from which it may be claimed, or its deadline; the end of the
    /// retention, of the tombstone, or of the void.
    due: Micros,
    turn: Option<i64>,
    deadline: Micros,
    created: Micros,
    created_day: Micros,
    started: Option<Micros>,
    ended: Option<Micros>,
    keep: Micros,
    tombstone: Micros,
    protocol: i64,
    pending_status: i64,
    route: Arc<str>,
    route_hash: i64,
    owner: StoredOwner,
    owner_hash: i64,
    digest: Option<[u8; 32]>,
    request: Option<i64>,
    /// The format of the request; 0 if it has none.
    request_format: Option<i64>,
    response: Option<i64>,
    body_len: Option<i64>,
    chunks: Option<i64>,
    chunked: bool,
    progress: Option<i64>,
    partial: Option<i64>,
    metadata: Option<i64>,
    checkpoint: Option<i64>,
    notify: Option<i64>,
    notify_due: Option<Micros>,
    notify_attempts: i64,
    notify_state: Option<State>,
    /// The outside party that has the run, also through a node.
    party: Option<[u8; 32]>,
    party_until: Option<Micros>,
    /// True if a node has taken the job over in the party's name.
    resumed: bool,
    /// The second in which the result was last delivered.
    delivered: Option<Micros>,
}

struct Cells<'a> {
    row: &'a Row<'a>,
    next: usize,
}

impl Cells<'_> {
    fn next<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        self.next += 1;
        self.row.get(self.next - 1)
    }
}

/// The columns, for `SELECT`.
pub(crate) static COLUMNS: LazyLock<String> = LazyLock::new(|| NAMES.join(", "));

static SELECT: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {} FROM jobs WHERE key = ?", *COLUMNS));

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let places = vec!["?"; NAMES.len()].join(", ");
    format!("INSERT INTO jobs ({}) VALUES ({places})", *COLUMNS)
});

/// Returns whether a job is pending, without reading it as a whole.
pub(crate) fn is_pending(snapshot: &Snapshot<'_>, id: &JobId) -> Step<bool> {
    let sql = "SELECT state < 2 FROM jobs WHERE key = ? AND id = ?";
    let found = snapshot.one(sql, (key_of(id), id.to_bits().to_be_bytes()))?;
    Ok(found.unwrap_or(false))
}

/// Returns the key of the row that a job with this id has.
pub(crate) fn key_of(id: &JobId) -> i64 {
    (id.to_bits() as u64 >> 1) as i64
}

impl Job {
    /// Finds the job with this id.
    pub(crate) fn find(snapshot: &Snapshot<'_>, id: &JobId) -> Step<Option<Self>> {
        let job = Self::find_by_key(snapshot, key_of(id))?;
        Ok(job.filter(|job| job.id() == *id))
    }

    /// Finds the job in this row.
    pub(crate) fn find_by_key(snapshot: &Snapshot<'_>, key: i64) -> Step<Option<Self>> {
        let found = snapshot.row(&SELECT, [key], |row| Ok(Self::of_row(snapshot, row)))?;
        found.transpose()
    }

    /// Reads a row of [`COLUMNS`].
    pub(crate) fn of_row(snapshot: &Snapshot<'_>, row: &Row<'_>) -> Step<Self> {
        let format: i64 = row.get("format").map_err(Failure::corrupt)?;
        if format > newest_format() {
            let format = u32::try_from(format).unwrap_or(u32::MAX);
            return Err(StoreError::unsupported_version(format).into());
        }
        let mut job = Self::from_row(row).map_err(Failure::corrupt)?;
        if let Some(delivery) = snapshot.notes.and_then(|notes| notes.of(&job.id())) {
            job.deliver(&delivery);
        }
        Ok(job)
    }

    /// Finds the pending job that this lease holds.
    pub(crate) fn find_held(snapshot: &Snapshot<'_>, lease: &Lease) -> Step<Self> {
        let job = Self::find(snapshot, &lease.id)?;
        let held = job.filter(|job| job.is_held_by(lease));
        held.ok_or_else(|| StoreError::lease_lost().into())
    }

    pub(crate) fn insert(&self, transaction: &Transaction<'_>) -> Step<()> {
        transaction.execute(&INSERT, params_from_iter(self.values()))?;
        if self.turn.is_some() {
            transaction.note_claimable();
        }
        Ok(())
    }

    /// Prolongs a lease; returns whether it is held. There are many renewals, so this is one
    /// statement, which touches one index.
    pub(crate) fn renew(transaction: &Transaction<'_>, lease: &Lease, until: Micros) -> Step<bool> {
        let sql = "UPDATE jobs SET due = ? WHERE key = ? AND id = ? AND epoch = ? \
                   AND state < 2 AND held = 1 AND format <= ?";
        let id = lease.id.to_bits().to_be_bytes();
        let parameters = (
            until,
            key_of(&lease.id),
            id,
            lease.epoch as i64,
            newest_format(),
        );
        Ok(transaction.execute(sql, parameters)? == 1)
    }

    /// Changes the job, and stores the changed columns.
    pub(crate) fn edit<T>(
        self,
        transaction: &Transaction<'_>,
        change: impl FnOnce(&mut Self) -> Step<T>,
    ) -> Step<T> {
        let mut job = self.clone();
        let result = change(&mut job)?;
        job.save(transaction, &self)?;
        Ok(result)
    }

    /// Stores the changed columns, so that SQLite leaves the other indexes alone. Deletes the parts
    /// that the row no longer has.
    fn save(&mut self, transaction: &Transaction<'_>, before: &Self) -> Step<()> {
        if before.chunked && !self.keeps_chunks_of(before.epoch) {
            self.chunked = false;
            transaction.leave_chunks(self.key)?;
        }
        let changed = self.is_changed(before);
        let changed = || changed.iter().enumerate().filter(|(_, changed)| **changed);
        if changed().next().is_none() {
            return Ok(());
        }
        let mut sql = "UPDATE jobs SET ".to_owned();
        for (place, (column, _)) in changed().enumerate() {
            if place > 0 {
                sql.push_str(", ");
            }
            sql.push_str(NAMES[column]);
            sql.push_str(" = ?");
        }
        sql.push_str(" WHERE key = ?");
        let values = self.values();
        let values = changed().map(|(column, _)| values[column]);
        let key: &dyn ToSql = &self.key;
        transaction.execute(&sql, params_from_iter(values.chain([key])))?;

        let after = self.parts();
        for (part, _) in before.parts().iter().zip(after).filter(|(a, b)| **a != *b) {
            self.delete_part(transaction, *part)?;
        }
        if before.is_pending() && !self.is_pending() {
            transaction.note_end(self.id());
        }
        let is_due = self.notify_due.is_some() && self.notify_due != before.notify_due;
        if self.turn.is_some() && before.turn.is_none() || is_due {
            transaction.note_claimable();
        }
        Ok(())
    }

    /// Deletes the row with all that belongs to it, except for chunks, which linger.
    pub(crate) fn delete(&self, transaction: &Transaction<'_>) -> Step<()> {
        transaction.execute("DELETE FROM jobs WHERE key = ?", [self.key])?;
        for part in self.parts() {
            self.delete_part(transaction, part)?;
        }
        self.forget_key(transaction)?;
        if self.chunked {
            transaction.leave_chunks(self.key)?;
        }
        if self.is_pending() {
            transaction.note_end(self.id());
        }
        Ok(())
    }

    fn delete_part(&self, transaction: &Transaction<'_>, part: Option<i64>) -> Step<()> {
        if let Some(part) = part {
            let sql = "DELETE FROM parts WHERE id = ? AND job = ?";
            transaction.execute(sql, [part, self.key])?;
        }
        Ok(())
    }

    /// Frees the idempotency key, unless it belongs to another job by now.
    pub(crate) fn forget_key(&self, transaction: &Transaction<'_>) -> Step<()> {
        if let Some(digest) = &self.digest {
            let sql = "DELETE FROM keys WHERE digest = ? AND job = ?";
            transaction.execute(sql, (digest, self.key))?;
        }
        Ok(())
    }

    fn parts(&self) -> [Option<i64>; 7] {
        [
            self.request,
            self.response,
            self.progress,
            self.partial,
            self.metadata,
            self.checkpoint,
            self.notify,
        ]
    }

    pub(crate) fn id(&self) -> JobId {
        JobId::from_bits(u128::from_be_bytes(self.id))
    }

    pub(crate) fn handle(&self) -> JobHandle {
        handle_of(self.handle)
    }

    pub(crate) fn lease(&self) -> Lease {
        Lease::new(self.id(), self.epoch.unsigned_abs())
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.state.is_pending()
    }

    pub(crate) fn has_epoch(&self, lease: &Lease) -> bool {
        u64::try_from(self.epoch) == Ok(lease.epoch)
    }

    /// Returns whether the lease holds the job.
    pub(crate) fn is_held_by(&self, lease: &Lease) -> bool {
        self.is_pending() && self.held && self.has_epoch(lease)
    }

    /// Returns whether the chunks of this epoch are, or may become, its result.
    fn keeps_chunks_of(&self, epoch: i64) -> bool {
        self.epoch == epoch && (self.is_pending() || self.chunks.is_some())
    }
}
