//! Servers that change their roles, and what nodes see of it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use test_services::{Redis, RedisSentinel, available};
use tower_async_job_core::{JobStore, Start};
use tower_async_job_redis::RedisStore;

use crate::{add, is_known, replayable, shared};

/// Starts a server whose replicas copy its data at once.
fn server() -> Option<Redis> {
    available(
        Redis::builder()
            .setting("repl-diskless-sync-delay", "0")
            .start(),
    )
}

/// Starts a master with a replica that has all of its data.
fn pair() -> Option<(Redis, Redis)> {
    let (master, replica) = (server()?, server()?);
    replicate(&replica, &master);
    Some((master, replica))
}

fn replicate(replica: &Redis, master: &Redis) {
    let port = master.port().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !replica
        .command(&["INFO", "replication"])
        .contains("master_link_status:up")
    {
        assert!(Instant::now() < deadline, "the replica has no data");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s17_a_master_that_became_a_replica_answers_no_poll_and_takes_no_change() {
    let Some((old, new)) = pair() else { return };
    let urls = [old.url(), new.url()];
    let store = RedisStore::builder(urls).replicas(1);
    let store = store.connect().await.unwrap();
    let before = add(&store, replayable(&store)).await;
    assert!(is_known(&store, &before.id).await);
    // The old master is demoted, and has no link to the new one.
    new.command(&["REPLICAOF", "NO", "ONE"]);
    old.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let other = RedisStore::builder([new.url()]).connect().await.unwrap();
    let job = add(&other, replayable(&other)).await;
    assert!(is_known(&store, &job.id).await);
    other.cancel(&before.id).await.unwrap();
    let read = store
        .read(&before.id, tower_async_job_core::Detail::Full)
        .await;
    assert!(read.unwrap().unwrap().state.is_final());

    let (new, old) = (old, new);
    let store = RedisStore::builder([old.url(), new.url()]);
    let store = store.connect().await.unwrap();
    let before = add(&store, replayable(&store)).await;
    new.command(&["REPLICAOF", "NO", "ONE"]);
    old.command(&["REPLICAOF", "127.0.0.1", "1"]);
    for start in [Start::Running, Start::Offered] {
        let job = replayable(&store).with_start(start);
        store.create(job).await.unwrap();
        store.cancel(&before.id).await.unwrap();
        old.command(&["REPLICAOF", "NO", "ONE"]);
        new.command(&["REPLICAOF", "127.0.0.1", "1"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s02_a_change_that_only_a_dead_master_had_is_not_confirmed_by_its_successor() {
    let (Some((old, new)), Some(third)) = (pair(), server()) else {
        return;
    };
    let store = RedisStore::builder([old.url(), new.url()]).replicas(1);
    let store = store.connect().await.unwrap();
    add(&store, replayable(&store)).await;
    // The replica stands still, and never gets the change.
    new.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let job = replayable(&store);
    let id = job.id;
    let created = store.create(job);
    let failover = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        old.kill();
        new.command(&["REPLICAOF", "NO", "ONE"]);
        tokio::task::block_in_place(|| replicate(&third, &new));
    };
    let (created, ()) = futures_util::future::join(created, failover).await;
    let other = RedisStore::builder([new.url()]).connect().await.unwrap();
    assert_eq!(created.is_ok(), is_known(&other, &id).await, "{created:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s02_s23_changes_of_a_master_are_not_confirmed_by_another_one() {
    let (Some((old, new)), Some(third)) = (pair(), server()) else {
        return;
    };
    let store = RedisStore::builder([old.url(), new.url()]).replicas(1);
    let store = store.connect().await.unwrap();
    // Each connection for changes is open.
    join_all((0..100).map(|_| add(&store, replayable(&store)))).await;
    new.command(&["REPLICAOF", "NO", "ONE"]);
    replicate(&third, &new);
    // The old master serves the connections that are open, but not the one that waits for replicas.
    let clients = old.command(&["CLIENT", "LIST"]);
    let waiting = clients.lines().filter(|client| client.contains("cmd=wait"));
    let ids = waiting.map(|client| client.split([' ', '=']).nth(1).unwrap());
    let ids: Vec<_> = ids.collect();
    assert_eq!(ids.len(), 1, "{clients}");
    let open = redis::Client::open(old.url()).unwrap();
    let mut open = open.get_multiplexed_async_connection().await.unwrap();
    let mut commands = redis::pipe();
    commands.cmd("CONFIG").arg(&["SET", "maxclients", "1"]);
    commands.cmd("CLIENT").arg(&["KILL", "ID"]).arg(&ids);
    let done: Vec<redis::Value> = commands.query_async(&mut open).await.unwrap();
    assert_eq!(done[1], redis::Value::Int(1));
    let other = RedisStore::builder([new.url()]).connect().await.unwrap();
    for _ in 0..2 {
        let job = replayable(&store);
        let id = job.id;
        let created = store.create(job).await;
        assert!(created.is_err() || is_known(&other, &id).await);
    }
    add(&store, replayable(&store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_that_a_sentinel_knows_is_used_also_after_a_failover() {
    let Some((master, replica)) = pair() else {
        return;
    };
    for server in [&master, &replica] {
        server.command(&["CONFIG", "SET", "masterauth", "secret"]);
        server.command(&["CONFIG", "SET", "requirepass", "secret"]);
    }
    let settings = ["sentinel auth-pass shop secret", "requirepass guard"];
    let sentinel = RedisSentinel::start("shop", &master, &settings);
    let Some(sentinel) = available(sentinel) else {
        return;
    };
    let connect = async |url: String, name: &str, password| {
        let store = RedisStore::builder([url.replace("redis://", "redis://:secret@")])
            .sentinel(name)
            .sentinel_login("default", password)
            .operation_timeout(Duration::from_secs(20));
        store.connect().await
    };
    let url = || format!("{}/3", sentinel.url());
    let store = connect(url(), "shop", "guard").await.unwrap();
    let before = add(&store, replayable(&store)).await;
    // The Sentinel knows replicas from the master, which it asks now and then.
    let deadline = Instant::now() + Duration::from_secs(30);
    let port = replica.port().to_string();
    while !sentinel.knows(&port) {
        assert!(Instant::now() < deadline, "the Sentinel knows no replica");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    master.kill();
    let after = add(&store, replayable(&store)).await;
    for lease in [&before, &after] {
        assert!(is_known(&store, &lease.id).await);
    }

    let error = connect(url(), "other", "guard").await.unwrap_err();
    assert!(error.is_invalid_address(), "{error}");
    assert!(error.to_string().contains("name `other`"), "{error}");
    let error = connect(url(), "shop", "wrong").await.unwrap_err();
    assert!(error.is_permission_denied(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_or_server_in_place_of_the_other_is_refused_with_the_remedy() {
    let Some(server) = shared() else { return };
    let sentinel = RedisSentinel::start("shop", server, &[]);
    let Some(sentinel) = available(sentinel) else {
        return;
    };
    let error = RedisStore::connect(sentinel.url()).await.unwrap_err();
    assert!(error.is_invalid_address(), "{error}");
    let text = error.to_string();
    assert!(text.contains("is a Sentinel") && text.contains("`RedisStoreBuilder::sentinel`"));
    let store = RedisStore::builder([server.url()]).sentinel("shop");
    let error = store.connect().await.unwrap_err();
    assert!(error.is_invalid_address(), "{error}");
    assert!(error.to_string().contains("is no Sentinel"), "{error}");
}
