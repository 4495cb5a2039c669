//! Leases that are given up, run out, or are renewed.

use http_polling::{JobState, Progress};
use serde_json::json;
use tower_async_job_core::{ClaimQuery, Lease, Release, Released, Renewal, Report};

use crate::common::*;

pub(crate) async fn s39_ten_deploys_use_no_attempt_and_three_crashes_use_three(
    store: Store,
    pass: &Pass,
) {
    let id = offer(&store, offered().with_max_attempts(3)).await;
    for _ in 0..10 {
        let claim = claim(&store).await.unwrap();
        assert_eq!(claim.attempt, 1);
        let how = Release::default().with_counts(false);
        assert_eq!(release(&store, &claim.lease, how).await, Released::Queued);
    }
    for attempt in 1..=3 {
        assert_eq!(claim(&store).await.unwrap().attempt, attempt);
        pass.by(LEASE);
        store.sweep().await.unwrap();
    }
    assert!(claim(&store).await.is_none());
    assert_eq!(state(&store, &id).await, Some(JobState::Failed));
}

pub(crate) async fn released_job_is_not_claimed_before_its_time(store: Store, pass: &Pass) {
    let lease = create(&store, replayable()).await;
    let how = Release::default().with_after(LEASE);
    assert_eq!(release(&store, &lease, how).await, Released::Queued);
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Queued));
    let claims = store.claim(&ClaimQuery::new(9)).await.unwrap();
    assert!(claims.jobs.is_empty());
    assert_eq!(claims.next, Some(LEASE));
    pass.by(LEASE - MOMENT);
    assert!(claim(&store).await.is_none());
    pass.by(MOMENT);
    assert_eq!(claim(&store).await.unwrap().lease.id, lease.id);
}

pub(crate) async fn next_run_begins_without_the_progress_of_the_last(store: Store, pass: &Pass) {
    for crash in [false, true] {
        let lease = create(&store, replayable()).await;
        let metadata = json!({ "a": 1 });
        let report = Report::default()
            .with_progress(Progress::fraction(0.9))
            .with_partial(json!([1]))
            .with_metadata(metadata.as_object().unwrap().clone())
            .with_checkpoint("cursor 7");
        store.report(&lease, report).await.unwrap();
        if crash {
            pass.by(LEASE);
        } else {
            release(&store, &lease, Release::default()).await;
        }
        let claim = claim(&store).await.unwrap();
        assert_eq!(claim.checkpoint, "cursor 7");
        let record = read(&store, &lease.id).await.unwrap();
        assert_eq!((record.progress, record.partial), (None, None), "{crash}");
        assert_eq!(record.metadata, Some(metadata.into()));
        store.finish(&claim.lease, done(b"")).await.unwrap();
    }
}

pub(crate) async fn released_leases_have_each_their_fate(store: Store, _: &Pass) {
    let kept = create(&store, replayable()).await;
    let lost = create(&store, job()).await;
    let gone = Lease::new(job().id, 1);
    let last = create(&store, replayable().with_max_attempts(1)).await;
    let leases = [kept, lost, gone, last];
    let fates = store.release(&leases, Release::default()).await.unwrap();
    let expected = [
        Released::Queued,
        Released::Ended(JobState::Lost),
        Released::Lost,
        Released::Ended(JobState::Failed),
    ];
    assert_eq!(fates, expected);
    let again = store.release(&leases, Release::default()).await.unwrap();
    assert_eq!(again, [Released::Lost; 4]);
}

pub(crate) async fn renewal_tells_cancelled_missing_and_lost_jobs(store: Store, pass: &Pass) {
    let held = create(&store, job()).await;
    let cancelled = create(&store, job()).await;
    store.cancel(&cancelled.id).await.unwrap();
    let missing = job().first_lease();
    let ended = create(&store, job()).await;
    store.finish(&ended, done(b"")).await.unwrap();
    let renewals = store
        .renew(&[held, cancelled, missing, ended])
        .await
        .unwrap();
    let expected = [
        Renewal::Held,
        Renewal::Cancelled,
        Renewal::Missing,
        Renewal::Lost,
    ];
    assert_eq!(renewals, expected);
    let replaced = create(&store, replayable()).await;
    pass.by(LEASE);
    claim(&store).await.unwrap();
    assert_eq!(store.renew(&[replaced]).await.unwrap(), [Renewal::Lost]);
}

pub(crate) async fn run_stores_its_lost_job_anew(store: Store, _: &Pass) {
    let lost = job();
    let lease = lost.first_lease();
    assert_eq!(store.renew(&[lease]).await.unwrap(), [Renewal::Missing]);
    let again = create(&store, lost.with_epoch(lease.epoch + 1)).await;
    assert_eq!(again, Lease::new(lease.id, 2));
    assert_eq!(
        store.renew(&[lease, again]).await.unwrap(),
        [Renewal::Lost, Renewal::Held]
    );
    assert!(
        store
            .finish(&lease, done(b""))
            .await
            .unwrap_err()
            .is_lease_lost()
    );
    store.finish(&again, done(b"")).await.unwrap();
}
