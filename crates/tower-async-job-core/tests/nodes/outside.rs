//! Runs in the hands of parties outside.

use std::time::Duration;

use http_polling::{JobState, Progress};
use tower_async_job_core::{
    JobId, Lease, NewJob, Outside, Release, Released, Renewal, Report, Task,
};

use crate::common::*;

const UNTIL: Duration = Duration::from_secs(600);
const TOKEN: &str = "a token";

fn outside() -> Outside {
    Outside::new(TOKEN, UNTIL)
}

/// A job that its node has left to a party outside, and the node's lease.
async fn left_outside(store: &Store, job: NewJob) -> (JobId, Lease) {
    let lease = create(store, job).await;
    let how = Release::default().with_outside(outside());
    assert_eq!(release(store, &lease, how).await, Released::Outside);
    (lease.id, lease)
}

pub(crate) async fn party_outside_keeps_the_job_and_its_attempt(store: Store, pass: &Pass) {
    let (id, lease) = left_outside(&store, replayable().with_max_attempts(1)).await;
    assert_eq!(store.renew(&[lease]).await.unwrap(), [Renewal::Lost]);
    assert!(
        store
            .finish(&lease, done(b""))
            .await
            .unwrap_err()
            .is_lease_lost()
    );
    pass.by(UNTIL - MOMENT);
    store.sweep().await.unwrap();
    assert!(claim(&store).await.is_none());
    let record = read(&store, &id).await.unwrap();
    assert_eq!((record.state, record.attempt), (JobState::Running, 1));
    let claim = store.resume(&id, &outside().token).await.unwrap().unwrap();
    assert_eq!((claim.attempt, claim.task), (1, Task::Record));
}

pub(crate) async fn party_outside_reports_and_renews_through_any_node(store: Store, pass: &Pass) {
    let (id, _) = left_outside(&store, job()).await;
    let report = || Report::default().with_progress(Progress::fraction(0.5));
    for _ in 0..5 {
        pass.by(UNTIL - MOMENT);
        store.sweep().await.unwrap();
        let renewal = store.renew_outside(&id, outside(), report()).await.unwrap();
        assert_eq!(renewal, Renewal::Held);
    }
    let record = read(&store, &id).await.unwrap();
    assert_eq!(record.progress, Some(Progress::fraction(0.5)));
    let stranger = Outside::new("another token", UNTIL);
    let renewal = store.renew_outside(&id, stranger, Report::default()).await;
    assert_eq!(renewal.unwrap(), Renewal::Lost);
    assert!(store.resume(&id, &stranger.token).await.unwrap().is_none());
    let unknown = JobId::random();
    let renewal = store.renew_outside(&unknown, outside(), report()).await;
    assert_eq!(renewal.unwrap(), Renewal::Missing);
}

pub(crate) async fn result_of_a_party_outside_is_recorded_by_any_node(store: Store, pass: &Pass) {
    let (id, _) = left_outside(&store, job()).await;
    pass.by(LEASE * 2);
    let claim = store.resume(&id, &outside().token).await.unwrap().unwrap();
    assert_eq!(claim.remaining, HOUR - LEASE * 2);
    // A report on the way does not cost the node its lease.
    let renewal = store.renew_outside(&id, outside(), Report::default()).await;
    assert_eq!(renewal.unwrap(), Renewal::Held);
    assert_eq!(store.renew(&[claim.lease]).await.unwrap(), [Renewal::Held]);
    store.finish(&claim.lease, done(b"later")).await.unwrap();
    assert_eq!(state(&store, &id).await, Some(JobState::Done));
    assert!(store.resume(&id, &outside().token).await.unwrap().is_none());
}

pub(crate) async fn s08_of_two_nodes_that_resume_the_later_has_the_lease(store: Store, _: &Pass) {
    let (id, _) = left_outside(&store, job()).await;
    let resume = async || store.resume(&id, &outside().token).await.unwrap().unwrap();
    let (first, second) = (resume().await, resume().await);
    assert!(
        store
            .finish(&first.lease, done(b"1"))
            .await
            .unwrap_err()
            .is_lease_lost()
    );
    store.finish(&second.lease, done(b"2")).await.unwrap();
}

pub(crate) async fn job_of_a_resumed_lease_that_ran_out_is_back_outside(store: Store, pass: &Pass) {
    for crash in [true, false] {
        let (id, _) = left_outside(&store, job()).await;
        let claim = store.resume(&id, &outside().token).await.unwrap().unwrap();
        if crash {
            pass.by(LEASE);
            store.sweep().await.unwrap();
        } else {
            let released = release(&store, &claim.lease, Release::default()).await;
            assert_eq!(released, Released::Outside);
        }
        assert_eq!(store.renew(&[claim.lease]).await.unwrap(), [Renewal::Lost]);
        assert_eq!(state(&store, &id).await, Some(JobState::Running));
        let claim = store.resume(&id, &outside().token).await.unwrap().unwrap();
        store.finish(&claim.lease, done(b"")).await.unwrap();
    }
}

pub(crate) async fn silent_party_outside_loses_the_job(store: Store, pass: &Pass) {
    let (replayed, _) = left_outside(&store, replayable()).await;
    let (lost, _) = left_outside(&store, job()).await;
    pass.by(UNTIL);
    let claim = claim(&store).await.unwrap();
    assert_eq!((claim.lease.id, claim.attempt), (replayed, 2));
    assert_eq!(state(&store, &lost).await, Some(JobState::Lost));
    for id in [replayed, lost] {
        assert!(store.resume(&id, &outside().token).await.unwrap().is_none());
        let renewal = store.renew_outside(&id, outside(), Report::default()).await;
        assert_eq!(renewal.unwrap(), Renewal::Lost);
    }
}

pub(crate) async fn party_outside_learns_that_its_job_was_cancelled(store: Store, _: &Pass) {
    let (id, _) = left_outside(&store, job()).await;
    store.cancel(&id).await.unwrap();
    let renewal = store.renew_outside(&id, outside(), Report::default()).await;
    assert_eq!(renewal.unwrap(), Renewal::Cancelled);
    assert!(store.resume(&id, &outside().token).await.unwrap().is_none());
}

pub(crate) async fn deadline_ends_a_job_outside(store: Store, pass: &Pass) {
    let (id, _) = left_outside(&store, job().with_deadline(UNTIL / 2)).await;
    pass.by(UNTIL / 2);
    store.sweep().await.unwrap();
    assert_eq!(state(&store, &id).await, Some(JobState::TimedOut));
}
