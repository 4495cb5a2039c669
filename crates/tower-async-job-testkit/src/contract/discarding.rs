//! Jobs that were never announced.

use http_polling::JobState;
use tower_async_job_core::{Call, NewJob, Renewal, Retention, Start};

use crate::{
    faulty::{Fault, FaultyStore},
    harness::Harness,
    node::*,
};

pub(crate) async fn a_discarded_job_leaves_neither_record_nor_key(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.keyed("key", 1)).await;
    node.discard(&lease).await.unwrap();
    node.discard(&lease).await.unwrap();
    assert!(node.record(&lease.id).await.is_none());
    node.add(node.keyed("key", 2)).await;
    Ok(())
}

pub(crate) async fn an_ended_job_is_not_discarded(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    node.cancel(&lease.id).await.unwrap();
    assert_lost(node.discard(&lease).await);
    assert_eq!(node.state(&lease.id).await, Some(JobState::Cancelled));
    Ok(())
}

pub(crate) async fn s79_a_create_overtaken_by_its_discard_stores_nothing(
    harness: &dyn Harness,
) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    for start in [Start::Running, Start::Queued, Start::Offered] {
        let mut job = node.replayable().with_start(start).with_notify("due");
        job = node.with_key(job, key("key", 1));
        let lease = job.first_lease();
        let handle = job.handle;

        let faulty = FaultyStore::new(harness.store());
        let gate = faulty.hold(Call::Create);
        let late = faulty.store();
        let create = tokio::spawn(async move { late.create(job).await });
        tokio::task::yield_now().await;
        other.discard(&lease).await.unwrap();
        gate.open();
        let late = create.await.unwrap();
        assert!(late.unwrap_err().is_conflict());

        assert!(node.record(&lease.id).await.is_none());
        assert_eq!(node.find(handle).await.unwrap(), None);
        let found = node.look_up(None, &key("key", 1)).await.unwrap();
        assert_eq!(found, None, "the key is free");
        node.claim_none().await;
        assert_lost(node.end(&lease, done(b"")).await);
        assert_eq!(node.renew(&[lease]).await.unwrap(), [Renewal::Lost]);
        node.discard(&lease).await.unwrap();
    }
    Ok(())
}

pub(crate) async fn s79_a_discarded_id_is_void_for_a_lease(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let job = node.job();
    let lease = node.add(job.clone()).await;
    node.discard(&lease).await.unwrap();
    harness.advance(node.lease()? - MOMENT).await?;
    node.sweep_all().await;
    assert!(node.create(job).await.unwrap_err().is_conflict());
    assert!(node.record(&lease.id).await.is_none());
    Ok(())
}

pub(crate) async fn s79_a_repeated_discard_voids_the_id_for_another_lease(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let job = node.job();
    for _ in 0..2 {
        node.discard(&job.first_lease()).await.unwrap();
        harness.advance(until / 2).await?;
    }
    node.sweep_all().await;
    assert!(node.create(job.clone()).await.unwrap_err().is_conflict());
    harness.advance(until / 2).await?;
    node.sweep_all().await;
    node.add(job).await;
    Ok(())
}

/// Asserts that the run of a job that is gone cannot store it again.
async fn assert_stays_gone(node: &Node, gone: NewJob) {
    let lease = gone.first_lease();
    assert!(node.record(&lease.id).await.is_none());
    assert_eq!(node.renew(&[lease]).await.unwrap(), [Renewal::Lost]);
    for epoch in [lease.epoch, lease.epoch + 1] {
        let anew = gone.clone().with_epoch(epoch);
        assert!(node.create(anew).await.unwrap_err().is_conflict());
    }
}

pub(crate) async fn s79_a_removed_job_is_not_stored_again_by_its_run(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let job = node.replayable();
    let id = node.add(job.clone()).await.id;
    node.cancel(&id).await.unwrap();
    assert!(node.remove(&id).await.unwrap());
    assert_stays_gone(&node, job.clone()).await;
    harness.advance(until - MOMENT).await?;
    node.sweep_all().await;
    assert_stays_gone(&node, job).await;
    Ok(())
}

pub(crate) async fn s79_a_job_forgotten_within_its_lease_is_not_stored_again_by_its_run(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let job = node.replayable();
    let job = job.with_retention(Retention::new(SECOND, SECOND));
    let id = node.add(job.clone()).await.id;
    node.cancel(&id).await.unwrap();
    harness.advance(2 * SECOND).await?;
    node.sweep_all().await;
    harness.advance(until - 2 * SECOND).await?;
    node.sweep_all().await;
    assert_stays_gone(&node, job).await;
    Ok(())
}

pub(crate) async fn s79_a_void_is_forgotten_after_its_time(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let before = node.usage();
    for _ in 0..10 {
        node.discard(&node.job().first_lease()).await.unwrap();
    }
    harness.advance(2 * node.lease()?).await?;
    let upkeep = node.sweep_all().await;
    if !node.properties().shared {
        assert_eq!(upkeep.next, None, "no job is left");
    }
    assert_eq!(node.usage(), before);
    Ok(())
}

pub(crate) async fn a_create_of_unknown_outcome_is_repeated(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    for fault in [Fault::Unavailable, Fault::Unacknowledged] {
        let faulty = FaultyStore::new(harness.store());
        faulty.next(Call::Create, fault);
        let mut job = node.replayable();
        job = node.with_key(job, key(&format!("{fault:?}"), 1));
        let failed = faulty.store().create(job.clone()).await;
        assert!(failed.unwrap_err().is_unavailable());
        let lease = job.first_lease();
        assert_eq!(node.add(job).await, lease);
        assert_eq!(node.state(&lease.id).await, Some(JobState::Running));
        node.end(&lease, done(b"")).await.unwrap();
    }
    Ok(())
}
