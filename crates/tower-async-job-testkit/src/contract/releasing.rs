//! Leases that are released before their jobs have ended.

use std::time::Duration;

use http_polling::JobState;
use tower_async_job_core::{ClaimQuery, Release, Released};

use crate::{harness::Harness, node::*};

/// Returns the release of a node that is stopped for a deployment.
fn deploy() -> Release {
    Release::default().with_counts(false)
}

pub(crate) async fn s39_a_released_job_is_queued_with_a_higher_epoch(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.replayable()).await;
    let released = node.release_one(&lease, Release::default()).await;
    assert_eq!(released, Released::Queued);
    let record = node.known(&lease.id).await;
    assert_eq!(
        (record.state, record.epoch),
        (JobState::Queued, lease.epoch + 1)
    );
    assert_eq!(record.started, None);
    node.end_is_fenced(&lease, done(b"")).await;
    let claim = node.claim_one().await;
    node.end(&claim.lease, done(b"")).await.unwrap();
    Ok(())
}

pub(crate) async fn s39_a_released_job_without_request_is_lost(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    for how in [Release::default(), deploy()] {
        let lease = node.add(node.job()).await;
        let released = node.release_one(&lease, how).await;
        assert_eq!(released, Released::Ended(JobState::Lost));
        assert_eq!(node.state(&lease.id).await, Some(JobState::Lost));
    }
    Ok(())
}

pub(crate) async fn s39_ten_rolling_deploys_use_no_attempt_up(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let mut lease = node.add(node.replayable().with_max_attempts(3)).await;
    for _ in 0..10 {
        assert_eq!(node.release_one(&lease, deploy()).await, Released::Queued);
        let claim = node.claim_one().await;
        assert_eq!((claim.attempt, claim.max_attempts), (1, 3));
        lease = claim.lease;
    }
    node.end(&lease, done(b"")).await.unwrap();
    Ok(())
}

pub(crate) async fn s32_three_crashes_between_deploys_end_a_job(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let mut lease = node.add(node.replayable().with_max_attempts(3)).await;
    for attempt in 2..=3 {
        node.release_one(&lease, deploy()).await;
        node.claim_one().await;
        harness.advance(until + SECOND).await?;
        let claim = node.claim_one().await;
        assert_eq!(claim.attempt, attempt);
        lease = claim.lease;
    }
    harness.advance(until + SECOND).await?;
    node.claim_none().await;
    assert_eq!(node.state(&lease.id).await, Some(JobState::Failed));
    Ok(())
}

pub(crate) async fn a_release_that_counts_ends_the_last_attempt(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let first = node.add(node.replayable().with_max_attempts(2)).await;
    let released = node.release_one(&first, Release::default()).await;
    assert_eq!(released, Released::Queued);
    let second = node.claim_one().await;
    assert_eq!(second.attempt, 2);
    let released = node.release_one(&second.lease, Release::default()).await;
    assert_eq!(released, Released::Ended(JobState::Failed));
    let record = node.known(&first.id).await;
    assert_eq!((record.state, record.attempt), (JobState::Failed, 2));
    assert!(record.outcome.is_some(), "a problem document");
    node.claim_none().await;
    Ok(())
}

pub(crate) async fn a_released_job_is_not_claimed_before_its_delay_is_over(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.replayable()).await;
    let how = Release::default().with_after(7 * SECOND);
    assert_eq!(node.release_one(&lease, how).await, Released::Queued);
    harness.advance(7 * SECOND - MOMENT).await?;
    let claims = node.claim(&ClaimQuery::new(9)).await.unwrap();
    assert!(claims.jobs.is_empty());
    assert!(claims.next <= Some(MOMENT), "{:?}", claims.next);
    assert_eq!(node.state(&lease.id).await, Some(JobState::Queued));
    harness.advance(MOMENT).await?;
    assert_eq!(node.claim_one().await.lease.id, lease.id);
    Ok(())
}

pub(crate) async fn s15_a_clock_that_jumps_back_delays_no_released_job(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    harness.advance(HOUR).await?;
    let delays = [60 * SECOND, 7 * SECOND];
    let mut jobs = Vec::new();
    for delay in delays {
        let lease = node.add(node.replayable().with_deadline(10 * HOUR)).await;
        let how = Release::default().with_after(delay);
        assert_eq!(node.release_one(&lease, how).await, Released::Queued);
        jobs.push((delay, lease.id));
    }
    harness.jump_back(HOUR).await?;
    node.sweep_all().await;
    let mut waited = Duration::ZERO;
    while let Some((delay, id)) = jobs.pop() {
        harness.advance(delay - waited - MOMENT).await?;
        node.sweep_all().await;
        node.claim_none().await;
        harness.advance(MOMENT).await?;
        let claim = node.claim_one().await;
        assert_eq!(claim.lease.id, id);
        node.end(&claim.lease, done(b"")).await.unwrap();
        waited = delay;
    }
    Ok(())
}

pub(crate) async fn leases_released_together_have_separate_results(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let (kept, lost, ended) = (
        node.add(node.replayable()).await,
        node.add(node.job()).await,
        node.add_ended(node.replayable(), 0).await,
    );
    let leases = [ended, kept, lost, kept];
    let released = node.release(&leases, deploy()).await.unwrap();
    let expected = [
        Released::Lost,
        Released::Queued,
        Released::Ended(JobState::Lost),
        Released::Lost,
    ];
    assert_eq!(released, expected);
    assert_eq!(node.state(&ended.id).await, Some(JobState::Done));
    assert!(node.release(&[], deploy()).await.unwrap().is_empty());
    Ok(())
}

pub(crate) async fn a_release_says_its_own_delay(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.replayable().with_max_attempts(99)).await;
    node.release_one(&lease, Release::default()).await;
    for attempt in 2..9 {
        let claim = node.claim_one().await;
        assert_eq!(claim.attempt, attempt);
        node.release_one(&claim.lease, Release::default()).await;
    }
    Ok(())
}
