//! Bodies in chunks.

use tower_async_job_core::{CHUNKS_LINGER, Lease};

use super::columns::{Job, key_of};
use crate::{
    time::{Micros, SECOND, micros},
    transaction::{Snapshot, Step, Transaction},
};

/// The number of chunks that are deleted at once.
const DELETED_AT_ONCE: usize = 64;

impl Job {
    /// Writes a chunk of the run that holds the job.
    pub(crate) fn write_chunk(
        self,
        transaction: &Transaction<'_>,
        number: u32,
        data: &[u8],
    ) -> Step<()> {
        let (key, epoch) = (self.key, self.epoch);
        self.edit(transaction, |job| {
            if !job.chunked {
                let sql = "INSERT OR IGNORE INTO bodies (job, epoch) VALUES (?, ?)";
                transaction.execute(sql, [key, epoch])?;
                job.chunked = true;
            }
            Ok(())
        })?;
        let sql = "INSERT OR REPLACE INTO chunks (job, epoch, number, data) VALUES (?, ?, ?, ?)";
        transaction.execute(sql, (key, epoch, number, data))?;
        Ok(())
    }
}

/// A chunk, and whether its read has to be [noted](note_read).
pub(crate) type ReadChunk = (Option<Vec<u8>>, bool);

/// Reads a chunk.
pub(crate) fn read_chunk(snapshot: &Snapshot<'_>, lease: &Lease, number: u32) -> Step<ReadChunk> {
    let key = key_of(&lease.id);
    let epoch = lease.epoch as i64;
    let sql = "SELECT data FROM chunks WHERE job = ? AND epoch = ? AND number = ?";
    let data: Option<Vec<u8>> = snapshot.one(sql, (key, epoch, number))?;
    if data.is_none() {
        return Ok((None, false));
    }
    let sql = "SELECT linger FROM bodies WHERE job = ? AND epoch = ?";
    let linger: Option<Micros> = snapshot.one(sql, [key, epoch])?.flatten();
    let wanted = snapshot.now.saturating_add(micros(CHUNKS_LINGER));
    let is_to_note = linger.is_some_and(|linger| linger < wanted.saturating_sub(SECOND));
    Ok((data, is_to_note))
}

/// Keeps chunks that have no job, and were read at this time, for longer.
pub(crate) fn note_read(transaction: &Transaction<'_>, lease: &Lease, read: Micros) -> Step<()> {
    let until = read.saturating_add(micros(CHUNKS_LINGER));
    let sql = "UPDATE bodies SET linger = max(linger, ?) \
               WHERE job = ? AND epoch = ? AND linger IS NOT NULL";
    transaction.execute(sql, [until, key_of(&lease.id), lease.epoch as i64])?;
    Ok(())
}

/// Deletes some chunks that have lingered for long enough; returns whether there are more.
pub(crate) fn collect(transaction: &Transaction<'_>) -> Step<bool> {
    let sql = "SELECT job, epoch FROM bodies WHERE linger <= ? ORDER BY linger LIMIT ?";
    let read = |row: &rusqlite::Row<'_>| Ok([row.get::<_, i64>(0)?, row.get(1)?]);
    let limit = DELETED_AT_ONCE as i64;
    let runs = transaction.rows(sql, [transaction.now, limit], read)?;
    let mut left = DELETED_AT_ONCE;
    for run in runs {
        let sql = "DELETE FROM chunks WHERE id IN \
                   (SELECT id FROM chunks WHERE job = ? AND epoch = ? LIMIT ?)";
        let deleted = transaction.execute(sql, [run[0], run[1], left as i64])?;
        left -= deleted;
        if left == 0 {
            return Ok(true);
        }
        let sql = "DELETE FROM bodies WHERE job = ? AND epoch = ?";
        transaction.execute(sql, run)?;
        left -= 1;
        if left == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}
