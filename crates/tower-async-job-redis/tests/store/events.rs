//! Events: one blocking read, and few reads of jobs.

use std::{sync::Arc, time::Duration};

use http_polling::{Problem, ProblemType};
use test_services::{Proxy, Redis};
use tokio::time::timeout;
use tower_async_job_core::{Detail, JobStore, Outcome};
use tower_async_job_redis::RedisStore;

use crate::{add, builder, job, own};

/// An interval of the fallback that leaves the waking to events.
const NEVER: Duration = Duration::from_secs(3600);

/// The time after which an event should have woken.
const PATIENCE: Duration = Duration::from_secs(20);

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
    let before = calls(&server, "hmget");
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
    let reads = calls(&server, "hmget") - before;
    assert!(reads <= 3, "{reads} reads for 10,000 waiters");
}

#[tokio::test(flavor = "multi_thread")]
async fn s25_events_that_are_trimmed_only_delay_a_wait() {
    let Some(server) = own() else { return };
    let [store, other] = pair(&server, "jobs").await;
    add(&other, job(&other)).await;
    let lease = add(&other, job(&other)).await;
    let ended = store.subscribe(&lease.id);
    // The numbers of entries begin at 1 again.
    server.command(&["DEL", "{jobs:events}"]);
    other.cancel(&lease.id).await.unwrap();
    let waited = timeout(Duration::from_secs(10), ended).await;
    assert!(waited.is_ok());
}

/// Opens two stores that are woken by events alone.
async fn pair(server: &Redis, prefix: &str) -> [RedisStore; 2] {
    let open = async || {
        let builder = builder(server).prefix(prefix).fallback(NEVER);
        builder.connect().await.unwrap()
    };
    [open().await, open().await]
}

/// Waits until something is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    let waited = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waited).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s26_the_first_event_of_a_store_wakes() {
    let Some(server) = own() else { return };
    let [store, other] = pair(&server, "first").await;
    until(|| {
        server
            .command(&["CLIENT", "LIST"])
            .matches("cmd=xread ")
            .count()
            == 2
    })
    .await;
    let lease = add(&other, job(&other)).await;
    let ended = store.subscribe(&lease.id);
    // Each reader asks for one check when it begins.
    until(|| store.round_trips().contains_key("pending")).await;
    other.cancel(&lease.id).await.unwrap();
    timeout(PATIENCE, ended).await.expect("the event wakes");
}

#[tokio::test(flavor = "multi_thread")]
async fn s26_thousands_of_wakes_need_no_fallback() {
    let Some(server) = own() else { return };
    // Readers that begin, and those that have begun.
    for (prefix, jobs) in (0..40).map(|_| 10).chain([2000]).enumerate() {
        let stores = Arc::new(pair(&server, &prefix.to_string()).await);
        let mut clients = tokio::task::JoinSet::new();
        for number in 0..10 {
            let stores = Arc::clone(&stores);
            clients.spawn(async move {
                for _ in 0..jobs / 10 {
                    let (here, there) = (&stores[number % 2], &stores[1 - number % 2]);
                    let lease = add(there, job(there)).await;
                    let ended = here.subscribe(&lease.id);
                    there.cancel(&lease.id).await.unwrap();
                    timeout(PATIENCE, ended).await.expect("an event wakes");
                }
            });
        }
        clients.join_all().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s25_a_gap_between_events_lets_waiters_look_again() {
    let Some(server) = own() else { return };
    let [store, other] = pair(&server, "gaps").await;
    let known = add(&other, job(&other)).await;
    let ended = store.subscribe(&known.id);
    other.cancel(&known.id).await.unwrap();
    timeout(PATIENCE, ended).await.expect("the event wakes");
    let lease = add(&other, job(&other)).await;
    let ended = store.subscribe(&lease.id);
    // The event of this end is lost.
    server.command(&["ACL", "SETUSER", "default", "-xadd"]);
    other.cancel(&lease.id).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.command(&["ACL", "SETUSER", "default", "+xadd"]);
    server.command(&["XADD", "{gaps:events}", "1-1000", "someone", ""]);
    timeout(PATIENCE, ended).await.expect("the gap wakes");
}

#[tokio::test(flavor = "multi_thread")]
async fn s25_a_read_of_events_that_does_not_return_is_replaced() {
    let Some(server) = own() else { return };
    let proxy = Proxy::start(server.address()).await;
    let store = RedisStore::builder([format!("redis://{}", proxy.address())])
        .operation_timeout(Duration::from_millis(500))
        .fallback(NEVER);
    let _store = store.connect().await.unwrap();
    until(|| server.command(&["CLIENT", "LIST"]).contains("cmd=xread ")).await;
    let before = proxy.connections();
    proxy.half_open();
    until(|| proxy.connections() > before).await;
}
