//! The tasks that may be claimed, of all shards.

use std::ops::Range;

use redis::Value;
use tower_async_job_core::{ClaimKind, ClaimQuery, JobId, StoreError};

use super::candidate::Candidate;
use crate::{
    engine::Engine,
    job::route_hash,
    keys::Set,
    script::{NOTICES, READY},
    time::{Micros, of_day},
    value::{list, number, text},
};

/// The tasks that were found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) now: Micros,
    pub(super) is_refused: bool,
    pub(super) next: Option<Micros>,
    /// The jobs with a change that is due.
    pub(super) due: Vec<JobId>,
    /// The members of each shard, in order.
    tasks: Vec<Vec<String>>,
}

/// Looks for tasks that match the query, at most this number in each shard.
pub(super) async fn look(
    engine: &Engine,
    query: &ClaimQuery,
    limit: usize,
) -> Result<Found, StoreError> {
    let call = |shards: Range<usize>| {
        let (script, sets): (_, &[Set]) = match query.kind {
            ClaimKind::Notify => (&NOTICES, &[Set::Notify]),
            _ => (
                &READY,
                &[Set::Leases, Set::Pending, Set::Ready, Set::Routes],
            ),
        };
        let mut call = engine
            .call(script, engine.keys.sets(shards, sets))
            .optional(query.not_after.map(of_day))
            .number(limit);
        if query.kind != ClaimKind::Notify {
            call = call.number(query.newest_format);
        }
        // No route has this name.
        let none = query
            .routes
            .as_ref()
            .is_some_and(Vec::is_empty)
            .then_some("-");
        let routes = query.routes.iter().flatten().map(|route| route_hash(route));
        let routes = routes.chain(none.map(str::to_owned));
        routes.fold(call, |call, route| call.arg(route))
    };
    let mut found = Found::default();
    for answer in engine.for_groups(call).await? {
        let mut parts = list(answer)?.into_iter();
        let mut next = || parts.next().unwrap_or(Value::Nil);
        found.now = found.now.max(number(next())?);
        found.is_refused |= number(next())? != 0;
        let later = number(next()).ok();
        found.next = found.next.into_iter().chain(later).min();
        for members in list(next())? {
            for member in list(members)? {
                found.due.extend(text(member)?.parse::<JobId>());
            }
        }
        for members in list(next())? {
            let members = list(members)?.into_iter().map(text);
            found.tasks.push(members.collect::<Result<_, _>>()?);
        }
    }
    found.due.retain(|id| !engine.unread.contains(id));
    Ok(found)
}

/// Returns the tasks to claim, in the order of their turns, and whether there are no others.
pub(super) fn choose(
    engine: &Engine,
    found: &mut Found,
    query: &ClaimQuery,
    looked: usize,
    limit: usize,
) -> (Vec<Candidate>, bool) {
    let mut candidates = Vec::new();
    // Beyond this turn, a shard may have tasks that were not looked at.
    let mut horizon = i64::MAX;
    let mut is_whole = true;
    for members in std::mem::take(&mut found.tasks) {
        let is_cut = members.len() >= looked;
        let mut latest = None;
        for member in members {
            if let Some(candidate) = Candidate::read(member, query.kind) {
                latest = latest.max(Some(candidate.turn));
                candidates.push(candidate);
            }
        }
        if is_cut {
            is_whole = false;
            horizon = horizon.min(latest.unwrap_or(i64::MAX));
        }
    }
    candidates.sort_by_key(|candidate| (candidate.turn, candidate.id));
    candidates.dedup_by_key(|candidate| candidate.id);
    candidates.retain(|candidate| !engine.unread.contains(&candidate.id));
    let all = candidates.len();
    candidates.retain(|candidate| candidate.turn <= horizon);
    candidates.truncate(limit);
    let mut bytes = 0usize;
    let mut taken = 0;
    for candidate in &candidates {
        bytes = bytes.saturating_add(candidate.len);
        if bytes > query.max_bytes && taken > 0 {
            break;
        }
        taken += 1;
    }
    candidates.truncate(taken);
    let is_whole = is_whole && candidates.len() == all;
    (candidates, is_whole)
}
