//! Jobs that change hands.

use std::time::Duration;

use rusqlite::Params;
use tower_async_job_core::{
    Claim, ClaimKind, ClaimQuery, Claims, JobId, Lease, Outside, Release, Released, Renewal,
    Report, StoreError,
};

use super::{
    expiring::{end_unreadable, expire},
    leases::not_held,
};
use crate::{
    job::{Claimed, Job, handle_of, newest_format, route_hash},
    time::{micros, span, to_day},
    transaction::{Failure, Snapshot, Step, Transaction},
};

/// The maximum number of jobs claimed by one call.
const CLAIM_QUOTA: usize = 256;

/// Releases leases. One whose job cannot be read is lost, and costs the others nothing.
pub(crate) fn release(
    transaction: &Transaction<'_>,
    leases: &[Lease],
    how: &Release,
) -> Step<Vec<Released>> {
    let release = |lease: &Lease| match Job::find(transaction, &lease.id) {
        Ok(Some(job)) if job.is_held_by(lease) => {
            job.edit(transaction, |job| job.lapse(transaction, how))
        }
        Ok(_) | Err(Failure::Refused(_)) => Ok(Released::Lost),
        Err(failure) => Err(failure),
    };
    leases.iter().map(release).collect()
}

pub(crate) fn resume(
    transaction: &Transaction<'_>,
    id: &JobId,
    token: &[u8; 32],
) -> Step<Option<Claim>> {
    match Job::find(transaction, id)? {
        Some(job) if job.has_party(token) => job
            .edit(transaction, |job| job.resume(transaction))
            .map(Some),
        _ => Ok(None),
    }
}

pub(crate) fn renew_outside(
    transaction: &Transaction<'_>,
    id: &JobId,
    outside: &Outside,
    report: &Report,
) -> Step<Renewal> {
    match Job::find(transaction, id)? {
        Some(job) if job.has_party(&outside.token) => job.edit(transaction, |job| {
            job.renew_outside(transaction, outside, report)?;
            Ok(Renewal::Held)
        }),
        job => Ok(not_held(job.as_ref(), transaction)),
    }
}

pub(crate) fn notified(
    transaction: &Transaction<'_>,
    lease: &Lease,
    again: Option<Duration>,
) -> Step<()> {
    let job = Job::find(transaction, &lease.id)?;
    let is_latest = |job: &Job| {
        job.notify_due.is_some() && u64::try_from(job.notify_attempts) == Ok(lease.epoch)
    };
    let Some(job) = job.filter(is_latest) else {
        return Err(StoreError::lease_lost().into());
    };
    job.edit(transaction, |job| {
        match again {
            Some(after) => {
                job.notify_due = Some(transaction.now.saturating_add(micros(after)));
            }
            None => {
                job.notify = None;
                job.notify_due = None;
                job.drop_unwanted();
            }
        }
        Ok(())
    })
}

/// Claims tasks that match the query, after the changes that are due.
pub(crate) fn claim(transaction: &Transaction<'_>, query: &ClaimQuery) -> Step<Claims> {
    let claims = Claims::new(to_day(transaction.now));
    if !query.expects(claims.now) {
        return Ok(claims);
    }
    let mut is_whole = !expire(transaction)?;
    let limit = query.limit.min(CLAIM_QUOTA);
    // One more than may be claimed, to find out whether there are more.
    let found = match query.kind {
        ClaimKind::Notify => due_notifications(transaction, query, limit + 1)?,
        _ => ready_jobs(transaction, query, limit + 1)?,
    };
    is_whole &= found.len() <= limit;
    let mut claiming = Claiming {
        transaction,
        query,
        bytes: 0,
        claims,
    };
    for key in found.into_iter().take(limit) {
        if !claiming.claim(key)? {
            is_whole = false;
            break;
        }
    }
    let mut claims = claiming.claims;
    // A worker that takes nothing need not know of tasks that wait already.
    claims.next = if is_whole || query.limit == 0 {
        next(transaction, query.kind)?
    } else {
        Some(Duration::ZERO)
    };
    Ok(claims)
}

/// The claims of one call.
struct Claiming<'a, 'b> {
    transaction: &'a Transaction<'b>,
    query: &'a ClaimQuery,
    bytes: usize,
    claims: Claims,
}

impl Claiming<'_, '_> {
    /// Claims the task in this row; returns whether there is room for it.
    fn claim(&mut self, key: i64) -> Step<bool> {
        let claimed = match (Job::find_by_key(self.transaction, key), self.query.kind) {
            (Ok(None), _) => Ok(true),
            (Ok(Some(job)), ClaimKind::Notify) => self.claim_notification(job),
            (Ok(Some(job)), _) => self.claim_run(job),
            (Err(failure), _) => Err(failure),
        };
        match claimed {
            Err(failure) if failure.is_corrupt() => {
                self.give_up(key)?;
                Ok(true)
            }
            claimed => claimed,
        }
    }

    fn claim_run(&mut self, job: Job) -> Step<bool> {
        let request = job.stored_request(self.transaction)?;
        if !self.fits(request.as_ref().map_or(0, |request| request.len())) {
            return Ok(false);
        }
        let sql = "UPDATE store SET turn = ?1 WHERE turn < ?1";
        self.transaction.execute(sql, [job.turn])?;
        let handle = job.handle();
        let claim = |job: &mut Job| job.claim(self.transaction, request);
        match job.edit(self.transaction, claim)? {
            Claimed::Given(claim) => self.claims.jobs.push(*claim),
            Claimed::Ended => {}
            Claimed::Unreadable => self.claims.unreadable.push(handle),
        }
        Ok(true)
    }

    fn claim_notification(&mut self, job: Job) -> Step<bool> {
        let Some(part) = job.notify else {
            return Err(Failure::corrupt("its notification is missing"));
        };
        let message = self.transaction.part(job.key, part)?;
        if !self.fits(message.len()) {
            return Ok(false);
        }
        let claim = |job: &mut Job| Ok(job.claim_notify(self.transaction, message));
        self.claims.jobs.extend(job.edit(self.transaction, claim)?);
        Ok(true)
    }

    fn fits(&mut self, len: usize) -> bool {
        self.bytes = self.bytes.saturating_add(len);
        self.bytes <= self.query.max_bytes || self.claims.jobs.is_empty()
    }

    /// Ends a job that cannot be read, or its notification, so that it is claimed once only.
    fn give_up(&mut self, key: i64) -> Step<()> {
        let sql = "SELECT handle FROM jobs WHERE key = ?";
        let handle: Option<i64> = self.transaction.one(sql, [key])?;
        self.claims.unreadable.extend(handle.map(handle_of));
        if self.query.kind == ClaimKind::Notify {
            let sql = "UPDATE jobs SET notify_due = NULL WHERE key = ?";
            self.transaction.execute(sql, [key])?;
            return Ok(());
        }
        end_unreadable(self.transaction, key)
    }
}

/// Returns claimable jobs in the order of their turns.
fn ready_jobs(transaction: &Transaction<'_>, query: &ClaimQuery, limit: usize) -> Step<Vec<i64>> {
    const READY: &str = "SELECT turn, key FROM jobs WHERE turn IS NOT NULL AND format <= ? \
                         AND (request_format IS NULL OR request_format <= ?)";
    let newest = i64::from(query.newest_format);
    let Some(routes) = &query.routes else {
        let sql = format!("{READY} ORDER BY turn, key LIMIT ?");
        let found = places(transaction, &sql, (newest_format(), newest, limit as i64))?;
        return Ok(found.into_iter().map(|(_, key)| key).collect());
    };
    let sql = format!("{READY} AND route_hash = ? AND route = ? ORDER BY turn, key LIMIT ?");
    let mut found = Vec::new();
    for route in routes {
        let parameters = (
            newest_format(),
            newest,
            route_hash(route),
            &**route,
            limit as i64,
        );
        found.extend(places(transaction, &sql, parameters)?);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found.into_iter().take(limit).map(|(_, key)| key).collect())
}

fn due_notifications(
    transaction: &Transaction<'_>,
    query: &ClaimQuery,
    limit: usize,
) -> Step<Vec<i64>> {
    const DUE: &str = "SELECT key, route FROM jobs WHERE notify_due <= ? AND format <= ? \
                       ORDER BY notify_due, key";
    let is_for = |route: &str| {
        let routes = query.routes.as_ref();
        routes.is_none_or(|routes| routes.iter().any(|wanted| **wanted == *route))
    };
    let mut statement = transaction.connection.prepare_cached(DUE)?;
    let mut rows = statement.query((transaction.now, newest_format()))?;
    let mut keys = Vec::new();
    while keys.len() < limit
        && let Some(row) = rows.next()?
    {
        let route = row.get_ref(1)?.as_str().unwrap_or_default();
        if is_for(route) {
            keys.push(row.get(0)?);
        }
    }
    Ok(keys)
}

fn places(snapshot: &Snapshot<'_>, sql: &str, parameters: impl Params) -> Step<Vec<(i64, i64)>> {
    snapshot.rows(sql, parameters, |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Returns the time until the next task becomes claimable, if that is known.
fn next(snapshot: &Snapshot<'_>, kind: ClaimKind) -> Step<Option<Duration>> {
    let sql = match kind {
        ClaimKind::Notify => "SELECT min(notify_due) FROM jobs WHERE notify_due > ?",
        _ => {
            "SELECT min(due) FROM jobs \
             WHERE state = 0 AND held = 0 AND turn IS NULL AND due > ?"
        }
    };
    let next: Option<i64> = snapshot.one(sql, [snapshot.now])?.flatten();
    Ok(next.map(|next| span(snapshot.now, next)))
}
