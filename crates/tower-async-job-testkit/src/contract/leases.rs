//! Leases: their expiry, their epochs, and the runs after them.

use std::time::Duration;

use http_polling::{JobState, Progress};
use tower_async_job_core::{
    Call, Principal, Release, Released, Renewal, Report, Retention, Start, SweepQuery,
};

use crate::{
    faulty::{Fault, FaultyStore},
    harness::Harness,
    node::*,
};

pub(crate) async fn s03_a_replayable_job_is_run_again_when_its_lease_ends(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let lease = node.add(node.replayable().with_route("/r")).await;
    harness.advance(until - MOMENT).await?;
    node.claim_none().await;
    harness.advance(MOMENT).await?;
    assert_eq!(node.state(&lease.id).await, Some(JobState::Running));
    let claim = node.claim_one().await;
    assert_eq!(
        (claim.lease.id, claim.attempt, &*claim.route),
        (lease.id, 2, "/r")
    );
    assert_eq!((claim.age, claim.remaining), (until, HOUR - until));
    assert!(claim.lease.epoch > lease.epoch);
    assert_eq!(node.state(&lease.id).await, Some(JobState::Running));
    node.claim_none().await;
    Ok(())
}

pub(crate) async fn s04_another_job_is_lost_when_its_lease_ends(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    harness.advance(node.lease()?).await?;
    assert!(node.sweep_all().await.next.is_some());
    assert_eq!(node.state(&lease.id).await, Some(JobState::Lost));
    node.claim_none().await;
    node.end_is_fenced(&lease, done(b"")).await;
    Ok(())
}

pub(crate) async fn a_renewed_lease_lasts_from_its_renewal(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let (kept, left) = (node.add(node.job()).await, node.add(node.job()).await);
    harness.advance(until / 2).await?;
    assert_eq!(node.renew(&[kept]).await.unwrap(), [Renewal::Held]);
    harness.advance(until / 2).await?;
    node.sweep_all().await;
    let renewed = node.renew(&[left, kept]).await.unwrap();
    assert_eq!(renewed, [Renewal::Lost, Renewal::Held]);
    Ok(())
}

pub(crate) async fn an_expired_lease_is_renewed_if_its_job_was_not_taken_over(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    harness.advance(node.lease()? * 2).await?;
    assert_eq!(node.renew(&[lease]).await.unwrap(), [Renewal::Held]);
    node.sweep_all().await;
    assert_eq!(node.state(&lease.id).await, Some(JobState::Running));
    Ok(())
}

pub(crate) async fn s07_stale_finish_is_rejected_after_reclaim(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let stale = node.add(node.replayable()).await;
    harness.advance(node.lease()?).await?;
    let claim = node.claim_one().await;
    assert_eq!(node.renew(&[stale]).await.unwrap(), [Renewal::Lost]);
    assert_lost(node.report(&stale, Report::default()).await);
    node.end_is_fenced(&stale, done(b"stale")).await;
    assert_eq!(
        node.release_one(&stale, Release::default()).await,
        Released::Lost
    );
    assert_lost(node.discard(&stale).await);
    node.end(&claim.lease, done(b"fresh")).await.unwrap();
    node.end_is_fenced(&stale, done(b"fresh")).await;
    Ok(())
}

pub(crate) async fn s08_the_epoch_rises_with_each_claim(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let first = node.add(node.replayable()).await;
    harness.advance(until).await?;
    let second = node.claim_one().await.lease;
    harness.advance(until + SECOND).await?;
    let third = node.claim_one().await.lease;
    assert!(first.epoch < second.epoch && second.epoch < third.epoch);
    node.end_is_fenced(&second, done(b"")).await;
    Ok(())
}

pub(crate) async fn s09_concurrent_sweeps_and_claims_take_a_job_over_once(
    harness: &dyn Harness,
) -> Ran {
    let nodes = [Node::of(harness), Node::second(harness).await?];
    let until = nodes[0].lease()?;
    for _ in 0..10 {
        let id = nodes[0].add(nodes[0].replayable()).await.id;
        harness.advance(until).await?;
        let reapers: Vec<_> = (0..8)
            .map(|number| {
                let node = nodes[number % 2].clone();
                tokio::spawn(async move {
                    node.sweep(&SweepQuery::default()).await.unwrap();
                    node.claim_some(9).await.len()
                })
            })
            .collect();
        let mut claimed = 0;
        for reaper in reapers {
            claimed += reaper.await.unwrap();
        }
        assert_eq!(claimed, 1);
        assert_eq!(nodes[1].known(&id).await.attempt, 2);
        nodes[0].cancel(&id).await.unwrap();
    }
    Ok(())
}

pub(crate) async fn s15_a_clock_that_jumps_back_expires_nothing_early(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    harness.advance(HOUR).await?;
    let (running, ended) = (
        node.add(node.job()).await,
        node.add_ended(node.job(), 0).await,
    );
    harness.jump_back(HOUR).await?;
    node.sweep_all().await;
    assert_eq!(node.state(&running.id).await, Some(JobState::Running));
    let record = node.known(&ended.id).await;
    assert_eq!((record.state, record.age), (JobState::Done, Duration::ZERO));
    harness.advance(HOUR + until).await?;
    node.sweep_all().await;
    assert_eq!(node.state(&running.id).await, Some(JobState::Lost));
    Ok(())
}

pub(crate) async fn s15_a_clock_that_jumps_back_costs_at_most_a_lease(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    harness.advance(HOUR).await?;
    let (lost, again) = (
        node.add(node.job()).await,
        node.add(node.replayable()).await,
    );
    let held = node.add(node.job()).await;
    // A store may notice the jump between two sweeps, which happen at least once per lease.
    node.sweep_all().await;
    harness.jump_back(HOUR).await?;
    node.sweep_all().await;
    assert_eq!(node.renew(&[held]).await.unwrap(), [Renewal::Held]);
    harness.advance(until - MOMENT).await?;
    node.sweep_all().await;
    assert_eq!(node.state(&lost.id).await, Some(JobState::Running));
    harness.advance(MOMENT).await?;
    node.sweep_all().await;
    assert_eq!(node.state(&lost.id).await, Some(JobState::Lost));
    assert_eq!(node.claim_one().await.lease.id, again.id);
    Ok(())
}

pub(crate) async fn s14_a_clock_that_jumps_forward_ends_leases_and_no_more(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let lease = node.add(node.replayable()).await;
    let ended = node.add_ended(node.job(), 0).await;
    harness.advance(until * 2).await?;
    assert_eq!(node.renew(&[lease]).await.unwrap(), [Renewal::Held]);
    node.end(&lease, done(b"")).await.unwrap();
    assert_eq!(node.state(&ended.id).await, Some(JobState::Done));
    Ok(())
}

pub(crate) async fn a_renewal_distinguishes_the_fates_of_leases(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let ended = node.add_ended(node.job(), 0).await;
    let removed = node.add_ended(node.job(), 0).await;
    assert!(node.remove(&removed.id).await.unwrap());
    let discarded = node.add(node.job()).await;
    node.discard(&discarded).await.unwrap();
    let released = node.add(node.replayable()).await;
    node.release_one(&released, Release::default()).await;
    let missing = node.job().first_lease();
    let cancelled = node.add(node.job()).await;
    node.cancel(&cancelled.id).await.unwrap();
    let held = node.add(node.job()).await;
    let leases = [
        ended, removed, discarded, released, missing, cancelled, held,
    ];
    let expected = [
        Renewal::Lost,
        Renewal::Lost,
        Renewal::Lost,
        Renewal::Lost,
        Renewal::Missing,
        Renewal::Cancelled,
        Renewal::Held,
    ];
    assert_eq!(node.renew(&leases).await.unwrap(), expected);
    assert!(node.renew(&[]).await.unwrap().is_empty());
    Ok(())
}

pub(crate) async fn a_renewal_never_revives_an_ended_job(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    harness.advance(node.lease()?).await?;
    node.sweep_all().await;
    let before = node.known(&lease.id).await;
    assert_eq!(before.state, JobState::Lost);
    assert_eq!(node.renew(&[lease]).await.unwrap(), [Renewal::Lost]);
    assert_eq!(node.known(&lease.id).await, before);
    Ok(())
}

pub(crate) async fn a_run_whose_record_is_missing_stores_its_job_again(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let missing = node.replayable().with_epoch(5);
    let lost = missing.first_lease();
    assert_eq!(node.renew(&[lost]).await.unwrap(), [Renewal::Missing]);
    let anew = missing.with_epoch(6);
    let lease = node.add(anew.clone()).await;
    assert_eq!(lease, anew.first_lease());
    assert_eq!(node.add(anew).await, lease);
    assert_eq!(node.known(&lease.id).await.epoch, 6);
    node.end_is_fenced(&lost, done(b"")).await;
    let renewed = node.renew(&[lost, lease]).await.unwrap();
    assert_eq!(renewed, [Renewal::Lost, Renewal::Held]);
    harness.advance(node.lease()?).await?;
    let claim = node.claim_one().await;
    assert!(claim.lease.epoch > lease.epoch);
    Ok(())
}

pub(crate) async fn a_job_that_is_stored_again_does_not_start_over(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let lease = node.add(node.replayable()).await;
    harness.advance(until).await?;
    let claim = node.claim_one().await;
    for _ in 0..20 {
        node.say(
            &claim.lease,
            Report::default().with_progress(Progress::of(1, 2)),
        )
        .await;
    }
    harness.advance(5 * SECOND).await?;
    let lost = node.known(&lease.id).await;
    node.cancel(&lease.id).await.unwrap();

    // Another id stands for that of the lost record.
    let anew = node
        .replayable()
        .with_epoch(lost.epoch + 1)
        .with_attempt(lost.attempt)
        .with_created(lost.created)
        .with_version(lost.version);
    let id = node.add(anew).await.id;
    let record = node.known(&id).await;
    assert_eq!((record.attempt, record.created), (2, lost.created));
    assert_eq!((lost.attempt, record.age), (2, lost.age));
    assert!(record.version > lost.version, "{}", record.version);
    harness.advance(until + SECOND).await?;
    let claim = node.claim_one().await;
    assert_eq!((claim.attempt, claim.created), (3, lost.created));
    let age = lost.age + until + SECOND;
    assert_eq!((claim.age, claim.remaining), (age, HOUR - age));
    harness.advance(until).await?;
    node.claim_none().await;
    assert_eq!(node.state(&id).await, Some(JobState::Failed));
    Ok(())
}

pub(crate) async fn a_job_that_is_stored_again_has_run_as_long(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let job = node.replayable().with_epoch(2).with_running_for(5 * SECOND);
    let lease = node.add(job.clone()).await;
    let record = node.known(&lease.id).await;
    assert_eq!(record.running_for, Some(5 * SECOND));
    let queued = node.job().with_start(Start::Queued);
    let lease = node.add(queued.with_running_for(5 * SECOND)).await;
    assert_eq!(node.known(&lease.id).await.running_for, None);
    Ok(())
}

pub(crate) async fn a_claim_has_what_storing_its_job_again_needs(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let job = node
        .replayable()
        .with_principal(Principal::new("owner"))
        .with_retention(Retention::new(7 * SECOND, HOUR))
        .with_notify("notify")
        .with_max_attempts(5);
    let job = node.with_key(job, key("key", 7));
    let lease = node.add(job.clone()).await;
    for _ in 0..20 {
        let report = Report::default().with_progress(Progress::of(1, 2));
        node.say(&lease, report).await;
    }
    node.release_one(&lease, Release::default()).await;
    let claim = node.claim_one().await;
    assert_eq!(claim.fingerprint, Some([7; 32]));
    assert_eq!(claim.principal, job.principal);
    assert_eq!(claim.retention, job.retention);
    assert_eq!(claim.notify, job.notify);
    assert_eq!((claim.attempt, claim.max_attempts), (2, 5));
    assert_eq!(claim.version, node.known(&lease.id).await.version);
    node.release_one(&claim.lease, Release::default()).await;
    let other = node.claim_one().await;
    assert!(other.version > claim.version, "{other:?}");
    let plain = node.offer(node.replayable()).await;
    let claim = node.claim_one().await;
    assert_eq!(claim.lease.id, plain);
    assert_eq!((claim.fingerprint, claim.notify), (None, None));
    assert_eq!(claim.retention, Retention::default());
    Ok(())
}

pub(crate) async fn a_repeat_of_storing_a_job_again_is_the_same_create(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    for fault in [Fault::Unavailable, Fault::Unacknowledged] {
        let key = key(&format!("{fault:?}"), 1);
        let job = node.with_key(node.replayable(), key).with_epoch(5);
        let anew = job.with_attempt(2).with_version(9);
        let faulty = FaultyStore::new(harness.store());
        faulty.next(Call::Create, fault);
        let failed = faulty.store().create(anew.clone()).await;
        assert!(failed.unwrap_err().is_unavailable());
        harness.advance(SECOND).await?;
        // Less of the time is left for the repeat.
        let repeat = anew.clone().with_deadline(HOUR - SECOND);
        assert_eq!(node.add(repeat).await, anew.first_lease());
        let record = node.known(&anew.id).await;
        assert_eq!((record.epoch, record.attempt), (5, 2));
        let older = node.create(anew.with_epoch(4)).await;
        assert!(older.unwrap_err().is_conflict());
    }
    Ok(())
}

pub(crate) async fn a_thousand_leases_are_renewed_by_one_call(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let mut leases = Vec::new();
    for _ in 0..1000 {
        leases.push(node.add(node.job()).await);
    }
    let ended = leases[500];
    node.end(&ended, done(b"")).await.unwrap();
    let renewed = node.renew(&leases).await.unwrap();
    assert_eq!(renewed.len(), leases.len());
    for (lease, renewal) in leases.iter().zip(renewed) {
        assert_eq!(renewal.is_held(), *lease != ended);
    }
    Ok(())
}
