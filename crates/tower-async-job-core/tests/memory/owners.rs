//! Owners, keys and reports: how they are stored, and that reads by strangers do not copy them.

use serde_json::json;
use tower_async_job_core::{IdempotencyKey, JobStore, Json, NewJob, Principal, Report, SweepQuery};

use crate::common::*;

/// Returns 64 kB of text.
fn long() -> String {
    "x".repeat(64_000)
}

fn used(store: &impl JobStore) -> usize {
    store.usage().unwrap().bytes
}

fn keyed(key: &str) -> NewJob {
    job().with_idempotency(IdempotencyKey::new(key, [1; 32]).unwrap())
}

#[tokio::test]
async fn s71_reading_shares_a_report_and_does_not_copy_it() {
    let (store, _) = store();
    let lease = create(&store, job().with_principal(Principal::new("a"))).await;
    let partial = Json::from(json!(long()));
    let report = Report::default().with_partial(partial.clone());
    store.report(&lease, report).await.unwrap();
    let record = read(&store, &lease.id).await.unwrap();
    let kept = record.partial.unwrap();
    assert_eq!(kept.as_bytes().as_ptr(), partial.as_bytes().as_ptr());
}

#[tokio::test]
async fn s69_names_and_reports_count_as_bytes() {
    let (store, clock) = store();
    let before = used(&store);
    let owned = job()
        .with_principal(Principal::new(long()))
        .with_route(long());
    let lease = create(&store, owned).await;
    assert_eq!(used(&store) - before, 128_000);
    let message = http_polling::Progress::fraction(0.5).with_message(long());
    let metadata = json!({ "a": long() });
    let report = Report::default()
        .with_progress(message)
        .with_partial(json!(long()))
        .with_metadata(metadata.as_object().unwrap().clone());
    store.report(&lease, report).await.unwrap();
    assert!(used(&store) - before > 5 * 64_000);
    store.finish(&lease, done(b"x")).await.unwrap();
    clock.advance(HOUR);
    store.sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(used(&store), before);
}

#[tokio::test]
async fn s69_route_that_is_kept_with_a_key_counts_as_bytes() {
    let (store, _) = store();
    let mut rooms = Vec::new();
    for (key, route) in [("a", ""), ("b", &*"x".repeat(256))] {
        let before = used(&store);
        let lease = create(&store, keyed(key).with_route(route)).await;
        store.finish(&lease, done(b"x")).await.unwrap();
        store.remove(&lease.id).await.unwrap();
        assert_eq!(&*read(&store, &lease.id).await.unwrap().route, route);
        rooms.push(used(&store) - before);
    }
    assert_eq!(rooms[1] - rooms[0], 256);
}

#[tokio::test]
async fn s69_names_without_room_are_refused() {
    let (store, _) = store_with(|builder| builder.max_bytes(100_000));
    let owned = || job().with_principal(Principal::new(long()));
    create(&store, owned()).await;
    let error = store.create(owned()).await.unwrap_err();
    assert_eq!(error.limit().unwrap().setting, "max_bytes");
}
