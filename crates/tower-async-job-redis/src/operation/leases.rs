//! Changes in the name of a lease, and by clients.

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;
use http_polling::JobState;
use tower_async_job_core::{Cancellation, End, JobId, Lease, Outcome, Renewal, Report, StoreError};

use super::report::add_report;
use crate::{
    engine::Engine,
    job::{FORMAT, State},
    keys::{Set, shard_of},
    link::Call,
    notes::Delivery,
    script::{CANCEL, DELIVER, EXTEND, FINISH, REMOVE, RENEW, REPORT, START},
    time::{micros, to_day},
    value::{list, number, text},
};

/// The number of leases that one script renews.
const RENEWED_AT_ONCE: usize = 250;

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
    let call = engine
        .job_call(&FINISH, &lease.id)
        .number(lease.epoch)
        .number(State::number_of(end.outcome.state()));
    let call = match &end.outcome {
        Outcome::Done(response) => call
            .mark(true)
            .arg(response.as_bytes().clone())
            .number(response.body_len())
            .text(""),
        Outcome::Streamed { head, chunks, len } => call
            .mark(true)
            .arg(head.as_bytes().clone())
            .number(len)
            .number(chunks),
        Outcome::Failed(problem) | Outcome::TimedOut(problem) => {
            call.mark(false).arg(problem.to_json()).text("").text("")
        }
        _ => {
            let unknown = "this kind of outcome cannot be stored";
            return Err(StoreError::unavailable(unknown));
        }
    };
    acknowledged(engine, &lease.id, add_report(call, end.report.as_ref())?).await
}

/// Prolongs leases, by one script for each shard.
pub(crate) async fn renew(engine: &Engine, leases: &[Lease]) -> Result<Vec<Renewal>, StoreError> {
    let mut by_shard: HashMap<usize, Vec<usize>> = HashMap::new();
    for (place, lease) in leases.iter().enumerate() {
        by_shard.entry(shard_of(&lease.id)).or_default().push(place);
    }
    let parts = by_shard.iter().flat_map(|(shard, places)| {
        let parts = places.chunks(RENEWED_AT_ONCE);
        parts.map(move |part| (*shard, part))
    });
    let renewals = parts.map(|(shard, places)| async move {
        let mut keys = vec![engine.keys.set(shard, Set::Leases).to_owned()];
        keys.extend(
            places
                .iter()
                .map(|place| engine.keys.job(&leases[*place].id)),
        );
        let mut call = engine
            .call(&RENEW, keys)
            .number(engine.lease())
            .number(FORMAT.newest());
        for place in places {
            let Lease { id, epoch } = leases[*place];
            call = call.text(id.encode().as_str()).number(epoch);
        }
        let fates = list(engine.link.run(&call).await?)?;
        engine.make_durable(shard).await?;
        Ok::<_, StoreError>((places, fates))
    });
    let mut renewed = vec![Renewal::Lost; leases.len()];
    for part in join_all(renewals).await {
        let (places, fates) = part?;
        // The first is the time.
        for (place, fate) in places.iter().zip(fates.into_iter().skip(1)) {
            renewed[*place] = renewal(&text(fate)?);
        }
    }
    Ok(renewed)
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
