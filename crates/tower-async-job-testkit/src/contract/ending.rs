//! Ends: finishing, cancelling and discarding.

use http_polling::JobState;
use tower_async_job_core::{Cancellation, Detail, RecordedOutcome, Renewal};

use crate::{harness::Harness, node::*};

pub(crate) async fn the_outcome_is_read_in_full_detail_only(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(job()).await;
    harness.advance(7 * SECOND).await?;
    node.end(&lease, done(b"hello")).await.unwrap();
    harness.advance(7 * SECOND).await?;
    let status = node.read(&lease.id, Detail::Status).await.unwrap().unwrap();
    assert_eq!((status.state, status.outcome), (JobState::Done, None));
    assert_eq!(status.running_for, Some(7 * SECOND));
    let full = node.known(&lease.id).await;
    let expected = RecordedOutcome::Response(response(b"hello"));
    assert_eq!(full.outcome, Some(expected));
    Ok(())
}

pub(crate) async fn s10_a_repeated_finish_succeeds_and_changes_nothing(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(job()).await;
    node.end(&lease, done(b"once")).await.unwrap();
    let before = node.known(&lease.id).await;
    node.end(&lease, done(b"once")).await.unwrap();
    assert_eq!(node.known(&lease.id).await, before);
    node.end_is_fenced(&lease, done(b"twice")).await;
    node.end_is_fenced(&lease, failed()).await;
    harness.advance(HOUR).await?;
    assert!(node.end(&lease, done(b"once")).await.is_ok());
    node.sweep_all().await;
    node.end_is_fenced(&lease, done(b"once")).await;
    Ok(())
}

pub(crate) async fn s11_cancel_beats_finish(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(job()).await;
    let cancelled = node.cancel(&lease.id).await.unwrap();
    assert_eq!(cancelled, Cancellation::Cancelled);
    node.end_is_fenced(&lease, done(b"late")).await;
    assert_eq!(node.renew(&[lease]).await.unwrap(), [Renewal::Lost]);
    let record = node.known(&lease.id).await;
    assert_eq!((record.state, record.outcome), (JobState::Cancelled, None));
    let again = node.cancel(&lease.id).await.unwrap();
    assert_eq!(again, Cancellation::Ended(JobState::Cancelled));
    Ok(())
}

pub(crate) async fn s12_cancel_after_done_leaves_the_result(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(job()).await;
    node.end(&lease, done(b"kept")).await.unwrap();
    let before = node.known(&lease.id).await;
    let answer = node.cancel(&lease.id).await.unwrap();
    assert_eq!(answer, Cancellation::Ended(JobState::Done));
    assert_eq!(node.known(&lease.id).await, before);
    Ok(())
}

pub(crate) async fn s13_a_queued_job_is_cancelled_too(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(replayable().queued()).await;
    let cancelled = node.cancel(&lease.id).await.unwrap();
    assert_eq!(cancelled, Cancellation::Cancelled);
    assert_lost(node.start(&lease).await);
    harness.advance(node.lease()?).await?;
    node.claim_none().await;
    Ok(())
}

pub(crate) async fn s13_a_cancel_is_seen_on_another_node_before_it_returns(
    harness: &dyn Harness,
) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let lease = node.add(job()).await;
    assert_eq!(other.state(&lease.id).await, Some(JobState::Running));
    other.cancel(&lease.id).await.unwrap();
    assert_eq!(node.state(&lease.id).await, Some(JobState::Cancelled));
    node.end_is_fenced(&lease, done(b"late")).await;
    Ok(())
}

pub(crate) async fn a_discarded_job_never_was(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(keyed("key", 1)).await;
    node.discard(&lease).await.unwrap();
    node.discard(&lease).await.unwrap();
    assert!(node.record(&lease.id).await.is_none());
    node.add(keyed("key", 2)).await;
    Ok(())
}

pub(crate) async fn an_ended_job_is_not_discarded(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(job()).await;
    node.cancel(&lease.id).await.unwrap();
    assert_lost(node.discard(&lease).await);
    assert_eq!(node.state(&lease.id).await, Some(JobState::Cancelled));
    Ok(())
}
