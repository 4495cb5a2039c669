//! Records that cannot be read, as by another release or a damage of the data.

use std::time::Duration;

use http::StatusCode;
use tokio::{task::JoinSet, time::sleep};
use tower_async_job_core::{JobId, JobStore, SweepQuery};

use crate::{
    jobs::{add, claim, offer, open, replayable},
    node::{Node, id_of},
    nodes::{LEASE, Nodes},
    routes::slow,
    run::Ran,
};

const SHORT: Duration = Duration::from_millis(200);

pub(crate) async fn s41_a_job_of_a_newer_release_is_503_and_stays(data: &impl Nodes) -> Ran {
    let node = Node::new(data, slow(SHORT)).await?;
    let url = node.submit("/once").await;
    assert_eq!(node.ended(&url).await.body, "attempt 1");
    data.add_to_format(id_of(&url), 1).await?;
    let answer = node.get(&url).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_ne!(answer.header("retry-after"), "");
    data.add_to_format(id_of(&url), -1).await?;
    assert_eq!(node.get(&url).await.body, "attempt 1");
    Ok(())
}

pub(crate) async fn s42_a_damaged_job_is_500_and_others_go_on(data: &impl Nodes) -> Ran {
    let node = Node::new(data, slow(SHORT)).await?;
    let [damaged, other] = [node.submit("/once").await, node.submit("/once").await];
    assert_eq!(node.ended(&damaged).await.body, "attempt 1");
    data.corrupt(id_of(&damaged)).await?;
    for _ in 0..2 {
        let answer = node.get(&damaged).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.problem(), "record-unreadable");
    }
    assert_eq!(node.ended(&other).await.body, "attempt 1");
    Ok(())
}

/// More than a sweep or a claim looks at.
const CROWD: usize = 600;

pub(crate) async fn s41_a_crowd_of_jobs_of_a_newer_release_delays_no_other(
    data: &impl Nodes,
) -> Ran {
    let store = open(data).await?;
    let mut crowd = JoinSet::new();
    for number in 0..CROWD {
        let store = store.clone();
        crowd.spawn(async move {
            match number % 2 {
                0 => offer(&*store).await,
                _ => add(&*store, replayable(&*store, "/again")).await.id,
            }
        });
    }
    for id in crowd.join_all().await {
        data.add_to_format(id, 1).await?;
    }
    let orphan = add(&*store, replayable(&*store, "/again")).await.id;
    let offered = offer(&*store).await;
    // Even if each call meets one of them.
    assert_eq!(first_claimed(&*store).await, Some(offered));
    sleep(LEASE + SHORT).await;
    while store.sweep(&SweepQuery::default()).await.unwrap().next == Some(Duration::ZERO) {}
    // After the pause of a lost lease.
    sleep(LEASE).await;
    assert_eq!(first_claimed(&*store).await, Some(orphan));
    Ok(())
}

/// Claims until there is a job.
async fn first_claimed(store: &dyn JobStore) -> Option<JobId> {
    for _ in 0..=CROWD {
        if let [claim] = &claim(store, 1).await[..] {
            return Some(claim.lease.id);
        }
    }
    None
}
