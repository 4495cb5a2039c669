//! Changes that become due by the passing of time.

use std::{cmp::Reverse, collections::HashMap, sync::atomic::Ordering, time::SystemTime};

use futures_util::future::join_all;
use http_polling::JobState;
use redis::Value;
use tower_async_job_core::{
    ClaimKind, JobId, PendingJobs, Principal, StoreError, SweepQuery, pause_after_loss,
};

use super::candidate::Candidate;
use crate::{
    engine::Engine,
    job::{State, unescape},
    keys::{SHARDS, Set, shard_of},
    script::{COLLECT, COUNTS, DUE, NODES, TICK},
    time::{Micros, micros, of_day},
    value::{list, number, text},
};

/// The number of changes that one look finds in each set.
const LOOKED: usize = 32;

/// The number of pauses after lost leases that differ.
const PAUSES: u32 = 8;

/// The result of a sweep.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Swept {
    pub(crate) now: Micros,
    /// The time of the next change that is known.
    pub(crate) next: Option<Micros>,
    /// True if there may be more changes to make now.
    pub(crate) is_cut: bool,
    /// The query did not expect this time, and nothing was swept.
    pub(crate) is_refused: bool,
}

/// A change that is due.
enum Due {
    Job(JobId),
    Chunks(JobId, u64),
}

impl Due {
    fn read(member: &str) -> Option<Self> {
        match member.strip_prefix("c:") {
            None => Some(Self::Job(member.parse().ok()?)),
            Some(run) => {
                let (id, epoch) = run.split_once(':')?;
                Some(Self::Chunks(id.parse().ok()?, epoch.parse().ok()?))
            }
        }
    }
}

/// Performs some changes that are due.
pub(crate) async fn sweep(engine: &Engine, query: &SweepQuery) -> Result<Swept, StoreError> {
    let mut skipped = 0;
    loop {
        let (mut swept, due) = look(engine, query, skipped).await?;
        if swept.is_refused || due.is_empty() {
            return Ok(swept);
        }
        let changes = due.iter().map(|due| change(engine, due, query.not_after));
        let mut untouched = 0;
        for changed in join_all(changes).await {
            untouched += usize::from(!changed?);
        }
        if untouched < due.len() {
            swept.is_cut = true;
            return Ok(swept);
        }
        // Jobs of a newer format are left to newer builds.
        skipped += LOOKED;
    }
}

async fn look(
    engine: &Engine,
    query: &SweepQuery,
    skipped: usize,
) -> Result<(Swept, Vec<Due>), StoreError> {
    let answers = engine
        .for_groups(|shards| {
            let sets = [Set::Leases, Set::Pending, Set::Due, Set::Since];
            let keys = engine.keys.sets(shards, &sets);
            engine
                .call(&DUE, keys)
                .number(engine.lease())
                .optional(query.not_after.map(of_day))
                .number(LOOKED)
                .number(skipped)
        })
        .await?;
    let (mut swept, mut due) = (Swept::default(), Vec::new());
    for answer in answers {
        let mut parts = list(answer)?.into_iter();
        let mut next = || parts.next().unwrap_or(Value::Nil);
        swept.now = swept.now.max(number(next())?);
        swept.is_refused |= number(next())? != 0;
        let later = number(next()).ok();
        swept.next = swept.next.into_iter().chain(later).min();
        for members in list(next())? {
            for member in list(members)? {
                due.extend(Due::read(&text(member)?));
            }
        }
    }
    Ok((swept, due))
}

/// Makes one change; returns whether it was made.
async fn change(
    engine: &Engine,
    due: &Due,
    not_after: Option<SystemTime>,
) -> Result<bool, StoreError> {
    match due {
        Due::Job(id) => tick(engine, id, not_after).await,
        Due::Chunks(id, epoch) => {
            let keys = vec![
                engine.keys.chunks(id, *epoch),
                engine.keys.set(shard_of(id), Set::Due).to_owned(),
            ];
            let call = engine
                .call(&COLLECT, keys)
                .arg(format!("c:{}:{epoch}", id.encode()))
                .optional(not_after.map(of_day));
            engine.link.run(&call).await.map(|_| true)
        }
    }
}

async fn tick(
    engine: &Engine,
    id: &JobId,
    not_after: Option<SystemTime>,
) -> Result<bool, StoreError> {
    let call = engine.job_call(&TICK, id).optional(not_after.map(of_day));
    let call = (1..=PAUSES).fold(call, |call, attempts| {
        call.number(micros(pause_after_loss(attempts)))
    });
    let mut reply = engine.change(id, call).await?;
    engine.unread.note((reply.status == "newer").then_some(*id));
    let state = number(reply.next()).ok().and_then(State::shown_by_number);
    let ended = state.filter(|state| !state.is_pending());
    engine.ended.note(ended.map(|_| *id));
    if let Some(JobState::Lost | JobState::Failed) = state {
        engine.lost.fetch_add(1, Ordering::Relaxed);
    }
    Ok(reply.status == "ok")
}

/// Makes the changes of these jobs that are due.
pub(super) async fn tick_all(
    engine: &Engine,
    ids: Vec<JobId>,
    not_after: Option<SystemTime>,
) -> Result<(), StoreError> {
    let ticks = ids.iter().map(|id| tick(engine, id, not_after));
    join_all(ticks)
        .await
        .into_iter()
        .try_for_each(|made| made.map(drop))
}

/// Notes that a node sweeps, and returns the number of those that have done so recently.
pub(crate) async fn nodes(engine: &Engine, node: &str) -> Result<u32, StoreError> {
    let call = engine
        .call(&NODES, vec![engine.keys.nodes()])
        .number(engine.lease())
        .arg(node);
    let nodes = number(engine.link.run(&call).await?)?;
    Ok(u32::try_from(nodes).unwrap_or(1).max(1))
}

/// Counts the pending jobs, and finds the one to be claimed next.
pub(crate) async fn pending(engine: &Engine) -> Result<(PendingJobs, Option<JobId>), StoreError> {
    let mut answers = Vec::with_capacity(SHARDS);
    // One shard after another, so that the server serves other calls meanwhile.
    for shard in 0..SHARDS {
        let keys = (engine.keys).sets(shard..shard + 1, &[Set::Counts, Set::Ready]);
        let call = engine.call(&COUNTS, keys);
        let call = call.number(PendingJobs::MAX_PRINCIPALS);
        answers.push(engine.link.run(&call).await?);
    }
    let mut pending = PendingJobs::default();
    let mut owners: HashMap<String, (u64, String)> = HashMap::new();
    let mut heads = Vec::new();
    for answer in answers {
        let mut parts = list(answer)?.into_iter();
        let mut next = || parts.next().unwrap_or(Value::Nil);
        pending.total += number(next())?.unsigned_abs();
        heads.extend(Candidate::read(text(next())?, ClaimKind::Work));
        for owner in parts {
            let mut fields = list(owner)?.into_iter();
            let mut next = || fields.next().unwrap_or(Value::Nil);
            let (owner, count, name) = (text(next())?, number(next())?, text(next())?);
            let (sum, _) = owners.entry(owner).or_insert((0, name));
            *sum += count.unsigned_abs();
        }
    }
    let mut owners: Vec<_> = owners.into_values().collect();
    owners.sort_unstable_by_key(|(count, _)| Reverse(*count));
    owners.truncate(PendingJobs::MAX_PRINCIPALS);
    let owners = owners.into_iter();
    pending.principals = owners
        .map(|(count, name)| (Principal::new(unescape(&name)), count))
        .collect();
    let head = heads.iter().min_by_key(|head| head.turn);
    Ok((pending, head.map(|head| head.id)))
}
