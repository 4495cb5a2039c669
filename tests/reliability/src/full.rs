//! A store that is full.

use std::time::Duration;

use http_polling::JobState;
use tokio::time::sleep;

use crate::{
    calls::{Call, Work},
    check::Promise,
    history::{Answer, Event},
    round::Round,
    scenario::Scenario,
};

/// The most calls that are made to fill it.
const CALLS: usize = 2000;

/// The calls that are under way at once.
const AT_ONCE: usize = 8;

/// The tries to read a result.
const TRIES: usize = 5;

/// Fills the store with jobs, kills processes on it, and makes room.
pub(crate) async fn run(round: &mut Round) -> anyhow::Result<()> {
    let fleet = round.fleet.clone();
    fleet.start();
    round.all_listening().await;
    let refused = |event: &Event| match event {
        Event::Answered(answer) if is_refusal(answer) => Some(()),
        _ => None,
    };
    let mut from = 0;
    for _ in 0..CALLS {
        if !round.server(|store| store.is_nearly_full()).await? {
            from = fleet.history.len();
        } else if fleet.history.find(from, refused).is_some() {
            break;
        }
        round.start_call(|number, rng| {
            let work = if rng.u32(0..4) == 0 {
                Work::Large
            } else {
                Work::Run
            };
            let mut call = Call::random(number, work, rng);
            call.task.millis /= 20;
            call.task.size += 100_000;
            call.padding = 100_000;
            (call.is_async, call.is_keyed) = (true, true);
            call
        });
        round.under_way_at_most(AT_ONCE).await;
    }
    if fleet.history.find(from, refused).is_none() {
        round.broken(
            Promise::Documented,
            "no request was refused by a full store",
        );
    }
    readable(round).await;
    for slot in 0..fleet.len() {
        sleep(Duration::from_millis(round.rng.u64(0..1000))).await;
        fleet.process(slot).await.kill(Scenario::Full);
    }
    sleep(Duration::from_millis(round.rng.u64(0..2000))).await;
    if round.server(|store| store.enlarge()).await? {
        for slot in 0..fleet.len() {
            fleet.process(slot).await.kill(Scenario::Full);
        }
    }
    Ok(())
}

/// Returns whether the answer refuses a request for want of room.
fn is_refusal(answer: &Answer) -> bool {
    !answer.is_poll && matches!(answer.status, 503 | 507) && answer.state.is_none()
}

/// Checks that results are readable while the store is full.
async fn readable(round: &mut Round) {
    let events = round.fleet.history.events();
    let done = |job: &str| {
        events.iter().any(|(_, event)| match event {
            Event::Answered(answer) => answer.job.as_deref() == Some(job) && answer.nonce.is_some(),
            _ => false,
        })
    };
    for (call, job) in round.jobs() {
        if done(&job) && !is_readable(round, call, &job).await {
            let text = format!("the result of call {} is not readable", call.number);
            round.broken(Promise::Known, text);
        }
    }
}

/// Returns whether the result of a job is readable, from a machine that may be slow.
async fn is_readable(round: &Round, call: Call, job: &str) -> bool {
    for _ in 0..TRIES {
        if round.clients.look(call, job).await == Some(JobState::Done) {
            return true;
        }
    }
    false
}
