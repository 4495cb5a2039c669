//! Runs that continue with an outside party.

use std::collections::HashSet;

use http_polling::{JobState, Progress};
use serde_json::json;
use tower_async_job_core::{
    Cancellation, Lease, Outside, Release, Released, Renewal, Report, Task,
};

use crate::{harness::Harness, node::*};

const TOKEN: &str = "a token";

fn outside() -> Outside {
    Outside::new(TOKEN, 600 * SECOND)
}

/// Creates a job that was released to an outside party, with progress.
async fn left_outside(node: &Node, max_attempts: u32) -> Lease {
    let job = node
        .replayable()
        .with_max_attempts(max_attempts)
        .with_deadline(10 * HOUR);
    let lease = node.add(job).await;
    let report = Report::default()
        .with_progress(Progress::of(1, 4))
        .with_checkpoint("note");
    node.say(&lease, report).await;
    let how = Release::default().with_outside(outside());
    assert_eq!(node.release_one(&lease, how).await, Released::Outside);
    lease
}

pub(crate) async fn a_run_outside_keeps_its_attempt_and_is_not_claimed(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let lease = left_outside(&node, 3).await;
    let record = node.known(&lease.id).await;
    assert_eq!((record.state, record.attempt), (JobState::Running, 1));
    assert!(record.epoch > lease.epoch);
    assert_eq!(record.progress, Some(Progress::of(1, 4)));
    node.end_is_fenced(&lease, done(b"")).await;
    harness.advance(600 * SECOND - MOMENT).await?;
    node.sweep_all().await;
    node.claim_none().await;
    assert_eq!(node.state(&lease.id).await, Some(JobState::Running));
    Ok(())
}

pub(crate) async fn a_run_outside_is_resumed_by_its_token_on_any_node(
    harness: &dyn Harness,
) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let lease = left_outside(&node, 3).await;
    let wrong = Outside::digest("another token");
    assert!(other.resume(&lease.id, &wrong).await.unwrap().is_none());
    let token = Outside::digest(TOKEN);
    let claim = other.resume(&lease.id, &token).await.unwrap().unwrap();
    assert_eq!((claim.attempt, &claim.task), (1, &Task::Record));
    assert_eq!(claim.checkpoint, "note");
    assert!(claim.lease.epoch > lease.epoch);
    let again = node.resume(&lease.id, &token).await.unwrap().unwrap();
    assert!(again.lease.epoch > claim.lease.epoch);
    other.end_is_fenced(&claim.lease, done(b"stale")).await;
    node.end(&again.lease, done(b"its answer")).await.unwrap();
    assert_eq!(other.state(&lease.id).await, Some(JobState::Done));
    assert!(node.resume(&lease.id, &token).await.unwrap().is_none());
    Ok(())
}

pub(crate) async fn a_run_outside_that_is_late_is_run_again_and_has_counted(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let lease = left_outside(&node, 2).await;
    harness.advance(600 * SECOND).await?;
    let claim = node.claim_one().await;
    assert_eq!((claim.lease.id, claim.attempt), (lease.id, 2));
    assert_eq!(claim.checkpoint, "note");
    assert_eq!(node.known(&lease.id).await.progress, None);
    let token = Outside::digest(TOKEN);
    assert!(node.resume(&lease.id, &token).await.unwrap().is_none());
    node.end(&claim.lease, done(b"")).await.unwrap();

    let last = left_outside(&node, 1).await;
    harness.advance(600 * SECOND).await?;
    node.sweep_all().await;
    node.claim_none().await;
    assert_eq!(node.state(&last.id).await, Some(JobState::Failed));
    Ok(())
}

pub(crate) async fn a_party_outside_reports_and_is_given_more_time(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = left_outside(&node, 3).await;
    for done in 2..=4 {
        harness.advance(500 * SECOND).await?;
        let report = Report::default().with_progress(Progress::of(done, 4));
        let renewed = node
            .renew_outside(&lease.id, outside(), report.clone())
            .await;
        assert_eq!(renewed.unwrap(), Renewal::Held);
        assert_eq!(node.known(&lease.id).await.progress, report.progress);
        node.sweep_all().await;
    }
    let stranger = Outside::new("another token", HOUR);
    let report = Report::default().with_partial(json!("false"));
    let refused = node.renew_outside(&lease.id, stranger, report).await;
    assert_eq!(refused.unwrap(), Renewal::Lost);
    let record = node.known(&lease.id).await;
    assert_eq!((record.state, record.partial), (JobState::Running, None));
    Ok(())
}

pub(crate) async fn a_party_outside_learns_the_fate_of_its_run(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let say = async |lease: &Lease| {
        let renewed = node.renew_outside(&lease.id, outside(), Report::default());
        renewed.await.unwrap()
    };
    let cancelled = left_outside(&node, 3).await;
    let answer = node.cancel(&cancelled.id).await.unwrap();
    assert!(matches!(answer, Cancellation::Cancelled { .. }));
    assert_eq!(say(&cancelled).await, Renewal::Cancelled);
    let token = Outside::digest(TOKEN);
    assert!(node.resume(&cancelled.id, &token).await.unwrap().is_none());

    assert_eq!(say(&node.job().first_lease()).await, Renewal::Missing);
    let never = node.add(node.replayable()).await;
    assert_eq!(say(&never).await, Renewal::Lost);
    Ok(())
}

pub(crate) async fn a_resumed_run_that_crashes_is_outside_again(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let lease = left_outside(&node, 3).await;
    let token = Outside::digest(TOKEN);
    let first = node.resume(&lease.id, &token).await.unwrap().unwrap();
    harness.advance(until).await?;
    node.sweep_all().await;
    node.claim_none().await;
    node.end_is_fenced(&first.lease, done(b"late")).await;
    let second = node.resume(&lease.id, &token).await.unwrap().unwrap();
    assert_eq!(second.attempt, 1);
    assert!(second.lease.epoch > first.lease.epoch);
    node.end(&second.lease, done(b"")).await.unwrap();
    Ok(())
}

pub(crate) async fn a_resumed_run_that_is_given_up_is_outside_again(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = left_outside(&node, 3).await;
    let token = Outside::digest(TOKEN);
    let first = node.resume(&lease.id, &token).await.unwrap().unwrap();
    let released = node.release_one(&first.lease, Release::default()).await;
    assert_eq!(released, Released::Outside);
    assert_ne!(node.renew(&[first.lease]).await.unwrap(), [Renewal::Held]);
    let second = node.resume(&lease.id, &token).await.unwrap().unwrap();
    node.end(&second.lease, done(b"")).await.unwrap();
    Ok(())
}

pub(crate) async fn a_report_from_outside_leaves_the_lease_of_a_resumed_run(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let lease = left_outside(&node, 3).await;
    harness.advance(2 * node.lease()?).await?;
    let token = Outside::digest(TOKEN);
    let claim = node.resume(&lease.id, &token).await.unwrap().unwrap();
    assert_eq!(claim.remaining, 10 * HOUR - 2 * node.lease()?);
    let reported = node.renew_outside(&lease.id, outside(), Report::default());
    assert_eq!(reported.await.unwrap(), Renewal::Held);
    assert_eq!(node.renew(&[claim.lease]).await.unwrap(), [Renewal::Held]);
    node.end(&claim.lease, done(b"later")).await.unwrap();
    Ok(())
}

pub(crate) async fn a_run_outside_that_cannot_be_run_again_is_lost_when_it_is_late(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    let how = Release::default().with_outside(outside());
    assert_eq!(node.release_one(&lease, how).await, Released::Outside);
    harness.advance(600 * SECOND).await?;
    node.sweep_all().await;
    assert_eq!(node.state(&lease.id).await, Some(JobState::Lost));
    let late = node.renew_outside(&lease.id, outside(), Report::default());
    assert_eq!(late.await.unwrap(), Renewal::Lost);
    Ok(())
}

pub(crate) async fn s33_a_run_outside_ends_at_its_deadline(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let job = node.replayable().with_deadline(300 * SECOND);
    let lease = node.add(job).await;
    let how = Release::default().with_outside(outside());
    assert_eq!(node.release_one(&lease, how).await, Released::Outside);
    harness.advance(300 * SECOND).await?;
    node.sweep_all().await;
    assert_eq!(node.state(&lease.id).await, Some(JobState::TimedOut));
    Ok(())
}

pub(crate) async fn s15_a_clock_that_jumps_back_gives_no_party_outside_more_time(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    harness.advance(HOUR).await?;
    let mut left = Vec::new();
    for _ in 0..4 {
        left.push(left_outside(&node, 3).await.id);
    }
    let renewed = node.renew_outside(&left[1], outside(), Report::default());
    assert_eq!(renewed.await.unwrap(), Renewal::Held);
    let token = Outside::digest(TOKEN);
    let given_up = node.resume(&left[2], &token).await.unwrap().unwrap();
    let crashed = node.resume(&left[3], &token).await.unwrap();
    assert!(crashed.is_some());
    node.sweep_all().await;
    harness.jump_back(HOUR).await?;
    node.sweep_all().await;
    let released = node.release_one(&given_up.lease, Release::default()).await;
    assert_eq!(released, Released::Outside);
    harness.advance(600 * SECOND - MOMENT).await?;
    node.sweep_all().await;
    node.claim_none().await;
    harness.advance(MOMENT).await?;
    let claims = node.claim_some(9).await;
    let claimed: HashSet<_> = claims.iter().map(|claim| claim.lease.id).collect();
    assert_eq!(claimed, HashSet::from_iter(left));
    Ok(())
}
