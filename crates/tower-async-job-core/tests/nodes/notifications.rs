//! Notifications of ends.

use std::time::Duration;

use http_polling::JobState;
use tower_async_job_core::{Claim, ClaimKind, Release, Task};

use crate::common::*;

async fn notices(store: &Store) -> Vec<Claim> {
    claim_all(store, ClaimKind::Notify).await
}

pub(crate) async fn every_end_makes_its_notification_due(store: Store, pass: &Pass) {
    let replayable = || replayable().with_notify("there");
    for end in [
        "finish",
        "fail",
        "cancel",
        "lost",
        "timed out",
        "no attempts",
    ] {
        let job = match end {
            "lost" => job().with_notify("there"),
            "timed out" => replayable().with_deadline(LEASE),
            "no attempts" => replayable().with_max_attempts(1),
            _ => replayable(),
        };
        let lease = create(&store, job).await;
        assert!(notices(&store).await.is_empty(), "{end}");
        match end {
            "finish" => store.finish(&lease, done(b"")).await.unwrap(),
            "fail" => store.finish(&lease, failed()).await.unwrap(),
            "cancel" => drop(store.cancel(&lease.id).await.unwrap()),
            _ => pass.by(LEASE),
        }
        let mut due = notices(&store).await;
        let claim = due.pop().unwrap_or_else(|| panic!("{end}"));
        assert!(due.is_empty());
        assert_eq!((claim.lease.id, claim.attempt), (lease.id, 1));
        let record = read(&store, &lease.id).await.unwrap();
        let Task::Notify {
            notify,
            state,
            ended,
        } = claim.task
        else {
            panic!("{end}")
        };
        assert_eq!(notify, "there");
        assert_eq!((state, Some(ended)), (record.state, record.ended), "{end}");
        store.notified(&claim.lease, None).await.unwrap();
        assert!(claim_all(&store, ClaimKind::Work).await.is_empty());
    }
}

pub(crate) async fn notification_is_sent_until_it_is_acknowledged(store: Store, pass: &Pass) {
    let lease = create(&store, job().with_notify("there")).await;
    store.finish(&lease, done(b"")).await.unwrap();
    let crashed = notices(&store).await.remove(0);
    assert!(notices(&store).await.is_empty(), "one notifier at a time");
    pass.by(LEASE);
    let refused = notices(&store).await.remove(0);
    assert_eq!(refused.attempt, 2);
    let stale = store.notified(&crashed.lease, None).await;
    assert!(stale.unwrap_err().is_lease_lost());
    let again = Some(Duration::from_secs(5));
    store.notified(&refused.lease, again).await.unwrap();
    store.notified(&refused.lease, again).await.unwrap();
    pass.by(Duration::from_secs(5) - MOMENT);
    assert!(notices(&store).await.is_empty());
    pass.by(MOMENT);
    let taken = notices(&store).await.remove(0);
    store.notified(&taken.lease, None).await.unwrap();
    pass.by(LEASE);
    assert!(notices(&store).await.is_empty());
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Done));
    // To notify is no right to the job.
    assert!(store.notified(&lease, None).await.is_err());
}

pub(crate) async fn notification_outlives_the_removal_of_its_job(store: Store, _: &Pass) {
    let lease = create(&store, job().with_notify("there")).await;
    store.finish(&lease, failed()).await.unwrap();
    assert!(store.remove(&lease.id).await.unwrap());
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Expired));
    let claim = notices(&store).await.remove(0);
    let failed = JobState::Failed;
    assert!(matches!(claim.task, Task::Notify { state, .. } if state == failed));
    store.notified(&claim.lease, None).await.unwrap();
    assert!(notices(&store).await.is_empty());
}

pub(crate) async fn notification_is_given_up_with_the_retention(store: Store, pass: &Pass) {
    let lease = create(&store, job().with_notify("there")).await;
    store.finish(&lease, done(b"")).await.unwrap();
    pass.by(HOUR - MOMENT);
    let claim = notices(&store).await.remove(0);
    store
        .notified(&claim.lease, Some(Duration::ZERO))
        .await
        .unwrap();
    pass.by(MOMENT);
    assert!(notices(&store).await.is_empty());
    assert!(store.notified(&claim.lease, None).await.is_err());
    pass.by(HOUR);
    store.sweep().await.unwrap();
    assert_eq!(state(&store, &lease.id).await, None);
}

pub(crate) async fn discarded_job_is_not_notified(store: Store, _: &Pass) {
    let lease = create(&store, job().with_notify("there")).await;
    store.discard(&lease).await.unwrap();
    assert!(notices(&store).await.is_empty());
    let queued = create(&store, replayable().with_notify("there")).await;
    release(&store, &queued, Release::default()).await;
    assert!(notices(&store).await.is_empty(), "it has not ended");
}
