//! Sweeps.

use std::{cmp::Reverse, time::Duration};

use tower_async_job_core::{PendingJobs, Principal, SweepQuery};

use super::expiring::expire;
use crate::{
    job::collect,
    time::{Micros, span, to_day},
    transaction::{Snapshot, Step, Transaction},
};

/// The result of a sweep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Swept {
    pub(crate) now: Micros,
    /// The time of the next change; now if there are more changes to make.
    pub(crate) next: Option<Micros>,
    /// The number of nodes that have swept recently.
    pub(crate) nodes: u32,
    /// The query did not expect this time, and nothing was swept.
    pub(crate) is_refused: bool,
}

/// Performs some changes that are due, in the name of a node.
pub(crate) fn sweep(transaction: &Transaction<'_>, node: i64, query: &SweepQuery) -> Step<Swept> {
    let now = transaction.now;
    let mut swept = Swept {
        now,
        next: None,
        nodes: 1,
        is_refused: !query.expects(to_day(now)),
    };
    if swept.is_refused {
        return Ok(swept);
    }
    swept.nodes = register(transaction, node)?;
    if expire(transaction)? || collect(transaction)? {
        swept.next = Some(now);
        return Ok(swept);
    }
    for sql in [
        "SELECT min(due) FROM jobs WHERE due > ?",
        "SELECT min(linger) FROM bodies WHERE linger > ?",
    ] {
        let due: Option<Micros> = transaction.one(sql, [now])?.flatten();
        swept.next = swept.next.into_iter().chain(due).min();
    }
    Ok(swept)
}

/// Notes that a node sweeps, and returns the number of those that have done so recently.
fn register(transaction: &Transaction<'_>, node: i64) -> Step<u32> {
    let now = transaction.now;
    // Nodes sweep at least once in a third of the lease, and note it half as often.
    let latest = now.saturating_sub(transaction.lease / 2);
    let swept: Option<Micros> = transaction.one("SELECT swept FROM nodes WHERE id = ?", [node])?;
    if swept.is_none_or(|swept| swept < latest) {
        let sql = "INSERT OR REPLACE INTO nodes (id, swept) VALUES (?, ?)";
        transaction.execute(sql, [node, now])?;
        let gone = now.saturating_sub(transaction.lease.saturating_mul(2));
        transaction.execute("DELETE FROM nodes WHERE swept < ?", [gone])?;
    }
    let recent = now.saturating_sub(transaction.lease);
    let sql = "SELECT count(*) FROM nodes WHERE swept >= ?";
    let nodes: Option<u32> = transaction.one(sql, [recent])?;
    Ok(nodes.unwrap_or(1).max(1))
}

/// Counts the pending jobs, and returns the time since the creation of the next to be claimed.
pub(crate) fn count(snapshot: &Snapshot<'_>) -> Step<(PendingJobs, Option<Duration>)> {
    let sql = "SELECT created FROM jobs WHERE turn IS NOT NULL ORDER BY turn LIMIT 1";
    let oldest: Option<Micros> = snapshot.one(sql, [])?;
    let due = oldest.map(|created| span(created, snapshot.now));
    Ok((pending(snapshot)?, due))
}

/// Counts the pending jobs.
fn pending(snapshot: &Snapshot<'_>) -> Step<PendingJobs> {
    let sql = "SELECT owner_hash, count(*) FROM jobs WHERE state < 2 GROUP BY owner_hash";
    let mut counts: Vec<(i64, i64)> =
        snapshot.rows(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut pending = PendingJobs::default();
    pending.total = counts.iter().map(|(_, count)| count.unsigned_abs()).sum();
    counts.retain(|(owner, _)| *owner != 0);
    counts.sort_unstable_by_key(|(_, count)| Reverse(*count));
    counts.truncate(PendingJobs::MAX_PRINCIPALS);
    for (owner, count) in counts {
        let sql = "SELECT owner FROM jobs WHERE owner_hash = ? AND state < 2 \
                   AND typeof(owner) = 'text' LIMIT 1";
        let name: Option<String> = snapshot.one(sql, [owner])?;
        let principal = name.map(Principal::new);
        let counted = principal.map(|principal| (principal, count.unsigned_abs()));
        pending.principals.extend(counted);
    }
    Ok(pending)
}
