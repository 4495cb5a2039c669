//! Attempts: runs that crash, are handed back, or come too late.

use http_polling::{JobState, ProblemType};
use tower_async_job_core::RecordedOutcome;

use crate::{harness::Harness, node::*};

pub(crate) async fn s32_a_job_that_never_comes_to_an_end_fails_after_its_attempts(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let mut lease = node.add(replayable().with_max_attempts(3)).await;
    for attempt in 2..=3 {
        harness.advance(until).await?;
        let claim = node.claim_one().await;
        assert_eq!((claim.attempt, claim.max_attempts), (attempt, 3));
        lease = claim.lease;
    }
    harness.advance(until).await?;
    node.claim_none().await;
    let record = node.known(&lease.id).await;
    assert_eq!((record.state, record.attempt), (JobState::Failed, 3));
    let Some(RecordedOutcome::Problem(problem)) = record.outcome else {
        panic!("the end has no problem document");
    };
    assert_eq!(problem.problem_type(), Some(ProblemType::JobFailed));
    node.end_is_fenced(&lease, failed()).await;
    Ok(())
}

pub(crate) async fn s32_a_job_that_waits_uses_no_attempt_up(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(replayable().queued().with_max_attempts(1)).await;
    node.hand_back(&lease).await.unwrap();
    assert_eq!(node.claim_one().await.attempt, 1);
    harness.advance(node.lease()?).await?;
    node.sweep_all().await;
    assert_eq!(node.state(&lease.id).await, Some(JobState::Failed));
    Ok(())
}

pub(crate) async fn s33_a_job_that_nobody_claims_ends_at_its_deadline(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(replayable().with_deadline(HOUR)).await;
    node.hand_back(&lease).await.unwrap();
    harness.advance(HOUR - MOMENT).await?;
    node.sweep_all().await;
    assert_eq!(node.state(&lease.id).await, Some(JobState::Queued));
    harness.advance(MOMENT).await?;
    node.claim_none().await;
    assert_eq!(node.state(&lease.id).await, Some(JobState::TimedOut));
    Ok(())
}

pub(crate) async fn s39_a_released_job_is_queued_with_a_higher_epoch(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(replayable()).await;
    node.hand_back(&lease).await.unwrap();
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
    let lease = node.add(job()).await;
    node.hand_back(&lease).await.unwrap();
    assert_eq!(node.state(&lease.id).await, Some(JobState::Lost));
    Ok(())
}

pub(crate) async fn a_backlog_is_claimed_once_each(harness: &dyn Harness) -> Ran {
    let nodes = [Node::of(harness), Node::second(harness).await?];
    let mut left = std::collections::HashSet::new();
    for _ in 0..300 {
        left.insert(nodes[0].add(replayable()).await.id);
    }
    harness.advance(nodes[0].lease()?).await?;
    let workers: Vec<_> = nodes
        .into_iter()
        .map(|node| {
            tokio::spawn(async move {
                let mut claimed = Vec::new();
                loop {
                    node.sweep_all().await;
                    let claims = node.claim_some(7).await;
                    assert!(claims.len() <= 7);
                    if claims.is_empty() {
                        return claimed;
                    }
                    claimed.extend(claims.iter().map(|claim| claim.lease.id));
                }
            })
        })
        .collect();
    for worker in workers {
        for id in worker.await.unwrap() {
            assert!(left.remove(&id), "{id:?} was claimed twice");
        }
    }
    assert!(left.is_empty(), "{} jobs were not claimed", left.len());
    Ok(())
}
