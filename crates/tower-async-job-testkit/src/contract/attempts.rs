//! Attempts: runs that crash, are released, or finish too late.

use http_polling::{JobState, ProblemType};
use tower_async_job_core::{ClaimQuery, RecordedOutcome, Release, Start};

use crate::{harness::Harness, node::*};

pub(crate) async fn s32_a_job_that_never_comes_to_an_end_fails_after_its_attempts(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let mut lease = node.add(node.replayable().with_max_attempts(3)).await;
    for attempt in 2..=3 {
        harness.advance(until + SECOND).await?;
        let claim = node.claim_one().await;
        assert_eq!((claim.attempt, claim.max_attempts), (attempt, 3));
        lease = claim.lease;
    }
    harness.advance(until + SECOND).await?;
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

pub(crate) async fn s32_a_waiting_job_uses_no_attempts(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node
        .add(
            node.replayable()
                .with_start(Start::Queued)
                .with_max_attempts(1),
        )
        .await;
    node.release_one(&lease, Release::default()).await;
    assert_eq!(node.claim_one().await.attempt, 1);
    harness.advance(node.lease()?).await?;
    node.sweep_all().await;
    assert_eq!(node.state(&lease.id).await, Some(JobState::Failed));
    Ok(())
}

pub(crate) async fn s33_an_unclaimed_job_ends_at_its_deadline(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.replayable().with_deadline(HOUR)).await;
    node.release_one(&lease, Release::default()).await;
    harness.advance(HOUR - MOMENT).await?;
    node.sweep_all().await;
    assert_eq!(node.state(&lease.id).await, Some(JobState::Queued));
    harness.advance(MOMENT).await?;
    node.claim_none().await;
    assert_eq!(node.state(&lease.id).await, Some(JobState::TimedOut));
    Ok(())
}

pub(crate) async fn s32_a_job_whose_lease_is_lost_again_waits_before_its_next_run(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    node.add(node.replayable().with_max_attempts(99)).await;
    harness.advance(until).await?;
    // The first re-run need not wait.
    assert_eq!(node.claim_one().await.attempt, 2);
    for (attempt, longest) in [
        (3, 1),
        (4, 2),
        (5, 4),
        (6, 8),
        (7, 16),
        (8, 32),
        (9, 60),
        (10, 60),
    ] {
        let longest = longest * SECOND;
        // However late the sweep is, the pause begins with the end of the lease.
        harness.advance(until + longest / 4).await?;
        node.sweep_all().await;
        harness.advance(longest / 4 - MOMENT).await?;
        let claims = node.claim(&ClaimQuery::new(9)).await.unwrap();
        assert!(claims.jobs.is_empty(), "attempt {attempt}: {claims:?}");
        let next = claims.next.expect("a time");
        assert!(next <= longest / 2 + MOMENT, "attempt {attempt}: {next:?}");
        harness.advance(longest / 2 + MOMENT).await?;
        assert_eq!(node.claim_one().await.attempt, attempt);
    }
    Ok(())
}
