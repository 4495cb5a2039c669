//! Events: one blocking read, and few reads of jobs.

use std::{sync::Arc, time::Duration};

use http_polling::{Problem, ProblemType};
use test_services::Redis;
use tokio::time::timeout;
use tower_async_job_core::{Detail, JobStore, Outcome};

use crate::{add, builder, job, own};

/// Returns how often the server was asked to perform this command.
fn calls(server: &Redis, command: &str) -> u64 {
    let stats = server.command(&["INFO", "commandstats"]);
    let prefix = format!("cmdstat_{command}:calls=");
    let line = stats.lines().find_map(|line| line.strip_prefix(&prefix));
    let number = line.and_then(|line| line.split(',').next());
    number.map_or(0, |number| number.parse().unwrap())
}

// One thread, so that no wait for a processor separates the reads of what one event wakes.
#[tokio::test]
async fn s27_ten_thousand_waiters_on_one_job_cost_three_reads() {
    let Some(server) = own() else { return };
    let store = Arc::new(builder(&server).connect().await.unwrap());
    let other = builder(&server).connect().await.unwrap();
    let lease = add(&other, job(&other)).await;
    let mut waiters = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let store = Arc::clone(&store);
        let ended = store.subscribe(&lease.id);
        waiters.spawn(async move {
            ended.await;
            let read = store.read(&lease.id, Detail::Full).await;
            assert!(read.unwrap().unwrap().state.is_final());
        });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let clients = server.command(&["CLIENT", "LIST"]);
    let blocked = clients.matches("cmd=xread ").count();
    assert_eq!(blocked, 2, "one for each store: {clients}");
    let before = calls(&server, "hgetall");
    other
        .finish(
            &lease,
            Outcome::Failed(Problem::new(ProblemType::JobFailed)).into(),
        )
        .await
        .unwrap();
    timeout(Duration::from_secs(30), waiters.join_all())
        .await
        .unwrap();
    // Of these, one is the finish itself.
    let reads = calls(&server, "hgetall") - before - 1;
    assert!(reads <= 3, "{reads} reads for 10,000 waiters");
}

#[tokio::test(flavor = "multi_thread")]
async fn s25_events_that_are_trimmed_only_delay_a_wait() {
    let Some(server) = own() else { return };
    let store = builder(&server).connect().await.unwrap();
    let other = builder(&server).connect().await.unwrap();
    let lease = add(&other, job(&other)).await;
    let ended = store.subscribe(&lease.id);
    // The numbers of entries begin at 1 again.
    server.command(&["DEL", "{jobs:events}"]);
    other.cancel(&lease.id).await.unwrap();
    let waited = timeout(Duration::from_secs(10), ended).await;
    assert!(waited.is_ok());
}
