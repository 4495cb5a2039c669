//! Notifications between nodes.

use std::{
    future::poll_fn,
    sync::Arc,
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use test_services::Proxy;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_postgres::{AsyncMessage, NoTls};
use tower_async_job_core::{Detail, JobStore};
use tower_async_job_postgres::PostgresStore;

use crate::support::{BOUNCER, Place, SYSTEM, hears};

// One thread, so that no wait for a processor separates the reads of what one event wakes.
#[tokio::test]
async fn s27_ten_thousand_waiters_share_one_connection_and_their_reads() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = Arc::new(place.builder().connect().await.unwrap());
    let other = place.builder().connect().await.unwrap();
    hears(&store).await;
    let lease = crate::add(&other).await;
    let reads = || store.statements().get("read_jobs").copied();
    let before = reads();
    let mut waiters = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let (store, ended) = (Arc::clone(&store), store.subscribe(&lease.id));
        waiters.spawn(async move {
            ended.await;
            store
                .read(&lease.id, Detail::Status)
                .await
                .unwrap()
                .unwrap()
        });
    }
    other.finish(&lease, crate::done(1).into()).await.unwrap();
    let woken = timeout(Duration::from_secs(20), waiters.join_all())
        .await
        .unwrap();
    assert!(woken.iter().all(|record| record.state.is_final()));
    assert_eq!(before, None);
    assert!(reads().unwrap() <= 3, "{:?}", reads());
    // Eight connections of each store, and the one that listens.
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}'",
        place.application()
    );
    let client = place.client().await;
    let connections: i64 = client.query_one(&sql, &[]).await.unwrap().get(0);
    assert!((2..=18).contains(&connections), "{connections}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s25_a_listener_that_is_closed_listens_again_and_wakes_all_waiters() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = Arc::new(place.builder().connect().await.unwrap());
    hears(&store).await;
    let lease = crate::add(&store).await;
    let ended = store.subscribe(&lease.id);
    let sql = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{}'",
        place.application()
    );
    place.execute(&sql).await;
    // Changes of the meantime were not heard, so all waiters look.
    timeout(Duration::from_secs(10), ended).await.unwrap();
    hears(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s25_a_listener_whose_connection_is_half_open_is_given_up_and_listens_again() {
    let (Some(place), Some(server)) = (Place::of_system(), &*SYSTEM) else {
        return;
    };
    let proxy = Proxy::start(server.address()).await;
    let url = format!("postgres://postgres@{}/postgres", proxy.address());
    let builder = place.builder().listen_url(&url);
    let builder = builder.operation_timeout(Duration::from_secs(1));
    let store = Arc::new(builder.connect().await.unwrap());
    let other = place.builder().connect().await.unwrap();
    hears(&store).await;
    proxy.half_open();
    let lease = crate::add(&other).await;
    let ended = store.subscribe(&lease.id);
    other.finish(&lease, crate::done(1).into()).await.unwrap();
    // Nothing is heard, and the fallback finds it.
    timeout(Duration::from_secs(5), ended).await.unwrap();
    let given_up = async {
        while store.is_listening() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), given_up).await.unwrap();
    proxy.heal().await;
    hears(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s24_behind_pgbouncer_alone_changes_are_noticed_by_the_fallback() {
    let (Some(bouncer), Some(server)) = (&*BOUNCER, &*SYSTEM) else {
        return;
    };
    let place = Place::new(bouncer.url(), server.url());
    let builder = || place.builder().listen_url(&place.url);
    let store = builder().connect().await.unwrap();
    let other = builder().connect().await.unwrap();
    let lease = crate::add(&store).await;
    let ended = store.subscribe(&lease.id);
    other.finish(&lease, crate::done(1).into()).await.unwrap();
    timeout(Duration::from_secs(5), ended).await.unwrap();
    assert!(!store.is_listening());
    let record = store
        .read(&lease.id, Detail::Status)
        .await
        .unwrap()
        .unwrap();
    assert!(record.state.is_final());
}

#[tokio::test(flavor = "multi_thread")]
async fn s25_the_fallback_is_as_quick_after_an_outage_as_before() {
    let (Some(place), Some(server)) = (Place::of_system(), &*SYSTEM) else {
        return;
    };
    let proxy = Proxy::start(server.address()).await;
    let url = format!("postgres://postgres@{}/postgres", proxy.address());
    let builder = PostgresStore::builder(url)
        .schema(&place.schema)
        // Nothing is there, so that no notification arrives.
        .listen_url("postgres://postgres@127.0.0.1:1/postgres")
        .operation_timeout(Duration::from_millis(1500));
    let store = builder.connect().await.unwrap();
    let other = place.builder().connect().await.unwrap();
    let lease = crate::add(&other).await;
    let ended = store.subscribe(&lease.id);
    proxy.half_open();
    // A check begins after a second, and fails after its time limit.
    sleep(Duration::from_millis(2700)).await;
    proxy.heal().await;
    other.finish(&lease, crate::done(1).into()).await.unwrap();
    timeout(Duration::from_secs(2), ended).await.unwrap();
}

#[tokio::test]
async fn events_in_quick_succession_share_notifications() {
    const JOBS: usize = 200;
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = place.builder().connect().await.unwrap();
    hears(&store).await;
    let (listener, mut connection) = tokio_postgres::connect(&place.direct, NoTls).await.unwrap();
    let (notifications, mut arrivals) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(notification) = message {
                let _ = notifications.send(notification.payload().to_owned());
            }
        }
    });
    let digest: [u8; 32] = Sha256::digest(&place.schema).into();
    let channel = u64::from_be_bytes(digest[..8].try_into().unwrap());
    let listen = format!("LISTEN tower_async_job_{channel:016x}");
    listener.batch_execute(&listen).await.unwrap();
    let begun = Instant::now();
    let mut hashes = 0;
    for _ in 0..JOBS {
        let lease = crate::add(&store).await;
        store.finish(&lease, crate::done(1).into()).await.unwrap();
    }
    let took = begun.elapsed();
    let mut count = 0;
    while hashes < JOBS {
        let arrival = timeout(Duration::from_secs(5), arrivals.recv()).await;
        let payload = arrival.unwrap().unwrap();
        if let Some((_, list)) = payload.split_once(':') {
            hashes += list.len() / 16;
            count += 1;
        }
    }
    let most = took.as_millis() / 5 + 2;
    assert!(count <= most, "{count} notifications in {took:?}");
}
