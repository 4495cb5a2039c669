//! Notifications: due with every end in the same step, and sent at least once.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_polling::JobState;
use tower_async_job_core::{
    Claim, ClaimKind, ClaimQuery, Lease, NewJob, Release, Renewal, Retention, Task,
};

use crate::{harness::Harness, node::*};

/// The time for which a claim of a notification lasts if leases have no duration.
const MINUTE: Duration = Duration::from_secs(60);

fn notified_job(node: &Node) -> NewJob {
    node.replayable().with_notify("to whom")
}

async fn due(node: &Node) -> Vec<Claim> {
    let query = ClaimQuery::new(9).with_kind(ClaimKind::Notify);
    node.claim_by(&query).await
}

async fn due_one(node: &Node) -> Claim {
    let mut claims = due(node).await;
    let claim = claims.pop().expect("a notification is due");
    assert!(claims.is_empty(), "more than one is due");
    claim
}

async fn due_none(node: &Node) {
    let claims = due(node).await;
    assert!(claims.is_empty(), "{claims:?}");
}

fn told(claim: &Claim) -> (&Bytes, JobState, SystemTime) {
    match &claim.task {
        Task::Notify {
            notify,
            state,
            ended,
        } => (notify, *state, *ended),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn every_kind_of_end_makes_a_notification_due(harness: &dyn Harness) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let until = node.lease()?;
    let last = || notified_job(&node).with_max_attempts(1);
    for end in [
        "done",
        "failed",
        "cancelled",
        "lost",
        "crashed",
        "released",
        "late",
    ] {
        let lease = match end {
            "lost" => node.add(node.job().with_notify("to whom")).await,
            _ => node.add(last().with_deadline(HOUR)).await,
        };
        due_none(&other).await;
        let state = match end {
            "done" => {
                node.end(&lease, done(b"")).await.unwrap();
                JobState::Done
            }
            "failed" => {
                node.end(&lease, failed()).await.unwrap();
                JobState::Failed
            }
            "cancelled" => {
                node.cancel(&lease.id).await.unwrap();
                JobState::Cancelled
            }
            "lost" => {
                harness.advance(until).await?;
                node.sweep_all().await;
                JobState::Lost
            }
            "crashed" => {
                harness.advance(until).await?;
                node.sweep_all().await;
                JobState::Failed
            }
            "released" => {
                node.release_one(&lease, Release::default()).await;
                JobState::Failed
            }
            _ => {
                let how = Release::default().with_counts(false);
                node.release_one(&lease, how).await;
                harness.advance(HOUR).await?;
                node.sweep_all().await;
                JobState::TimedOut
            }
        };
        let claim = due_one(&other).await;
        let record = node.known(&lease.id).await;
        assert_eq!(claim.lease.id, lease.id, "{end}");
        let (notify, told_state, ended) = told(&claim);
        assert_eq!((&notify[..], told_state), (&b"to whom"[..], state), "{end}");
        assert_eq!((record.state, record.ended), (state, Some(ended)), "{end}");
        other.notified(&claim.lease, None).await.unwrap();
    }
    Ok(())
}

pub(crate) async fn a_notification_is_claimed_as_such_and_once(harness: &dyn Harness) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let lease = node.add(notified_job(&node)).await;
    due_none(&node).await;
    node.end(&lease, done(b"")).await.unwrap();
    node.claim_none().await;
    let before = node.known(&lease.id).await;
    let claim = due_one(&other).await;
    assert_eq!(claim.attempt, 1);
    due_none(&node).await;
    // The lease is not that of a run.
    node.end(&lease, done(b"")).await.unwrap();
    assert_eq!(node.known(&lease.id).await.state, before.state);
    assert_eq!(node.known(&lease.id).await.outcome, before.outcome);
    Ok(())
}

pub(crate) async fn a_record_shows_the_state_of_its_notification(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let retention = Retention::new(HOUR, HOUR);
    let silent = node.add(node.job()).await;
    let lease = node
        .add(notified_job(&node).with_retention(retention))
        .await;
    let shown = async |lease: &Lease| {
        let shown = node.known(&lease.id).await.notification;
        shown.map(|shown| (shown.attempts, shown.is_due))
    };
    assert_eq!(shown(&lease).await, None);
    for lease in [&silent, &lease] {
        node.end(lease, done(b"")).await.unwrap();
    }
    assert_eq!(shown(&lease).await, Some((0, true)));
    for attempt in 1..=2 {
        let claim = due_one(&node).await;
        // It is abandoned with the retention.
        assert!(claim.remaining <= HOUR && claim.remaining > HOUR / 2);
        assert_eq!(shown(&lease).await, Some((attempt, true)));
        let again = (attempt == 1).then_some(10 * SECOND);
        node.notified(&claim.lease, again).await.unwrap();
        assert_eq!(shown(&lease).await, Some((attempt, attempt == 1)));
        harness.advance(10 * SECOND).await?;
    }
    assert_eq!(shown(&silent).await, None);
    harness.advance(HOUR).await?;
    assert_eq!(node.state(&lease.id).await, Some(JobState::Expired));
    assert_eq!(shown(&lease).await, None);
    Ok(())
}

pub(crate) async fn a_notification_is_sent_again_after_a_crash(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let until = node.properties().lease.unwrap_or(MINUTE);
    let retention = Retention::new(100 * until, HOUR);
    let lease = node
        .add(notified_job(&node).with_retention(retention))
        .await;
    node.end(&lease, done(b"")).await.unwrap();
    let mut stale = None;
    for attempt in 1..=3 {
        let claim = due_one(&node).await;
        assert_eq!(claim.attempt, attempt);
        if let Some(stale) = stale.replace(claim.lease) {
            assert_lost(node.notified(&stale, None).await);
        }
        // The node crashes before it sends, or before it reports.
        harness.advance(until - MOMENT).await?;
        due_none(&node).await;
        harness.advance(MOMENT).await?;
    }
    let claim = due_one(&node).await;
    node.notified(&claim.lease, None).await.unwrap();
    harness.advance(until).await?;
    due_none(&node).await;
    Ok(())
}

pub(crate) async fn s02_each_step_of_a_notification_outlives_a_crash(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let until = node.properties().lease.unwrap_or(MINUTE);
    let retention = Retention::new(100 * until, HOUR);
    let job = notified_job(&node).with_retention(retention);
    let lease = node.add(job).await;
    let node = Node::after_crash(harness).await?;
    due_none(&node).await;
    node.end(&lease, done(b"")).await.unwrap();

    let node = Node::after_crash(harness).await?;
    assert_eq!(due_one(&node).await.attempt, 1);

    let node = Node::after_crash(harness).await?;
    due_none(&node).await;
    harness.advance(until).await?;
    let claim = due_one(&node).await;
    assert_eq!(claim.attempt, 2);
    node.notified(&claim.lease, Some(until)).await.unwrap();

    let node = Node::after_crash(harness).await?;
    due_none(&node).await;
    harness.advance(until).await?;
    let claim = due_one(&node).await;
    assert_eq!((claim.attempt, told(&claim).0), (3, &"to whom".into()));
    node.notified(&claim.lease, None).await.unwrap();

    let node = Node::after_crash(harness).await?;
    harness.advance(until).await?;
    due_none(&node).await;
    Ok(())
}

pub(crate) async fn a_notification_that_failed_is_due_again_after_its_delay(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(notified_job(&node)).await;
    node.end(&lease, done(b"")).await.unwrap();
    for attempt in 1..=3 {
        let claim = due_one(&node).await;
        assert_eq!(claim.attempt, attempt);
        let delay = attempt * 10 * SECOND;
        node.notified(&claim.lease, Some(delay)).await.unwrap();
        harness.advance(delay - MOMENT).await?;
        due_none(&node).await;
        node.sweep_all().await;
        harness.advance(MOMENT).await?;
    }
    Ok(())
}

pub(crate) async fn s15_a_clock_that_jumps_back_delays_no_notification(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let until = node.properties().lease.unwrap_or(MINUTE);
    let retention = Retention::new(10 * HOUR, HOUR);
    let lease = node
        .add(notified_job(&node).with_retention(retention))
        .await;
    harness.advance(3 * HOUR).await?;
    node.renew(&[lease]).await.unwrap();
    node.end(&lease, done(b"")).await.unwrap();
    // That of the end, one after a claim that lapses, and one after a failure.
    for (attempt, delay) in [(1, Duration::ZERO), (2, until), (3, 7 * SECOND)] {
        harness.jump_back(HOUR).await?;
        node.sweep_all().await;
        if !delay.is_zero() {
            harness.advance(delay - MOMENT).await?;
            node.sweep_all().await;
            due_none(&node).await;
            harness.advance(MOMENT).await?;
        }
        let claim = due_one(&node).await;
        assert_eq!(claim.attempt, attempt);
        if attempt == 2 {
            let again = Some(7 * SECOND);
            node.notified(&claim.lease, again).await.unwrap();
        }
    }
    Ok(())
}

pub(crate) async fn completing_a_notification_can_be_repeated(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(notified_job(&node)).await;
    node.end(&lease, done(b"")).await.unwrap();
    let claim = due_one(&node).await;
    let wrong = Lease::new(lease.id, claim.lease.epoch + 1);
    assert_lost(node.notified(&wrong, None).await);
    node.notified(&claim.lease, None).await.unwrap();
    // A repeat changes nothing, whether it succeeds or fails.
    if let Err(error) = node.notified(&claim.lease, Some(SECOND)).await {
        assert!(error.is_lease_lost());
    }
    harness.advance(2 * SECOND).await?;
    due_none(&node).await;
    Ok(())
}

pub(crate) async fn a_job_whose_notification_is_due_is_kept_until_its_retention(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(notified_job(&node)).await;
    node.end(&lease, done(b"")).await.unwrap();
    assert!(node.remove(&lease.id).await.unwrap());
    assert_eq!(node.state(&lease.id).await, Some(JobState::Expired));
    let claim = due_one(&node).await;
    let (_, state, _) = told(&claim);
    assert_eq!(state, JobState::Done);
    node.notified(&claim.lease, Some(SECOND)).await.unwrap();
    harness.advance(HOUR).await?;
    node.sweep_all().await;
    due_none(&node).await;
    assert_lost(node.notified(&claim.lease, None).await);
    Ok(())
}

pub(crate) async fn a_discarded_job_makes_no_notification_due(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(notified_job(&node)).await;
    node.discard(&lease).await.unwrap();
    due_none(&node).await;
    Ok(())
}

pub(crate) async fn a_job_without_notification_makes_none_due(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    node.add_ended(node.job(), 0).await;
    let lease = node.add(node.replayable()).await;
    node.cancel(&lease.id).await.unwrap();
    due_none(&node).await;
    Ok(())
}

pub(crate) async fn a_notification_gives_no_right_to_the_job(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(notified_job(&node)).await;
    assert_lost(node.notified(&lease, None).await);
    node.release_one(&lease, Release::default()).await;
    due_none(&node).await;
    let run = node.claim_one().await;
    node.end(&run.lease, done(b"")).await.unwrap();
    let claim = due_one(&node).await;
    let before = node.known(&lease.id).await;
    assert_ne!(node.renew(&[claim.lease]).await.unwrap(), [Renewal::Held]);
    assert_eq!(node.known(&lease.id).await, before);
    Ok(())
}
