//! The version of a record.

use http_polling::Progress;
use tower_async_job_core::{JobId, Outside, Release, Report, Start};

use crate::common::*;

/// Checks that the version has risen since, and that it stays while nothing happens.
async fn rises(store: &Store, id: &JobId, version: &mut u64, after: &str) {
    let now = read(store, id).await.unwrap().version;
    assert!(now > *version, "{after}: {now} after {version}");
    assert!(now < 1 << 53);
    assert_eq!(read(store, id).await.unwrap().version, now);
    *version = now;
}

pub(crate) async fn version_rises_with_each_change_and_only_then(store: Store, pass: &Pass) {
    let job = replayable().with_start(Start::Queued).with_max_attempts(9);
    let mut version = 0;
    let lease = create(&store, job).await;
    let id = lease.id;
    rises(&store, &id, &mut version, "create").await;
    store.start(&lease).await.unwrap();
    rises(&store, &id, &mut version, "start").await;
    store.start(&lease).await.unwrap();
    store.renew(&[lease]).await.unwrap();
    let private = Report::default().with_checkpoint("private");
    store.report(&lease, private).await.unwrap();
    assert_eq!(read(&store, &id).await.unwrap().version, version);
    let report = || Report::default().with_progress(Progress::fraction(0.5));
    for _ in 0..3 {
        store.report(&lease, report()).await.unwrap();
        rises(&store, &id, &mut version, "report").await;
    }
    release(&store, &lease, Release::default().with_counts(false)).await;
    rises(&store, &id, &mut version, "release").await;
    let first = claim(&store).await.unwrap().lease;
    rises(&store, &id, &mut version, "claim").await;
    pass.by(LEASE);
    store.sweep().await.unwrap();
    rises(&store, &id, &mut version, "lapse").await;
    assert!(store.report(&first, report()).await.is_err());
    let second = claim(&store).await.unwrap().lease;
    rises(&store, &id, &mut version, "second claim").await;
    let outside = Outside::new("token", LEASE);
    release(&store, &second, Release::default().with_outside(outside)).await;
    rises(&store, &id, &mut version, "release outside").await;
    store.renew_outside(&id, outside, report()).await.unwrap();
    rises(&store, &id, &mut version, "report from outside").await;
    let last = store
        .resume(&id, &outside.token)
        .await
        .unwrap()
        .unwrap()
        .lease;
    rises(&store, &id, &mut version, "resume").await;
    store.finish(&last, done(b"x")).await.unwrap();
    rises(&store, &id, &mut version, "finish").await;
    store.finish(&last, done(b"x")).await.unwrap();
    assert_eq!(read(&store, &id).await.unwrap().version, version);
    pass.by(HOUR);
    rises(&store, &id, &mut version, "expiry").await;
    store.sweep().await.unwrap();
    assert_eq!(read(&store, &id).await.unwrap().version, version);

    let cancelled = create(&store, offered().with_start(Start::Queued)).await.id;
    let mut version = read(&store, &cancelled).await.unwrap().version;
    store.cancel(&cancelled).await.unwrap();
    rises(&store, &cancelled, &mut version, "cancel").await;
}
