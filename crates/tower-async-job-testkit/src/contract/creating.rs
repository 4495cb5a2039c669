//! Creating jobs.

use std::{collections::HashSet, time::Duration};

use http_polling::JobState;
use tower_async_job_core::{
    Cancellation, Created, JobHandle, JobId, Lease, Owner, Principal, Release, Released, Renewal,
    Report, Start,
};

use crate::{harness::Harness, node::*};

pub(crate) async fn a_new_job_is_read_as_it_was_created(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let job = node
        .job()
        .with_route("/reports")
        .with_principal(Principal::new("a"));
    let (id, handle) = (job.id, job.handle);
    assert_eq!(node.add(job).await, Lease::new(id, 1));
    harness.advance(5 * SECOND).await?;
    let record = node.known(&id).await;
    assert_eq!((record.id, record.handle), (id, handle));
    assert_eq!(
        (record.state, record.epoch, record.attempt),
        (JobState::Running, 1, 1)
    );
    let owner = Owner::Named(Principal::new("a"));
    assert_eq!((&*record.route, record.owner), ("/reports", Some(owner)));
    assert_eq!(record.age, 5 * SECOND);
    assert_eq!(record.running_for, Some(5 * SECOND));
    assert_eq!(record.started, Some(record.created));
    assert_eq!((record.ended, record.outcome), (None, None));
    Ok(())
}

pub(crate) async fn a_repeated_create_gives_the_same_lease(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let job = node.job();
    let lease = node.add(job.clone()).await;
    assert_eq!(node.add(job).await, lease);
    Ok(())
}

pub(crate) async fn a_create_with_the_id_of_another_job_is_a_conflict(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let first = node.job();
    node.add(first.clone()).await;
    let other = first.with_handle(JobHandle::random());
    assert!(node.create(other).await.unwrap_err().is_conflict());
    Ok(())
}

pub(crate) async fn a_queued_job_has_begun_no_run_until_it_is_started(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job().with_start(Start::Queued)).await;
    let record = node.known(&lease.id).await;
    assert_eq!((record.state, record.attempt), (JobState::Queued, 0));
    assert_eq!((record.started, record.running_for), (None, None));
    harness.advance(2 * SECOND).await?;
    for _ in 0..2 {
        node.start(&lease).await.unwrap();
    }
    let record = node.known(&lease.id).await;
    assert_eq!((record.state, record.attempt), (JobState::Running, 1));
    assert_eq!(record.running_for, Some(Duration::ZERO));
    Ok(())
}

pub(crate) async fn an_unknown_job_has_no_record_and_its_lease_is_lost(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let lease = Lease::new(JobId::random(), 1);
    assert!(node.record(&lease.id).await.is_none());
    assert_lost(node.start(&lease).await);
    assert_lost(node.report(&lease, Report::default()).await);
    node.end_is_fenced(&lease, done(b"")).await;
    assert_eq!(
        node.release_one(&lease, Release::default()).await,
        Released::Lost
    );
    assert_eq!(node.renew(&[lease]).await.unwrap(), [Renewal::Missing]);
    let cancelled = node.cancel(&lease.id).await.unwrap();
    assert_eq!(cancelled, Cancellation::Unknown);
    assert!(!node.remove(&lease.id).await.unwrap());
    assert!(!node.extend(&lease.id, HOUR).await.unwrap());
    node.see_end(&lease.id).await;
    assert!(node.resume(&lease.id, &[0; 32]).await.unwrap().is_none());
    node.discard(&lease).await.unwrap();
    Ok(())
}

pub(crate) async fn an_immediate_create_answers_as_create_does(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let new = |created: Created| match created {
        Created::New { lease, .. } => lease,
        other => panic!("{other:?}"),
    };
    // A store that cannot create immediately returns every job; nothing can then be compared.
    let at_once = async |job| match node.create_now(job) {
        Ok(created) => created.unwrap(),
        Err(job) => node.create(job).await.unwrap(),
    };
    let first = node.keyed("key", 1);
    let lease = Lease::new(first.id, 1);
    assert_eq!(new(at_once(first.clone()).await), lease);
    assert_eq!(new(at_once(first.clone()).await), lease);
    assert_eq!(node.add(first).await, lease);
    let Created::Existing(record) = at_once(node.keyed("key", 1)).await else {
        panic!("the key has a job");
    };
    assert_eq!(record.id, lease.id);
    assert_eq!(at_once(node.keyed("key", 2)).await, Created::KeyReused);
    Ok(())
}

pub(crate) async fn every_generated_id_is_different(harness: &dyn Harness) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let owner = Principal::new("a");
    let ids: HashSet<_> = (0..100)
        .flat_map(|_| {
            let keyed = other.new_id(Some(&key("key", 1)), Some(&owner));
            [node.new_id(None, None), keyed]
        })
        .collect();
    assert_eq!(ids.len(), 200);
    Ok(())
}

pub(crate) async fn nothing_happens_until_a_future_is_polled(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let job = node.job();
    let id = job.id;
    drop(node.create(job));
    assert!(node.record(&id).await.is_none());
    Ok(())
}
