//! Immediate reads.

use http_polling::Progress;
use serde_json::json;
use tower_async_job_core::{
    Detail, JobId, JobRecord, JobStore, MemoryStore, Principal, Report, Retention, Start,
    SweepQuery,
};

use crate::common::*;

/// Reads both ways, which must agree.
async fn read_both(store: &MemoryStore, id: &JobId, detail: Detail) -> Option<JobRecord> {
    let later = store.read(id, detail).await.unwrap();
    let now = store.read_now(id, detail);
    let now = now.expect("memory is always at hand").unwrap();
    assert_eq!(now, later);
    later
}

#[tokio::test]
async fn an_immediate_read_answers_as_read_does() {
    let (store, clock) = store();
    let owned = job()
        .with_route("/reports")
        .with_principal(Principal::new("a"));
    let queued = job().with_start(Start::Queued);
    let ended = job().with_retention(Retention::new(LEASE / 2, HOUR));
    let failing = job();
    let ids = [owned.id, queued.id, ended.id, failing.id, JobId::random()];
    let lease = create(&store, owned).await;
    create(&store, queued).await;
    let ending = create(&store, ended).await;
    let failing = create(&store, failing).await;
    let report = Report::default()
        .with_progress(Progress::fraction(0.5))
        .with_partial(json!({ "rows": [1, 2] }));
    store.report(&lease, report).await.unwrap();
    store.finish(&ending, done(b"x")).await.unwrap();
    store.finish(&failing, failed()).await.unwrap();

    let mut known = Vec::new();
    for _ in 0..4 {
        let mut count = 0;
        for id in &ids {
            read_both(&store, id, Detail::Status).await;
            count += usize::from(read_both(&store, id, Detail::Full).await.is_some());
        }
        known.push(count);
        clock.advance(LEASE / 2);
        store.sweep(&SweepQuery::default()).await.unwrap();
    }
    assert_eq!(known, [4; 4]);
    clock.advance(HOUR * 3);
    assert_eq!(read_both(&store, &ids[2], Detail::Full).await, None);
}

#[tokio::test]
async fn reading_at_once_changes_nothing() {
    let (store, _) = store();
    let lease = create(&store, job()).await;
    let before = read(&store, &lease.id).await;
    let _ = store.read_now(&lease.id, Detail::Full);
    assert_eq!(read(&store, &lease.id).await, before);
}

#[tokio::test]
async fn leases_that_last_as_long_as_the_process_have_no_rest() {
    let (store, clock) = store_with(|builder| builder);
    let lease = create(&store, job()).await;
    clock.advance(HOUR);
    let record = read(&store, &lease.id).await.unwrap();
    assert_eq!(record.lease_remaining, None);
}
