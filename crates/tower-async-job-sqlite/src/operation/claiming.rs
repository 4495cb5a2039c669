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
    job::{Claimed, FORMAT, Job, handle_of, route_hash},
    time::{micros, span, to_day},
    transaction::{Snapshot, Step, Transaction},
};

/// The maximum number of jobs claimed by one call.
const CLAIM_QUOTA: usize = 256;

pub(crate) fn release(
    transaction: &Transaction<'_>,
    lease: &Lease,
    how: &Release,
) -> Step<Released> {
    match Job::find(transaction, &lease.id)? {
        Some(job) if job.is_held_by(lease) => {
            job.edit(transaction, |job| job.lapse(transaction, how))
        }
        _ => Ok(Released::Lost),
    }
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
    let mut is_whole = !expire(transaction)?;
    let limit = query.limit.min(CLAIM_QUOTA);
    // One more than may be claimed, to find out whether there are more.
    let found = match query.kind {
        ClaimKind::Notify => due_notifications(transaction, query, limit + 1)?,
        _ => ready_jobs(transaction, query, limit + 1)?,
    };
    is_whole &= found.len() <= limit;
    let mut claims = Claims::default();
    let mut bytes = 0;
    for key in found.into_iter().take(limit) {
        let job = match Job::find_by_key(transaction, key) {
            Ok(Some(job)) => job,
            Ok(None) => continue,
            Err(failure) if failure.is_corrupt() => {
                let handle: Option<i64> =
                    transaction.one("SELECT handle FROM jobs WHERE key = ?", [key])?;
                end_unreadable(transaction, key)?;
                let handle = handle.map(handle_of);
                claims.unreadable.extend(handle);
                continue;
            }
            Err(failure) => return Err(failure),
        };
        if !claim_one(transaction, query, job, &mut bytes, &mut claims)? {
            is_whole = false;
            break;
        }
    }
    claims.now = to_day(transaction.now);
    claims.next = if is_whole {
        next(transaction, query.kind)?
    } else {
        Some(Duration::ZERO)
    };
    Ok(claims)
}

/// Claims one task; returns whether there is room for it and more.
fn claim_one(
    transaction: &Transaction<'_>,
    query: &ClaimQuery,
    job: Job,
    bytes: &mut usize,
    claims: &mut Claims,
) -> Step<bool> {
    let mut fits = |len: usize| {
        *bytes = bytes.saturating_add(len);
        *bytes <= query.max_bytes || claims.jobs.is_empty()
    };
    if query.kind == ClaimKind::Notify {
        let message = match job.notify.map(|part| transaction.part(part)) {
            Some(Ok(message)) => message,
            Some(Err(failure)) if !failure.is_corrupt() => return Err(failure),
            _ => {
                return job.edit(transaction, |job| {
                    job.notify = None;
                    job.notify_due = None;
                    Ok(true)
                });
            }
        };
        if !fits(message.len()) {
            return Ok(false);
        }
        let claim = job.edit(
            transaction,
            |job| Ok(job.claim_notify(transaction, message)),
        )?;
        claims.jobs.extend(claim);
        return Ok(true);
    }
    let request = job.stored_request(transaction)?;
    if !fits(request.as_ref().map_or(0, |request| request.len())) {
        return Ok(false);
    }
    let (handle, turn) = (job.handle(), job.turn);
    let sql = "UPDATE store SET turn = ?1 WHERE turn < ?1";
    transaction.execute(sql, [turn])?;
    match job.edit(transaction, |job| job.claim(transaction, request))? {
        Claimed::Given(claim) => claims.jobs.push(*claim),
        Claimed::Ended => {}
        Claimed::Unreadable => claims.unreadable.push(handle),
    }
    Ok(true)
}

/// Returns claimable jobs in the order of their turns.
fn ready_jobs(transaction: &Transaction<'_>, query: &ClaimQuery, limit: usize) -> Step<Vec<i64>> {
    const READY: &str = "SELECT turn, key FROM jobs WHERE turn IS NOT NULL AND format <= ? \
                         AND (request_format IS NULL OR request_format <= ?)";
    let newest = i64::from(query.newest_format);
    let Some(routes) = &query.routes else {
        let sql = format!("{READY} ORDER BY turn, key LIMIT ?");
        let found = places(transaction, &sql, (FORMAT, newest, limit as i64))?;
        return Ok(found.into_iter().map(|(_, key)| key).collect());
    };
    let sql = format!("{READY} AND route_hash = ? AND route = ? ORDER BY turn, key LIMIT ?");
    let mut found = Vec::new();
    for route in routes {
        let parameters = (FORMAT, newest, route_hash(route), &**route, limit as i64);
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
    const DUE: &str = "SELECT notify_due, key, route FROM jobs \
                       WHERE notify_due <= ? AND format <= ? ORDER BY notify_due, key LIMIT ?";
    let is_for = |route: &str| {
        let routes = query.routes.as_ref();
        routes.is_none_or(|routes| routes.iter().any(|wanted| **wanted == *route))
    };
    let limit = if query.routes.is_some() {
        i64::MAX
    } else {
        limit as i64
    };
    let found = transaction.rows(DUE, (transaction.now, FORMAT, limit), |row| {
        Ok((row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
    })?;
    let matching = found.into_iter().filter(|(_, route)| is_for(route));
    Ok(matching.map(|(key, _)| key).collect())
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
