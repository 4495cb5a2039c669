//! Migrations of the schema.

use tokio::task::JoinSet;
use tower_async_job_core::{ClaimQuery, JobStore, Release};

use crate::support::Place;

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
