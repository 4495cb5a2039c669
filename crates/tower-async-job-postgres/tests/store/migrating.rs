//! Migrations of the schema.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http_polling::JobState;
use tokio::{task::JoinSet, time::sleep};
use tower_async_job_core::{ClaimQuery, Detail, JobStore, Release, SweepQuery};

use crate::support::{Place, hears};

#[tokio::test(flavor = "multi_thread")]
async fn twenty_nodes_that_start_at_once_migrate_once() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let mut nodes = JoinSet::new();
    for _ in 0..20 {
        let builder = place.builder().connections(1);
        nodes.spawn(async move { builder.connect().await });
    }
    let stores: Result<Vec<_>, _> = nodes.join_all().await.into_iter().collect();
    for store in stores.unwrap() {
        crate::add(&store).await;
    }
}

#[tokio::test]
async fn a_schema_is_not_created_without_leave_and_can_be_by_its_sql() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let error = place.builder().migrate(false).connect().await.unwrap_err();
    assert!(error.is_outdated(), "{error}");
    for migration in place.builder().migrations() {
        place.execute(migration.sql()).await;
    }
    let store = place.builder().migrate(false).connect().await.unwrap();
    crate::add(&store).await;
}

#[tokio::test]
async fn the_owner_of_the_schema_needs_no_privilege_on_the_database() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let mut owned = place.clone();
    owned.url = place.url.replace("postgres@", "owner@");
    owned.direct = owned.url.clone();
    place.execute("CREATE ROLE owner LOGIN").await;
    let error = owned.builder().connect().await.unwrap_err();
    assert!(error.is_permission_denied(), "{error}");
    assert!(error.to_string().contains("AUTHORIZATION"), "{error}");
    let create = format!("CREATE SCHEMA {} AUTHORIZATION owner", place.schema);
    place.execute(&create).await;
    crate::add(&owned.builder().connect().await.unwrap()).await;
}

#[tokio::test]
async fn a_newer_schema_is_used_while_it_is_compatible_and_then_refused() {
    let Some(place) = Place::of_system() else {
        return;
    };
    drop(place.builder().connect().await.unwrap());
    place.execute("UPDATE store SET version = 99").await;
    let store = place.builder().connect().await.unwrap();
    crate::add(&store).await;
    place.execute("UPDATE store SET oldest = 98").await;
    let error = place.builder().connect().await.unwrap_err();
    assert!(error.is_newer(), "{error}");
    assert!(error.to_string().contains("99"), "{error}");
}

#[tokio::test]
async fn the_schema_of_another_application_is_refused() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let schema = &place.schema;
    let sql = format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.jobs (id integer)");
    place.execute(&sql).await;
    let error = place.builder().connect().await.unwrap_err();
    assert!(error.is_foreign(), "{error}");
}

#[tokio::test]
async fn schemas_of_any_name_are_used() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let longest = "x".repeat(63);
    for name in [
        "it's \"quoted\".twice",
        "{schema}",
        "{settings}",
        "$$; SELECT 1",
        "$body$ $1 \\ %I",
        "select",
        "ä",
        &longest,
    ] {
        let store = place.builder().schema(name).connect().await;
        let store = store.unwrap_or_else(|error| panic!("{name}: {error}: {error:?}"));
        let lease = crate::add(&store).await;
        store.release(&[lease], Release::default()).await.unwrap();
        let claims = store.claim(&ClaimQuery::new(1)).await.unwrap();
        assert_eq!(claims.jobs.len(), 1, "{name}");
    }
    for name in ["", "a\0b", &format!("{longest}x")] {
        let error = place.builder().schema(name).connect().await.unwrap_err();
        assert!(error.is_url_malformed(), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_continue_while_the_schema_is_migrated_and_locked_by_others() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let migrations = place.builder().migrations();
    place.execute(migrations[0].sql()).await;
    // All calls of this release are those of the first version, which is checked only at the start.
    let schema = &place.schema;
    let grants = format!(
        "CREATE ROLE previous LOGIN; GRANT USAGE ON SCHEMA {schema} TO previous; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO previous; \
         GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA {schema} TO previous; \
         UPDATE store SET version = 99"
    );
    place.execute(&grants).await;
    let mut modest = place.clone();
    modest.url = place.url.replace("postgres@", "previous@");
    modest.direct = modest.url.clone();
    let previous = modest.builder().connect().await.unwrap();
    hears(&previous).await;
    place.execute("UPDATE store SET version = 1").await;
    let is_over = Arc::new(AtomicBool::new(false));
    let working = {
        let is_over = Arc::clone(&is_over);
        tokio::spawn(async move {
            let mut rounds = 0;
            while !is_over.load(Ordering::Relaxed) {
                let lease = crate::add(&previous).await;
                previous
                    .release(&[lease], Release::default())
                    .await
                    .unwrap();
                let claims = previous.claim(&ClaimQuery::new(9)).await.unwrap();
                let lease = claims.jobs[0].lease;
                previous
                    .finish(&lease, crate::done(9).into())
                    .await
                    .unwrap();
                let record = previous.read(&lease.id, Detail::Full).await.unwrap();
                assert_eq!(record.unwrap().state, JobState::Done);
                previous.sweep(&SweepQuery::default()).await.unwrap();
                rounds += 1;
            }
            rounds
        })
    };
    // A backup reads the tables, so that no column can be added yet. Nodes must not wait for it.
    let backup = place.client().await;
    backup
        .batch_execute("BEGIN; LOCK TABLE jobs IN ACCESS SHARE MODE")
        .await
        .unwrap();
    // One of those that migrate tries it, so that the others do not add to its short waits.
    let mut migrating: JoinSet<_> = (0..8).map(|_| place.builder().connect()).collect();
    sleep(Duration::from_millis(2500)).await;
    assert!(migrating.try_join_next().is_none());
    backup.batch_execute("COMMIT").await.unwrap();
    while let Some(store) = migrating.join_next().await {
        crate::add(&store.unwrap().unwrap()).await;
    }
    sleep(Duration::from_millis(100)).await;
    is_over.store(true, Ordering::Relaxed);
    let rounds: u32 = working.await.unwrap();
    assert!(rounds > 20, "{rounds}");
}
