//! Claims of work.

use std::{
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

use bytes::Bytes;
use http_polling::JobState;
use tower_async_job_core::{ClaimQuery, Release, ReplayedRequest, StoredRequest, Subscription};

use crate::common::*;

pub(crate) async fn claims_are_for_the_routes_that_were_asked_for(store: Store, _: &Pass) {
    for route in ["/a", "/b", "/a"] {
        offer(&store, offered().with_route(route)).await;
    }
    let query = ClaimQuery::new(9).with_routes(["/a"]).with_worker("one");
    let claims = store.claim(&query).await.unwrap();
    let routes: Vec<_> = claims.jobs.iter().map(|claim| &*claim.route).collect();
    assert_eq!(routes, ["/a", "/a"]);
    assert_eq!(claims.next, None);
    assert_eq!(&*claim(&store).await.unwrap().route, "/b");
}

pub(crate) async fn s41_request_of_a_newer_format_is_left_alone(store: Store, pass: &Pass) {
    let newer = StoredRequest::from_bytes(Bytes::from_static(&[2, 3, 4]));
    let id = offer(&store, offered().with_request(newer)).await;
    let old = offer(&store, offered()).await;
    let claims = store.claim(&ClaimQuery::new(9)).await.unwrap();
    assert_eq!(claims.jobs.len(), 1);
    assert_eq!(claims.jobs[0].lease.id, old);
    let record = read(&store, &id).await.unwrap();
    assert_eq!(
        (record.state, record.attempt, record.epoch),
        (JobState::Queued, 0, 1)
    );
    pass.by(MOMENT);
    let newest = ClaimQuery::new(9).with_newest_format(2);
    assert_eq!(store.claim(&newest).await.unwrap().jobs[0].lease.id, id);
}

pub(crate) async fn s42_unreadable_request_ends_as_failed_once(store: Store, _: &Pass) {
    let corrupt = StoredRequest::from_bytes(Bytes::from_static(&[0]));
    let job = offered().with_request(corrupt);
    let handle = job.handle;
    let id = offer(&store, job).await;
    let good = offer(&store, offered()).await;
    let claims = store.claim(&ClaimQuery::new(9)).await.unwrap();
    assert_eq!(claims.unreadable, [handle]);
    assert_eq!(claims.jobs.len(), 1);
    assert_eq!(claims.jobs[0].lease.id, good);
    assert_eq!(state(&store, &id).await, Some(JobState::Failed));
    let again = store.claim(&ClaimQuery::new(9)).await.unwrap();
    assert!(again.unreadable.is_empty() && again.jobs.is_empty());
}

pub(crate) async fn claims_are_bounded_in_bytes(store: Store, _: &Pass) {
    let mut request = ReplayedRequest::default();
    request.body = vec![0; 1000].into();
    let large = StoredRequest::encode(&request);
    for _ in 0..3 {
        offer(&store, offered().with_request(large.clone())).await;
    }
    let bounded = |bytes| ClaimQuery::new(9).with_max_bytes(bytes);
    let claims = store.claim(&bounded(2 * large.len() + 100)).await.unwrap();
    assert_eq!((claims.jobs.len(), claims.next), (2, Some(Duration::ZERO)));
    // One is always allowed, or it would never be run.
    let claims = store.claim(&bounded(1)).await.unwrap();
    assert_eq!((claims.jobs.len(), claims.next), (1, None));
}

pub(crate) async fn longest_waiting_job_is_claimed_first(store: Store, pass: &Pass) {
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(offer(&store, offered()).await);
        pass.by(MOMENT);
    }
    let mut claimed = Vec::new();
    for limit in [3, 17] {
        let claims = store.claim(&ClaimQuery::new(limit)).await.unwrap();
        assert_eq!(claims.next, (limit == 3).then_some(Duration::ZERO));
        claimed.extend(claims.jobs.iter().map(|claim| claim.lease.id));
    }
    assert_eq!(claimed, ids);
}

pub(crate) async fn claim_tells_the_remaining_time(store: Store, pass: &Pass) {
    offer(&store, offered().with_deadline(HOUR)).await;
    pass.by(HOUR / 4);
    let claim = claim(&store).await.unwrap();
    assert_eq!((claim.age, claim.remaining), (HOUR / 4, HOUR * 3 / 4));
}

pub(crate) async fn worker_is_woken_by_each_thing_to_claim(store: Store, pass: &Pass) {
    let is_woken = |mut work: Subscription| {
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut work).poll(&mut context).is_ready()
    };
    let work = store.work();
    let running = create(&store, replayable().with_notify("end")).await;
    assert!(!is_woken(work), "a job that runs is nothing to claim");

    let work = store.work();
    offer(&store, offered()).await;
    assert!(is_woken(work), "an offer");

    let lease = claim(&store).await.unwrap().lease;
    let work = store.work();
    release(&store, &lease, Release::default()).await;
    assert!(is_woken(work), "a release");

    claim(&store).await.unwrap();
    store.renew(&[running]).await.unwrap();
    pass.by(LEASE - MOMENT);
    store.renew(&[running]).await.unwrap();
    pass.by(MOMENT);
    let work = store.work();
    store.sweep().await.unwrap();
    assert!(is_woken(work), "a lease that ran out");

    let work = store.work();
    store.finish(&running, done(b"")).await.unwrap();
    assert!(is_woken(work), "a notification");
}
