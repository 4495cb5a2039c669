//! Jobs that are offered to all workers.

use http_polling::JobState;
use tower_async_job_core::{Created, Lease, Renewal, Report, Start};

use crate::{harness::Harness, node::*};

pub(crate) async fn an_offered_job_can_be_claimed_at_once_on_any_node(
    harness: &dyn Harness,
) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let id = node.offer(node.replayable().with_route("/r")).await;
    let record = other.known(&id).await;
    assert_eq!((record.state, record.attempt), (JobState::Queued, 0));
    let claim = other.claim_one().await;
    assert_eq!(
        (claim.lease.id, claim.attempt, &*claim.route),
        (id, 1, "/r")
    );
    assert_eq!(node.state(&id).await, Some(JobState::Running));
    node.claim_none().await;
    node.end(&claim.lease, done(b"")).await.unwrap();
    Ok(())
}

pub(crate) async fn the_creator_of_an_offered_job_has_no_lease(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let job = node.replayable().with_start(Start::Offered);
    let lease = job.first_lease();
    node.offer(job).await;
    assert_lost(node.start(&lease).await);
    assert_lost(node.report(&lease, Report::default()).await);
    node.end_is_fenced(&lease, done(b"")).await;
    assert_ne!(node.renew(&[lease]).await.unwrap(), [Renewal::Held]);
    assert_eq!(node.state(&lease.id).await, Some(JobState::Queued));
    Ok(())
}

pub(crate) async fn an_offered_job_waits_longer_than_a_lease(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let id = node.offer(node.replayable().with_max_attempts(1)).await;
    for _ in 0..3 {
        harness.advance(node.lease()?).await?;
        node.sweep_all().await;
        assert_eq!(node.state(&id).await, Some(JobState::Queued));
    }
    assert_eq!(node.claim_one().await.attempt, 1);
    Ok(())
}

pub(crate) async fn a_repeated_offer_is_answered_alike_whatever_became_of_the_job(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    for job in [
        node.replayable(),
        node.with_key(node.replayable(), key("key", 1)),
    ] {
        node.offer(job.clone()).await;
        node.offer(job.clone()).await;
        let claim = node.claim_one().await;
        node.offer(job.clone()).await;
        node.claim_none().await;
        node.end(&claim.lease, done(b"")).await.unwrap();
        node.offer(job).await;
        assert_eq!(node.state(&claim.lease.id).await, Some(JobState::Done));
    }
    Ok(())
}

pub(crate) async fn s43_one_key_offers_one_job(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let keyed = |fingerprint| {
        let job = node.with_key(node.replayable(), key("key", fingerprint));
        job.with_start(Start::Offered)
    };
    let id = node.offer(keyed(1)).await;
    assert_eq!(node.add_again(keyed(1)).await.id, id);
    let reused = node.create(keyed(2)).await.unwrap();
    assert_eq!(reused, Created::KeyReused);
    assert_eq!(node.claim_one().await.lease.id, id);
    Ok(())
}

pub(crate) async fn an_offered_job_without_request_is_lost(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let job = node.job().with_start(Start::Offered);
    let id = job.id;
    node.create(job).await.unwrap();
    node.claim_none().await;
    node.sweep_all().await;
    assert_eq!(node.state(&id).await, Some(JobState::Lost));
    Ok(())
}

pub(crate) async fn s33_an_offered_job_ends_at_its_deadline(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let id = node.offer(node.replayable().with_deadline(HOUR)).await;
    harness.advance(HOUR).await?;
    node.claim_none().await;
    assert_eq!(node.state(&id).await, Some(JobState::TimedOut));
    Ok(())
}

pub(crate) async fn s79_an_offered_job_is_discarded_until_it_is_claimed(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let job = node.replayable().with_start(Start::Offered);
    let lease: Lease = job.first_lease();
    node.offer(job).await;
    node.discard(&lease).await.unwrap();
    assert!(node.record(&lease.id).await.is_none());
    node.claim_none().await;

    let job = node.replayable().with_start(Start::Offered);
    let lease = job.first_lease();
    node.offer(job).await;
    let claim = node.claim_one().await;
    assert_lost(node.discard(&lease).await);
    node.end(&claim.lease, done(b"")).await.unwrap();
    Ok(())
}
