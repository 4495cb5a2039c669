//! Jobs that are offered to all workers.

use http_polling::JobState;
use tower_async_job_core::{Created, Renewal, Report, Start, Task};

use crate::common::*;

pub(crate) async fn offered_job_is_claimed_without_another_commit(store: Store, _: &Pass) {
    let id = offer(&store, offered()).await;
    let record = read(&store, &id).await.unwrap();
    assert_eq!((record.state, record.attempt), (JobState::Queued, 0));
    let claim = claim(&store).await.unwrap();
    assert_eq!((claim.lease.id, claim.attempt), (id, 1));
    assert_eq!(claim.task, Task::Run(request()));
    store.finish(&claim.lease, done(b"")).await.unwrap();
    assert_eq!(state(&store, &id).await, Some(JobState::Done));
}

pub(crate) async fn offered_job_gives_its_creator_no_right_to_run_it(store: Store, _: &Pass) {
    let job = offered();
    let lease = job.first_lease();
    offer(&store, job).await;
    assert!(store.start(&lease).await.unwrap_err().is_lease_lost());
    let report = store.report(&lease, Report::default()).await;
    assert!(report.unwrap_err().is_lease_lost());
    let finish = store.finish(&lease, done(b"")).await;
    assert!(finish.unwrap_err().is_lease_lost());
    assert_eq!(store.renew(&[lease]).await.unwrap(), [Renewal::Lost]);
    store.discard(&lease).await.unwrap();
    assert_eq!(state(&store, &lease.id).await, None);
    assert!(claim(&store).await.is_none());
}

pub(crate) async fn repeated_offer_is_answered_alike_whatever_became_of_it(store: Store, _: &Pass) {
    let job = offered();
    let first = store.create(job.clone()).await.unwrap();
    assert_eq!(store.create(job.clone()).await.unwrap(), first);
    let claim = claim(&store).await.unwrap();
    assert_eq!(store.create(job.clone()).await.unwrap(), first);
    store.finish(&claim.lease, done(b"")).await.unwrap();
    assert_eq!(store.create(job).await.unwrap(), first);
    assert!(matches!(first, Created::Offered { .. }));
}

pub(crate) async fn offered_job_without_request_is_lost(store: Store, _: &Pass) {
    let id = offer(&store, job().with_start(Start::Offered)).await;
    assert!(claim(&store).await.is_none());
    assert_eq!(state(&store, &id).await, Some(JobState::Lost));
}
