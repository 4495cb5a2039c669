//! Servers that crash, and rows that are locked.

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use http_polling::JobState;
use test_services::{PgBouncer, Postgres, available};
use tokio::{
    runtime::Handle,
    task::{JoinSet, block_in_place},
    time::timeout,
};
use tower_async_job_core::{Detail, End, JobStore, NewJob, Outcome, SweepQuery};
use tower_async_job_postgres::PostgresStore;

use crate::support::{Place, SYSTEM, hears};

#[tokio::test(flavor = "multi_thread")]
async fn s23_a_crash_of_the_server_loses_nothing_that_was_acknowledged() {
    let Some(server) = available(Postgres::start()) else {
        return;
    };
    let store = Arc::new(PostgresStore::connect(server.url()).await.unwrap());
    lose_nothing_while(store, || server.crash()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s23_a_failover_to_a_synchronous_standby_loses_nothing_that_was_acknowledged() {
    let Some(primary) = available(Postgres::start()) else {
        return;
    };
    let standby = primary.standby().unwrap();
    let url = format!(
        "postgres://postgres@{},{}/postgres?target_session_attrs=read-write",
        standby.address(),
        primary.address()
    );
    let store = Arc::new(PostgresStore::connect(&url).await.unwrap());
    // It takes any server of two, as one whose name leads to another server by then.
    let url = format!(
        "postgres://postgres@{},{}/postgres",
        primary.address(),
        standby.address()
    );
    let other = PostgresStore::connect(&url).await.unwrap();
    let lease = crate::add(&other).await;
    let read = || {
        let read = other.read(&lease.id, Detail::Status);
        block_in_place(|| Handle::current().block_on(read))
    };
    let fail_over = || {
        primary.kill();
        // A standby may lack the latest jobs, which would then be unknown.
        let error = read().unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        standby.promote();
    };
    lose_nothing_while(store, fail_over).await;
    assert_eq!(read().unwrap().unwrap().state, JobState::Running);
}

/// Lets jobs live while a fault occurs, and checks those that were acknowledged.
async fn lose_nothing_while(store: Arc<PostgresStore>, fault: impl FnOnce()) {
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        let store = Arc::clone(&store);
        callers.spawn(async move {
            let mut acknowledged = Vec::new();
            for _ in 0..60 {
                let job = NewJob::new(store.new_id(None, None));
                let lease = job.first_lease();
                if store.create(job).await.is_ok() {
                    let is_done = store.finish(&lease, crate::done(100).into()).await.is_ok();
                    acknowledged.push((lease.id, is_done));
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            acknowledged
        });
    }
    tokio::time::sleep(Duration::from_millis(150)).await;
    fault();
    let acknowledged: Vec<_> = callers.join_all().await.into_iter().flatten().collect();
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    for (id, is_done) in acknowledged {
        let record = store.read(&id, Detail::Full).await.unwrap().unwrap();
        assert!(!is_done || record.state == JobState::Done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s06_chunks_that_were_acknowledged_outlive_a_crash_of_the_server() {
    let Some(server) = available(Postgres::start()) else {
        return;
    };
    let store = PostgresStore::builder(server.url())
        .chunk_size(1000)
        .connect()
        .await
        .unwrap();
    let lease = crate::add(&store).await;
    for index in 0..2 {
        let chunk = vec![b'x'; 1000].into();
        store.write_chunk(&lease, index, chunk).await.unwrap();
    }
    server.crash();
    let Outcome::Done(head) = crate::done(0) else {
        unreachable!("it is done");
    };
    let (chunks, len) = (2, 2000);
    let end: End = Outcome::Streamed { head, chunks, len }.into();
    // The run lives on, and ends as soon as there is a connection.
    while let Err(error) = store.finish(&lease, end.clone()).await {
        assert!(error.is_unavailable(), "{error}");
    }
    let record = store.read(&lease.id, Detail::Full).await.unwrap().unwrap();
    let result = record.result.unwrap();
    for index in 0..2 {
        let chunk = store.read_chunk(&result, index).await.unwrap();
        assert_eq!(chunk.map(|chunk| chunk.len()), Some(1000), "{index}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s09_a_sweep_repeats_its_condition_on_the_locked_row() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = place.builder().lease_duration(Duration::from_millis(300));
    let store = Arc::new(store.connect().await.unwrap());
    let lease = crate::add(&store).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    // A finish that is not committed yet has the row.
    let client = place.client().await;
    let id = lease.id.encode();
    let finish = format!(
        "BEGIN; UPDATE jobs SET state = 2, leased = false, ended = job_now(), \
         due = job_now() + 3600000000 WHERE id = '{id}'; \
         INSERT INTO results VALUES ('{id}', '\\x01')"
    );
    client.batch_execute(&finish).await.unwrap();
    let sweeping = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.sweep(&SweepQuery::default()).await.unwrap() })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.batch_execute("COMMIT").await.unwrap();
    sweeping.await.unwrap();
    store.sweep(&SweepQuery::default()).await.unwrap();
    let record = store
        .read(&lease.id, Detail::Status)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((record.state, record.epoch), (JobState::Done, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_stays_locked_fails_its_call_in_time() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = place
        .builder()
        .operation_timeout(Duration::from_millis(300));
    let store = store.connect().await.unwrap();
    let lease = crate::add(&store).await;
    let client = place.client().await;
    client
        .batch_execute("BEGIN; LOCK TABLE jobs")
        .await
        .unwrap();
    let error = store
        .finish(&lease, crate::done(1).into())
        .await
        .unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    client.batch_execute("COMMIT").await.unwrap();
    store.finish(&lease, crate::done(1).into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s23_a_deadlock_is_tried_again() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = Arc::new(place.builder().connect().await.unwrap());
    let (first, second) = (crate::add(&store).await, crate::add(&store).await);
    let (low, high) = (first.id.min(second.id), first.id.max(second.id));
    let client = place.client().await;
    let lock = |id: tower_async_job_core::JobId| {
        format!("SELECT 1 FROM jobs WHERE id = '{}' FOR UPDATE", id.encode())
    };
    // Another program locks in the opposite order, and is in no hurry to see the deadlock.
    let begin = format!("BEGIN; SET LOCAL deadlock_timeout = '20s'; {}", lock(high));
    client.batch_execute(&begin).await.unwrap();
    let renewing = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.renew(&[first, second]).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    client.batch_execute(&lock(low)).await.unwrap();
    client.batch_execute("COMMIT").await.unwrap();
    let renewed = renewing.await.unwrap().unwrap();
    assert!(
        renewed.iter().all(|renewal| renewal.is_held()),
        "{renewed:?}"
    );
    assert_eq!(store.statements()["renew"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn s23_a_failure_to_serialize_is_tried_again() {
    let Some(mut place) = Place::of_system() else {
        return;
    };
    let sql = "CREATE ROLE strict SUPERUSER LOGIN; \
               ALTER ROLE strict SET default_transaction_isolation = 'serializable'";
    SYSTEM.as_ref().unwrap().query(sql);
    place.url = place.url.replace("postgres@", "strict@");
    let store = Arc::new(place.builder().connect().await.unwrap());
    let lease = crate::add(&store).await;
    let client = place.client().await;
    let id = lease.id.encode();
    let change = format!("BEGIN; UPDATE jobs SET started = started WHERE id = '{id}'");
    client.batch_execute(&change).await.unwrap();
    let renewing = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.renew(&[lease]).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    client.batch_execute("COMMIT").await.unwrap();
    assert!(renewing.await.unwrap().unwrap()[0].is_held());
    assert_eq!(store.statements()["renew"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn s23_connections_that_are_terminated_fail_no_call() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = place.builder().connect().await.unwrap();
    let kill = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{}'",
        place.application()
    );
    for _ in 0..10 {
        let lease = crate::add(&store).await;
        place.execute(&kill).await;
        store.finish(&lease, crate::done(1).into()).await.unwrap();
        place.execute(&kill).await;
        let record = store.read(&lease.id, Detail::Full).await.unwrap().unwrap();
        assert_eq!(record.state, JobState::Done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s23_a_restart_of_pgbouncer_fails_no_call() {
    let Some(server) = &*SYSTEM else { return };
    let Some(bouncer) = available(PgBouncer::start(server)) else {
        return;
    };
    let place = Place::new(bouncer.url(), server.url());
    let store = place.builder().connect().await.unwrap();
    let lease = crate::add(&store).await;
    bouncer.restart();
    store.finish(&lease, crate::done(1).into()).await.unwrap();
    bouncer.restart();
    let record = store.read(&lease.id, Detail::Full).await.unwrap().unwrap();
    assert_eq!(record.state, JobState::Done);
}

/// Gives up a call whose statement waits for a lock, and returns whether the statement still waits.
async fn waits_after_given_up(place: &Place, store: &PostgresStore) -> bool {
    let lease = crate::add(store).await;
    let client = place.client().await;
    client
        .batch_execute("BEGIN; LOCK TABLE jobs")
        .await
        .unwrap();
    let leases = [lease];
    let mut renewal = store.renew(&leases);
    let waiting = "SELECT 1 FROM pg_stat_activity \
                   WHERE application_name = $1 AND wait_event_type = 'Lock'";
    let (application, mut given_up) = (place.application(), None);
    let waits = loop {
        let waits = !client
            .query(waiting, &[&application])
            .await
            .unwrap()
            .is_empty();
        match given_up {
            None if waits => {
                renewal = Box::pin(pending());
                given_up = Some(Instant::now());
            }
            Some(_) if !waits => break false,
            Some(instant) if instant.elapsed() > Duration::from_millis(500) => break true,
            // The statement begins, or is cancelled.
            _ => {
                let _ = timeout(Duration::from_millis(5), &mut renewal).await;
            }
        }
    };
    client.batch_execute("COMMIT").await.unwrap();
    assert!(store.renew(&[lease]).await.unwrap()[0].is_held());
    waits
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_given_up_is_cancelled() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = place.builder().connect().await.unwrap();
    hears(&store).await;
    assert!(!waits_after_given_up(&place, &store).await);
}

/// PgBouncer before 1.18 may cancel another client's statement, and before 1.20 may crash.
#[tokio::test(flavor = "multi_thread")]
async fn s24_a_statement_that_is_given_up_is_not_cancelled_by_pgbouncer() {
    let Some(server) = &*SYSTEM else { return };
    let Some(bouncer) = available(PgBouncer::start(server)) else {
        return;
    };
    let place = Place::new(bouncer.url(), server.url());
    let store = place.builder().connect().await.unwrap();
    hears(&store).await;
    assert!(waits_after_given_up(&place, &store).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn s23_a_server_that_only_reads_for_a_while_refuses_changes_until_then() {
    let Some(server) = available(Postgres::start()) else {
        return;
    };
    let store = PostgresStore::connect(server.url()).await.unwrap();
    let lease = crate::add(&store).await;
    server.setting("default_transaction_read_only", "on");
    let error = store
        .finish(&lease, crate::done(1).into())
        .await
        .unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    let record = store.read(&lease.id, Detail::Status).await.unwrap();
    assert_eq!(record.unwrap().state, JobState::Running);
    server.setting("default_transaction_read_only", "off");
    store.finish(&lease, crate::done(1).into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_share_the_connections_that_a_role_may_have() {
    let Some(server) = available(Postgres::start()) else {
        return;
    };
    server.query("CREATE ROLE few LOGIN CONNECTION LIMIT 4");
    server.query("GRANT CREATE ON DATABASE postgres TO few");
    let url = server.url().replace("postgres@", "few@");
    let store = Arc::new(PostgresStore::connect(url).await.unwrap());
    let lease = crate::add(&store).await;
    let mut calls = JoinSet::new();
    for _ in 0..24 {
        let store = Arc::clone(&store);
        calls.spawn(async move { store.renew(&[lease]).await });
    }
    for renewed in calls.join_all().await {
        assert!(renewed.unwrap()[0].is_held());
    }
}
