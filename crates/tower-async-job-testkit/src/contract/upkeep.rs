//! Sweeps: when they are due again, and what they count.

use std::collections::BTreeSet;

use http_polling::JobState;
use tower_async_job_core::{
    ClaimKind, ClaimQuery, Principal, Release, Retention, Start, SweepQuery,
};

use crate::{harness::Harness, node::*};

pub(crate) async fn a_sweep_reports_when_the_next_is_due(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let idle = async || {
        let next = node.sweep_all().await.next;
        // Other processes may create jobs in a shared store.
        assert_eq!(next.is_some(), node.properties().shared);
    };
    // It may ask to run sooner, but not later.
    let comes_within = async |span| {
        let next = node.sweep_all().await.next.expect("there is a job");
        assert!(next <= span, "{next:?}");
    };
    idle().await;
    // The id of a job that is forgotten sooner is void for a while.
    let retention = Retention::new(until, 8 * SECOND);
    let lease = node.add(node.job().with_retention(retention)).await;
    comes_within(until).await;
    node.end(&lease, done(b"")).await.unwrap();
    comes_within(until).await;
    harness.advance(until).await?;
    comes_within(8 * SECOND).await;
    harness.advance(8 * SECOND).await?;
    idle().await;
    Ok(())
}

pub(crate) async fn a_sweep_counts_pending_jobs_by_principal(harness: &dyn Harness) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let (a, b) = (Principal::new("a"), Principal::new("b"));
    let of = |principal: &Principal| node.replayable().with_principal(principal.clone());
    assert_eq!(node.sweep_all().await.pending.total, 0);
    let mut ended = None;
    for start in [Start::Running, Start::Queued, Start::Offered] {
        let job = of(&b).with_start(start);
        ended.get_or_insert(job.first_lease());
        node.create(job).await.unwrap();
    }
    node.add(of(&a)).await;
    node.add(node.job()).await;
    node.add_ended(of(&a), 0).await;
    let pending = other.sweep_all().await.pending;
    assert_eq!(pending.total, 5);
    assert_eq!(pending.principals, [(b.clone(), 3), (a.clone(), 1)]);

    node.cancel(&ended.unwrap().id).await.unwrap();
    assert_eq!(other.sweep_all().await.pending.total, 4);
    Ok(())
}

pub(crate) async fn a_sweep_reports_how_long_the_next_job_has_been_claimable(
    harness: &dyn Harness,
) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    node.add(node.job()).await;
    assert_eq!(other.sweep_all().await.oldest_due, None);
    node.offer(node.replayable()).await;
    harness.advance(5 * SECOND).await?;
    node.offer(node.replayable()).await;
    harness.advance(SECOND).await?;
    assert_eq!(other.sweep_all().await.oldest_due, Some(6 * SECOND));
    assert_eq!(node.claim_some(1).await.len(), 1);
    assert_eq!(other.sweep_all().await.oldest_due, Some(SECOND));
    node.claim_one().await;
    assert_eq!(other.sweep_all().await.oldest_due, None);
    Ok(())
}

pub(crate) async fn a_sweep_counts_the_jobs_that_ended_for_their_lost_leases(
    harness: &dyn Harness,
) -> Ran {
    let nodes = [Node::of(harness), Node::second(harness).await?];
    let until = nodes[0].lease()?;
    let sweep = async || {
        let mut lost = 0;
        for node in &nodes {
            lost += node.sweep_all().await.lost;
        }
        lost
    };
    let released = nodes[0].add(nodes[0].job()).await;
    nodes[0].release_one(&released, Release::default()).await;
    assert_eq!(sweep().await, 0);
    nodes[0].add(nodes[0].job()).await;
    let once = nodes[0].replayable().with_max_attempts(1);
    nodes[0].add(once).await;
    nodes[0].add(nodes[0].replayable()).await;
    harness.advance(until).await?;
    nodes[1].claim_some(9).await;
    assert_eq!(sweep().await, 2);
    assert_eq!(sweep().await, 0);
    Ok(())
}

pub(crate) async fn a_sweep_names_the_jobs_that_ended_by_themselves(harness: &dyn Harness) -> Ran {
    let nodes = [Node::of(harness), Node::second(harness).await?];
    let until = nodes[0].lease()?;
    let sweep = async || {
        let mut ended = BTreeSet::new();
        for node in &nodes {
            ended.extend(node.sweep_all().await.ended);
        }
        ended
    };
    let by_callers = [
        nodes[0].add(nodes[0].job()).await,
        nodes[0].add(nodes[0].job()).await,
        nodes[0].add(nodes[0].job()).await,
    ];
    nodes[0].cancel(&by_callers[0].id).await.unwrap();
    nodes[0]
        .release_one(&by_callers[1], Release::default())
        .await;
    nodes[0].end(&by_callers[2], done(b"")).await.unwrap();
    let lost = nodes[0].add(nodes[0].job()).await.id;
    let once = nodes[0].replayable().with_max_attempts(1);
    let failed = nodes[0].add(once).await.id;
    let late = nodes[0].replayable().with_deadline(until / 2);
    let timed_out = late.id;
    nodes[0].offer(late).await;
    nodes[0].add(nodes[0].replayable()).await;
    assert_eq!(sweep().await, BTreeSet::new());
    harness.advance(until).await?;
    nodes[1].claim_some(9).await;
    assert_eq!(sweep().await, BTreeSet::from([lost, failed, timed_out]));
    assert_eq!(sweep().await, BTreeSet::new());
    for (id, state) in [
        (lost, JobState::Lost),
        (failed, JobState::Failed),
        (timed_out, JobState::TimedOut),
    ] {
        assert_eq!(nodes[0].state(&id).await, Some(state));
    }
    Ok(())
}

pub(crate) async fn sweeps_and_claims_show_the_time_of_the_store(harness: &dyn Harness) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let query = ClaimQuery::new(1);
    harness.advance(HOUR).await?;
    let before = node.sweep(&SweepQuery::default()).await.unwrap().now;
    assert_eq!(other.claim(&query).await.unwrap().now, before);
    harness.advance(90 * SECOND).await?;
    let after = other.sweep(&SweepQuery::default()).await.unwrap().now;
    assert_eq!(after, before + 90 * SECOND);
    assert_eq!(node.claim(&query).await.unwrap().now, after);
    harness.jump_back(HOUR).await?;
    let back = node.sweep(&SweepQuery::default()).await.unwrap().now;
    // A store may measure by a clock that is never set back.
    assert!([after - HOUR, after].contains(&back), "{back:?}");
    assert_eq!(other.claim(&query).await.unwrap().now, back);
    Ok(())
}

pub(crate) async fn s15_sweeps_and_claims_at_a_later_time_than_expected_change_nothing(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let before = node.sweep_all().await.now;
    let leases = [
        node.add(node.replayable()).await,
        node.add(node.job()).await,
    ];
    harness.advance(until).await?;
    let now = before + until;
    let claims = ClaimQuery::new(9).with_not_after(now - MOMENT);
    for kind in [ClaimKind::Work, ClaimKind::Notify] {
        let claimed = node.claim(&claims.clone().with_kind(kind)).await.unwrap();
        assert_eq!((claimed.jobs.len(), claimed.now), (0, now));
    }
    let sweep = SweepQuery::default().with_not_after(now - MOMENT);
    assert_eq!(node.sweep(&sweep).await.unwrap().now, now);
    for lease in &leases {
        let record = node.known(&lease.id).await;
        assert_eq!((record.state, record.epoch), (JobState::Running, 1));
    }
    let [again, lost] = leases;
    let claimed = node.claim_by(&claims.with_not_after(now)).await;
    assert_eq!(claimed[0].lease.id, again.id);
    assert_eq!(
        node.sweep(&sweep.with_not_after(now)).await.unwrap().now,
        now
    );
    assert_eq!(node.state(&lost.id).await, Some(JobState::Lost));
    Ok(())
}

pub(crate) async fn s09_sweeps_on_many_nodes_lose_nothing(harness: &dyn Harness) -> Ran {
    let nodes = [Node::of(harness), Node::second(harness).await?];
    let (mut again, mut lost) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        again.push(nodes[0].add(nodes[0].replayable()).await);
        lost.push(nodes[0].add(nodes[0].job()).await);
    }
    harness.advance(nodes[0].lease()?).await?;
    let sweeps: Vec<_> = (0..4)
        .map(|number| {
            let node = nodes[number % 2].clone();
            tokio::spawn(async move { drop(node.sweep_all().await) })
        })
        .collect();
    for sweep in sweeps {
        sweep.await.unwrap();
    }
    for lease in again {
        let record = nodes[1].known(&lease.id).await;
        assert_eq!(record.state, JobState::Queued);
        assert_eq!((record.attempt, record.epoch), (1, lease.epoch + 1));
    }
    for lease in lost {
        let state = nodes[1].state(&lease.id).await;
        assert_eq!(state, Some(JobState::Lost));
    }
    Ok(())
}
