//! Processes with a store alone, which share its data.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use http_polling::JobState;
use tower_async_job_core::JobId;

use crate::{
    child::Child,
    jobs::{add, claim, done, job, offer, open, state},
    nodes::{Nodes, needs_notifications},
    run::Ran,
};

pub(crate) async fn processes_that_open_new_data_at_once_create_them_once(
    data: &impl Nodes,
) -> Ran {
    for _ in 0..3 {
        let data = &data.another().await?;
        let children: Vec<_> = (0..5).map(|_| Child::start("open", data)).collect();
        let store = open(data).await?;
        for child in children {
            assert_eq!(child.rest(), ["opened"]);
        }
        let lease = add(&*store, job(&*store)).await;
        assert_eq!(state(&*store, &lease.id).await, Some(JobState::Running));
    }
    Ok(())
}

pub(crate) async fn s03_claims_of_two_processes_are_one_each(data: &impl Nodes) -> Ran {
    let store = open(data).await?;
    let mut left = HashSet::new();
    for _ in 0..300 {
        left.insert(offer(&*store).await);
    }
    let children = [Child::start("claim", data), Child::start("claim", data)];
    let mut claimed = Vec::new();
    loop {
        let claims = claim(&*store, 3).await;
        if claims.is_empty() {
            break;
        }
        for claim in claims {
            store.finish(&claim.lease, done().into()).await.unwrap();
            claimed.push(claim.lease.id);
        }
    }
    for child in children {
        claimed.extend(child.rest().iter().map(|id| id.parse::<JobId>().unwrap()));
    }
    for id in claimed {
        assert!(left.remove(&id), "{id:?} was claimed twice");
    }
    assert!(left.is_empty(), "{} jobs were not claimed", left.len());
    Ok(())
}

pub(crate) async fn s13_a_cancel_by_another_process_is_seen_at_once_and_wakes(
    data: &impl Nodes,
) -> Ran {
    needs_notifications(data)?;
    const ROUNDS: u32 = 10;
    let store = open(data).await?;
    let mut child = Child::start("cancel", data);
    assert_eq!(child.word().as_deref(), Some("ready"));
    let began = Instant::now();
    for _ in 0..ROUNDS {
        let lease = add(&*store, job(&*store)).await;
        let ended = store.subscribe(&lease.id);
        child.send(lease.id.encode().as_str());
        assert_eq!(child.word().as_deref(), Some("cancelled"));
        assert_eq!(state(&*store, &lease.id).await, Some(JobState::Cancelled));
        ended.await;
    }
    // Sooner than by the fallback, which would take half a second on average.
    assert!(
        began.elapsed() < ROUNDS * Duration::from_millis(400),
        "{:?}",
        began.elapsed()
    );
    Ok(())
}

pub(crate) async fn work_offered_by_another_process_wakes_workers(data: &impl Nodes) -> Ran {
    let store = open(data).await?;
    let mut child = Child::start("offer", data);
    assert_eq!(child.word().as_deref(), Some("ready"));
    for _ in 0..3 {
        let work = store.work();
        child.send("");
        work.await;
        let claims = claim(&*store, 9).await;
        let ids: Vec<_> = claims
            .iter()
            .map(|claim| claim.lease.id.encode().to_string())
            .collect();
        assert_eq!(ids, [child.word().unwrap()]);
    }
    Ok(())
}
