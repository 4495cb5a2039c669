//! Notifications between nodes.

use std::{sync::Arc, time::Duration};

use test_services::Proxy;
use tokio::time::timeout;
use tower_async_job_core::{Detail, JobStore};

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
    let record = store
        .read(&lease.id, Detail::Status)
        .await
        .unwrap()
        .unwrap();
    assert!(record.state.is_final());
}
