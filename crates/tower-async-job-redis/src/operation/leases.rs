//! Changes in the name of a lease, and by clients.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::future::join_all;
use http_polling::JobState;
use tower_async_job_core::{Cancellation, End, JobId, Lease, Outcome, Renewal, Report, StoreError};

use super::report::add_report;
use crate::{
    engine::Engine,
    job::{State, newest_format},
    keys::{Set, shard_of},
    link::Call,
    notes::Delivery,
    script::{CANCEL, DELIVER, EXTEND, FAIL, FINISH, FINISH_PLAIN, REMOVE, RENEW, REPORT, START},
    time::{micros, to_day},
    value::{list, number, text},
};

/// The number of leases that one round trip renews.
const RENEWED_TOGETHER: usize = 1000;

/// The number of leases that one script renews, since the server does nothing else meanwhile.
const RENEWED_AT_ONCE: usize = 250;

/// The sets of jobs that a worker holds and ends, without a key or a notification.
const PLAIN_SETS: [Set; 3] = [Set::Leases, Set::Due, Set::Counts];

/// Makes a change that is acknowledged without an answer.
async fn acknowledged(engine: &Engine, id: &JobId, call: Call) -> Result<(), StoreError> {
    let reply = engine.change(id, call).await?;
    match &*reply.status {
        "ok" => Ok(()),
        _ => Err(reply.error()),
    }
}

pub(crate) async fn start(engine: &Engine, lease: &Lease) -> Result<(), StoreError> {
    let call = engine.job_call(&START, &lease.id).number(lease.epoch);
    acknowledged(engine, &lease.id, call).await
}

pub(crate) async fn report(
    engine: &Engine,
    lease: &Lease,
    report: &Report,
) -> Result<(), StoreError> {
    let call = engine.job_call(&REPORT, &lease.id).number(lease.epoch);
    acknowledged(engine, &lease.id, add_report(call, Some(report))?).await
}

pub(crate) async fn finish(engine: &Engine, lease: &Lease, end: &End) -> Result<(), StoreError> {
    if let Outcome::Done(response) = &end.outcome
        && end.report.is_none()
        && engine.accepted.is_plain(&lease.id)
    {
        let call = engine
            .call(&FINISH_PLAIN, engine.keys.of_job_in(&lease.id, &PLAIN_SETS))
            .number(lease.epoch)
            .arg(response.as_bytes())
            .number(response.body_len());
        if engine.change(&lease.id, call).await?.status == "ok" {
            return Ok(());
        }
    }
    let is_small = matches!(
        end.outcome,
        Outcome::Failed(_) | Outcome::TimedOut(_) | Outcome::Lost(_)
    );
    let script = match is_small && end.report.is_none() {
        true => &FAIL,
        false => &FINISH,
    };
    let call = engine
        .job_call(script, &lease.id)
        .number(lease.epoch)
        .number(State::number_of(end.outcome.state()));
    let call = match &end.outcome {
        Outcome::Done(response) => call
            .mark(true)
            .arg(response.as_bytes())
            .number(response.body_len())
            .arg(""),
        Outcome::Streamed { head, chunks, len } => call
            .mark(true)
            .arg(head.as_bytes())
            .number(len)
            .number(chunks),
        Outcome::Failed(problem) | Outcome::TimedOut(problem) | Outcome::Lost(problem) => {
            call.mark(false).arg(problem.to_json()).arg("").arg("")
        }
        _ => {
            let unknown = "this kind of outcome cannot be stored";
            return Err(StoreError::unavailable(unknown));
        }
    };
    acknowledged(engine, &lease.id, add_report(call, end.report.as_ref())?).await
}

/// Prolongs leases, in one round trip for each thousand.
pub(crate) async fn renew(engine: &Engine, leases: &[Lease]) -> Result<Vec<Renewal>, StoreError> {
    let parts = leases.chunks(RENEWED_TOGETHER);
    let renewed = join_all(parts.map(|leases| renew_part(engine, leases))).await;
    let mut all = Vec::with_capacity(leases.len());
    for part in renewed {
        all.append(&mut part?);
    }
    Ok(all)
}

async fn renew_part(engine: &Engine, leases: &[Lease]) -> Result<Vec<Renewal>, StoreError> {
    let mut by_group: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, lease) in leases.iter().enumerate() {
        let group = engine.group_of_job(&lease.id);
        by_group.entry(group).or_default().push(place);
    }
    let parts: Vec<&[usize]> = by_group
        .values()
        .flat_map(|places| places.chunks(RENEWED_AT_ONCE))
        .collect();
    let calls: Vec<_> = parts
        .iter()
        .map(|places| renewal_of(engine, places.iter().map(|place| leases[*place])))
        .collect();
    let firsts = by_group.values().map(|places| leases[places[0]].id);
    let firsts: Vec<_> = firsts.map(|id| (id, engine.data_of(&id))).collect();
    let answers = engine.link.run_all(&calls).await;
    let flushes = firsts
        .iter()
        .map(|(id, data)| engine.make_durable(id, *data));
    for flushed in join_all(flushes).await {
        flushed?;
    }
    let mut renewed = vec![Renewal::Lost; leases.len()];
    for (places, answer) in parts.into_iter().zip(answers) {
        for (place, fate) in places.iter().zip(list(answer?)?) {
            renewed[*place] = renewal(&text(fate)?);
        }
    }
    Ok(renewed)
}

/// Returns the call that prolongs leases of one group of shards.
fn renewal_of(engine: &Engine, leases: impl Iterator<Item = Lease> + Clone) -> Call {
    let shards: BTreeSet<_> = leases.clone().map(|lease| shard_of(&lease.id)).collect();
    let sets = shards
        .iter()
        .map(|shard| engine.keys.set(*shard, Set::Leases).to_owned());
    let jobs = leases.clone().map(|lease| engine.keys.job(&lease.id));
    let call = engine
        .call(&RENEW, sets.chain(jobs))
        .number(engine.lease())
        .number(newest_format());
    leases.fold(call, |call, Lease { id, epoch }| {
        let set = shards.range(..=shard_of(&id)).count();
        call.number(set).arg(id.encode().as_str()).number(epoch)
    })
}

/// Returns the fate of a lease by its name in scripts.
pub(super) fn renewal(fate: &str) -> Renewal {
    match fate {
        "held" => Renewal::Held,
        "cancelled" => Renewal::Cancelled,
        "missing" => Renewal::Missing,
        _ => Renewal::Lost,
    }
}

pub(crate) async fn cancel(engine: &Engine, id: &JobId) -> Result<Cancellation, StoreError> {
    let mut reply = engine.change(id, engine.job_call(&CANCEL, id)).await?;
    match &*reply.status {
        "none" => Ok(Cancellation::Unknown),
        "cancelled" => Ok(Cancellation::Cancelled {
            ended: to_day(number(reply.next())?),
        }),
        "ended" => {
            let state = State::shown_by_number(number(reply.next())?);
            Ok(Cancellation::Ended(state.unwrap_or(JobState::Expired)))
        }
        _ => Err(reply.error()),
    }
}

/// Makes a change that may find nothing to change; returns whether it was made.
async fn made(engine: &Engine, id: &JobId, call: Call) -> Result<bool, StoreError> {
    let reply = engine.change(id, call).await?;
    match &*reply.status {
        "ok" => Ok(true),
        "none" => Ok(false),
        _ => Err(reply.error()),
    }
}

pub(crate) async fn remove(engine: &Engine, id: &JobId) -> Result<bool, StoreError> {
    let removed = made(engine, id, engine.job_call(&REMOVE, id)).await?;
    if removed {
        engine.accepted.forget(id);
    }
    Ok(removed)
}

pub(crate) async fn extend(
    engine: &Engine,
    id: &JobId,
    keep: Duration,
) -> Result<bool, StoreError> {
    let call = engine.job_call(&EXTEND, id).number(micros(keep));
    made(engine, id, call).await
}

/// Notes that the result of a job was delivered.
pub(crate) async fn deliver(
    engine: &Engine,
    id: &JobId,
    delivery: &Delivery,
) -> Result<(), StoreError> {
    let since = engine
        .settings
        .clock
        .instant()
        .saturating_duration_since(delivery.at);
    let call = engine
        .job_call(&DELIVER, id)
        .number(micros(since))
        .number(micros(delivery.keep));
    acknowledged(engine, id, call).await
}
