//! Changes that become due by the passing of time.

use tower_async_job_core::{DELIVERED_KEPT, JobId};

use crate::{
    job::{Job, State, collect, newest_format},
    time::{SECOND, micros},
    transaction::{Failure, Step, Transaction},
};

/// The maximum number of changes that are made in one transaction.
const QUOTA: usize = 512;

/// The number of delivered results that are dropped at once to make room.
const DROPPED_AT_ONCE: i64 = 64;

/// The time for which a record is kept that cannot be read, after the end of its job.
const UNREADABLE_KEPT: i64 = 3600 * SECOND;

/// Performs some changes that are due; returns whether there are more.
pub(super) fn expire(transaction: &Transaction<'_>) -> Step<bool> {
    let mut left = QUOTA;
    while left > 0 {
        // A job of a newer format is left to newer builds.
        let sql = "SELECT key FROM jobs WHERE due <= ? AND format <= ? ORDER BY due LIMIT ?";
        let parameters = [transaction.now, newest_format(), left as i64];
        let keys: Vec<i64> = transaction.rows(sql, parameters, |row| row.get(0))?;
        if keys.is_empty() {
            return Ok(false);
        }
        left -= keys.len();
        for key in keys {
            expire_one(transaction, key)?;
        }
    }
    Ok(true)
}

fn expire_one(transaction: &Transaction<'_>, key: i64) -> Step<()> {
    let job = match Job::find_by_key(transaction, key) {
        Ok(Some(job)) => job,
        Ok(None) => return Ok(()),
        Err(failure) if failure.is_corrupt() => return end_unreadable(transaction, key),
        Err(failure) => return Err(failure),
    };
    let lease_ago = transaction.now.saturating_sub(transaction.lease);
    match job.state {
        // Its run may still be alive, and must not store it again.
        State::Expired if job.ended.is_some_and(|ended| lease_ago < ended) => {
            let until = transaction.now.saturating_add(transaction.lease);
            job.edit(transaction, |job| job.become_void(transaction, until))
        }
        State::Expired | State::Void => job.delete(transaction),
        State::Queued if !job.held && job.turn.is_none() && transaction.now < job.deadline => {
            let since = transaction.now;
            job.edit(transaction, |job| job.free(transaction, since))
        }
        State::Queued | State::Running => job.edit(transaction, |job| job.lapse_late(transaction)),
        _ => job.edit(transaction, |job| job.expire(transaction)),
    }
}

/// Ends a pending job that cannot be read as failed, or deletes one that has ended.
pub(super) fn end_unreadable(transaction: &Transaction<'_>, key: i64) -> Step<()> {
    let id: Option<[u8; 16]> = transaction
        .one("SELECT id FROM jobs WHERE key = ?", [key])
        .ok()
        .flatten();
    let until = transaction.now.saturating_add(UNREADABLE_KEPT);
    let sql = "UPDATE jobs SET state = ?, held = 0, turn = NULL, epoch = epoch + 1, due = ?, \
               ended = ? WHERE key = ? AND (state < 2 OR turn IS NOT NULL)";
    let ended = transaction.execute(sql, (State::Failed, until, transaction.now, key))?;
    if ended == 0 {
        let sql = "DELETE FROM parts WHERE job = ?1 AND id IN (\
                   SELECT request FROM jobs WHERE key = ?1 \
                   UNION ALL SELECT response FROM jobs WHERE key = ?1 \
                   UNION ALL SELECT progress FROM jobs WHERE key = ?1 \
                   UNION ALL SELECT partial FROM jobs WHERE key = ?1 \
                   UNION ALL SELECT metadata FROM jobs WHERE key = ?1 \
                   UNION ALL SELECT checkpoint FROM jobs WHERE key = ?1 \
                   UNION ALL SELECT notify FROM jobs WHERE key = ?1)";
        transaction.execute(sql, [key])?;
        let sql = "DELETE FROM keys WHERE job = ?1 \
                   AND digest = (SELECT digest FROM jobs WHERE key = ?1)";
        transaction.execute(sql, [key])?;
        transaction.execute("DELETE FROM jobs WHERE key = ?", [key])?;
        transaction.leave_chunks(key)?;
    }
    if let Some(id) = id {
        transaction.note_end(JobId::from_bits(u128::from_be_bytes(id)));
    }
    Ok(())
}

/// Makes room in a full file: by due changes, then by dropping results that were delivered long
/// enough ago, oldest first. Returns whether it made any.
pub(crate) fn make_room(transaction: &Transaction<'_>) -> Step<bool> {
    let before = transaction.connection.total_changes();
    expire(transaction)?;
    collect(transaction)?;
    if transaction.connection.total_changes() == before {
        // A result was delivered within the second that began then.
        let kept = micros(DELIVERED_KEPT).saturating_add(SECOND);
        let sql = "SELECT key FROM jobs WHERE delivered <= ? AND format <= ? \
                   ORDER BY delivered LIMIT ?";
        let parameters = [
            transaction.now.saturating_sub(kept),
            newest_format(),
            DROPPED_AT_ONCE,
        ];
        let keys: Vec<i64> = transaction.rows(sql, parameters, |row| row.get(0))?;
        for key in keys {
            match Job::find_by_key(transaction, key) {
                Ok(Some(job)) => job.edit(transaction, |job| {
                    job.drop_result();
                    Ok(())
                })?,
                Ok(None) | Err(Failure::Refused(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
    }
    Ok(transaction.connection.total_changes() != before)
}
