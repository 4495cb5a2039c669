//! What every store promises, asked of the one in memory; one behaviour each.

mod common;
mod creating;
mod owners;
mod reading;
mod room;
mod scale;
mod waiting;

use std::time::Duration;

use common::*;
use http_polling::{JobState, Problem, ProblemType, Progress};
use serde_json::json;
use tower_async_job_core::{
    Cancellation, ClaimQuery, Created, Detail, IdempotencyKey, JobHandle, JobId, JobQuery,
    JobStore, Lease, Outcome, Owner, Principal, RecordedOutcome, Released, Renewal, Report,
    Retention, Start,
};

#[tokio::test]
async fn a_new_job_is_read_as_it_was_created() {
    let (store, clock) = store();
    let job = job()
        .with_route("/reports")
        .with_principal(Principal::new("a"));
    let (id, handle) = (job.id, job.handle);
    assert_eq!(create(&store, job).await, Lease::new(id, 1));
    clock.advance(Duration::from_secs(5));
    let record = read(&store, &id).await.unwrap();
    assert_eq!((record.id, record.handle), (id, handle));
    assert_eq!(
        (record.state, record.epoch, record.attempt),
        (JobState::Running, 1, 1)
    );
    assert_eq!(
        (&*record.route, record.owner),
        ("/reports", Some(Owner::Named(Principal::new("a"))))
    );
    assert_eq!(record.age, Duration::from_secs(5));
    assert_eq!(record.running_for, Some(Duration::from_secs(5)));
    assert_eq!(record.started, Some(record.created));
    assert_eq!((record.ended, record.outcome), (None, None));
}

#[tokio::test]
async fn a_repeated_create_gives_the_same_lease() {
    let (store, _) = store();
    let job = job();
    let lease = create(&store, job.clone()).await;
    assert_eq!(create(&store, job).await, lease);
}

#[tokio::test]
async fn a_create_with_the_id_of_another_job_is_a_conflict() {
    let (store, _) = store();
    let first = job();
    create(&store, first.clone()).await;
    let other = first.with_handle(JobHandle::random());
    assert!(store.create(other).await.unwrap_err().is_conflict());
}

#[tokio::test]
async fn a_queued_job_has_begun_no_run_until_it_is_started() {
    let (store, clock) = store();
    let lease = create(&store, job().with_start(Start::Queued)).await;
    let record = read(&store, &lease.id).await.unwrap();
    assert_eq!((record.state, record.attempt), (JobState::Queued, 0));
    assert_eq!((record.started, record.running_for), (None, None));
    clock.advance(Duration::from_secs(2));
    store.start(&lease).await.unwrap();
    store.start(&lease).await.unwrap();
    let record = read(&store, &lease.id).await.unwrap();
    assert_eq!((record.state, record.attempt), (JobState::Running, 1));
    assert_eq!(record.running_for, Some(Duration::ZERO));
}

#[tokio::test]
async fn an_unknown_job_is_none_and_its_lease_lost() {
    let (store, _) = store();
    let lease = Lease::new(JobId::random(), 1);
    assert!(read(&store, &lease.id).await.is_none());
    assert!(store.start(&lease).await.unwrap_err().is_lease_lost());
    assert!(
        store
            .report(&lease, Report::default())
            .await
            .unwrap_err()
            .is_lease_lost()
    );
    assert!(
        store
            .finish(&lease, done(b""))
            .await
            .unwrap_err()
            .is_lease_lost()
    );
    assert!(release(&store, &lease).await == Released::Lost);
    assert_eq!(store.renew(&[lease]).await.unwrap(), [Renewal::Missing]);
    assert_eq!(
        store.cancel(&lease.id).await.unwrap(),
        Cancellation::Unknown
    );
    assert!(!store.remove(&lease.id).await.unwrap());
    assert!(!store.extend(&lease.id, HOUR).await.unwrap());
    store.discard(&lease).await.unwrap();
    store.subscribe(&lease.id).await;
}

#[tokio::test]
async fn a_report_leaves_what_it_does_not_say() {
    let (store, _) = store();
    let lease = create(&store, job()).await;
    let first = Report::default()
        .with_progress(Progress::of(1, 4))
        .with_partial(json!([1]));
    store.report(&lease, first).await.unwrap();
    store
        .report(&lease, Report::default().with_partial(json!([1, 2])))
        .await
        .unwrap();
    let record = read(&store, &lease.id).await.unwrap();
    assert_eq!(record.progress, Some(Progress::of(1, 4)));
    assert_eq!(record.partial, Some(json!([1, 2]).into()));
}

#[tokio::test]
async fn the_outcome_is_read_in_full_detail_only() {
    let (store, clock) = store();
    let lease = create(&store, job()).await;
    clock.advance(Duration::from_secs(7));
    let Outcome::Done(response) = done(b"hello").outcome else {
        unreachable!()
    };
    store
        .finish(&lease, Outcome::Done(response.clone()).into())
        .await
        .unwrap();
    clock.advance(Duration::from_secs(7));
    let status = store
        .read(&lease.id, Detail::Status)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((status.state, status.outcome), (JobState::Done, None));
    assert_eq!(status.running_for, Some(Duration::from_secs(7)));
    let full = read(&store, &lease.id).await.unwrap();
    assert_eq!(full.outcome, Some(RecordedOutcome::Response(response)));
}

#[tokio::test]
async fn s03_a_replayable_job_is_run_again_when_its_lease_ends() {
    let (store, clock) = store();
    let lease = create(&store, replayable().with_route("/r")).await;
    clock.advance(LEASE - MOMENT);
    assert!(
        store
            .claim(&ClaimQuery::new(1))
            .await
            .unwrap()
            .jobs
            .is_empty()
    );
    clock.advance(MOMENT);
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Running));
    let claim = store
        .claim(&ClaimQuery::new(9))
        .await
        .unwrap()
        .jobs
        .pop()
        .unwrap();
    assert_eq!(
        (claim.lease.id, claim.attempt, &*claim.route),
        (lease.id, 2, "/r")
    );
    assert_eq!((claim.age, claim.remaining), (LEASE, HOUR - LEASE));
    assert!(claim.lease.epoch > lease.epoch);
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Running));
    assert!(
        store
            .claim(&ClaimQuery::new(9))
            .await
            .unwrap()
            .jobs
            .is_empty()
    );
}

#[tokio::test]
async fn s04_another_job_is_lost_when_its_lease_ends() {
    let (store, clock) = store();
    let lease = create(&store, job()).await;
    clock.advance(LEASE);
    assert!(store.sweep().await.unwrap().next.is_some());
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Lost));
    assert!(
        store
            .claim(&ClaimQuery::new(9))
            .await
            .unwrap()
            .jobs
            .is_empty()
    );
    assert!(
        store
            .finish(&lease, done(b""))
            .await
            .unwrap_err()
            .is_lease_lost()
    );
}

#[tokio::test]
async fn a_renewed_lease_lasts() {
    let (store, clock) = store();
    let (kept, left) = (create(&store, job()).await, create(&store, job()).await);
    clock.advance(LEASE / 2);
    assert_eq!(store.renew(&[kept]).await.unwrap(), [Renewal::Held]);
    clock.advance(LEASE / 2);
    store.sweep().await.unwrap();
    assert_eq!(
        store.renew(&[left, kept]).await.unwrap(),
        [Renewal::Lost, Renewal::Held]
    );
}

#[tokio::test]
async fn a_lease_that_ran_out_is_held_again_if_nobody_took_it() {
    let (store, clock) = store();
    let lease = create(&store, job()).await;
    clock.advance(LEASE * 2);
    assert_eq!(store.renew(&[lease]).await.unwrap(), [Renewal::Held]);
    store.sweep().await.unwrap();
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Running));
}

#[tokio::test]
async fn without_a_lease_duration_a_job_runs_for_ever() {
    let (store, clock) = store_with(|builder| builder);
    let lease = create(&store, job()).await;
    clock.advance(HOUR * 1000);
    store.sweep().await.unwrap();
    assert_eq!(store.properties().lease, None);
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Running));
}

#[tokio::test]
async fn s07_stale_finish_is_rejected_after_reclaim() {
    let (store, clock) = store();
    let stale = create(&store, replayable()).await;
    clock.advance(LEASE);
    let claim = store
        .claim(&ClaimQuery::new(1))
        .await
        .unwrap()
        .jobs
        .pop()
        .unwrap();
    assert_eq!(store.renew(&[stale]).await.unwrap(), [Renewal::Lost]);
    assert!(
        store
            .report(&stale, Report::default())
            .await
            .unwrap_err()
            .is_lease_lost()
    );
    assert!(
        store
            .finish(&stale, done(b"stale"))
            .await
            .unwrap_err()
            .is_lease_lost()
    );
    assert!(release(&store, &stale).await == Released::Lost);
    assert!(store.discard(&stale).await.unwrap_err().is_lease_lost());
    store.finish(&claim.lease, done(b"fresh")).await.unwrap();
    assert!(
        store
            .finish(&stale, done(b"fresh"))
            .await
            .unwrap_err()
            .is_lease_lost()
    );
}

#[tokio::test]
async fn s08_the_epoch_rises_with_each_claim() {
    let (store, clock) = store();
    let first = create(&store, replayable()).await;
    clock.advance(LEASE);
    let second = store
        .claim(&ClaimQuery::new(1))
        .await
        .unwrap()
        .jobs
        .pop()
        .unwrap()
        .lease;
    clock.advance(LEASE);
    let third = store
        .claim(&ClaimQuery::new(1))
        .await
        .unwrap()
        .jobs
        .pop()
        .unwrap()
        .lease;
    assert!(first.epoch < second.epoch && second.epoch < third.epoch);
    assert!(
        store
            .finish(&second, done(b""))
            .await
            .unwrap_err()
            .is_lease_lost()
    );
}

#[tokio::test]
async fn s09_reapers_that_race_make_one_transition() {
    let (store, clock) = store();
    let id = create(&store, replayable()).await.id;
    clock.advance(LEASE);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let ready = async {
                    store.sweep().await.unwrap();
                    store.claim(&ClaimQuery::new(9)).await.unwrap().jobs;
                };
                tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap()
                    .block_on(ready);
            });
        }
    });
    assert_eq!(read(&store, &id).await.unwrap().attempt, 2);
}

#[tokio::test]
async fn s10_a_repeated_finish_succeeds_and_changes_nothing() {
    let (store, clock) = store();
    let lease = create(&store, job()).await;
    store.finish(&lease, done(b"once")).await.unwrap();
    let before = read(&store, &lease.id).await.unwrap();
    store.finish(&lease, done(b"once")).await.unwrap();
    assert_eq!(read(&store, &lease.id).await.unwrap(), before);
    // The state is compared, and not the content.
    store.finish(&lease, done(b"twice")).await.unwrap();
    assert_eq!(read(&store, &lease.id).await.unwrap(), before);
    assert!(
        store
            .finish(&lease, failed())
            .await
            .unwrap_err()
            .is_lease_lost()
    );
    clock.advance(HOUR);
    assert!(store.finish(&lease, done(b"once")).await.is_ok());
    store.sweep().await.unwrap();
    assert!(
        store
            .finish(&lease, done(b"once"))
            .await
            .unwrap_err()
            .is_lease_lost()
    );
}

#[tokio::test]
async fn s10_a_repeated_failure_succeeds() {
    let (store, _) = store();
    let lease = create(&store, job()).await;
    store.finish(&lease, failed()).await.unwrap();
    store.finish(&lease, failed()).await.unwrap();
    let other = Outcome::TimedOut(Problem::new(ProblemType::JobFailed));
    assert!(
        store
            .finish(&lease, other.into())
            .await
            .unwrap_err()
            .is_lease_lost()
    );
}

#[tokio::test]
async fn s11_cancel_beats_finish() {
    let (store, _) = store();
    let lease = create(&store, job()).await;
    assert!(matches!(
        store.cancel(&lease.id).await.unwrap(),
        Cancellation::Cancelled { .. }
    ));
    assert!(
        store
            .finish(&lease, done(b"late"))
            .await
            .unwrap_err()
            .is_lease_lost()
    );
    assert_eq!(store.renew(&[lease]).await.unwrap(), [Renewal::Cancelled]);
    let record = read(&store, &lease.id).await.unwrap();
    assert_eq!((record.state, record.outcome), (JobState::Cancelled, None));
    let again = store.cancel(&lease.id).await.unwrap();
    assert_eq!(again, Cancellation::Ended(JobState::Cancelled));
}

#[tokio::test]
async fn s12_cancel_after_done_leaves_the_result() {
    let (store, _) = store();
    let lease = create(&store, job()).await;
    store.finish(&lease, done(b"kept")).await.unwrap();
    let before = read(&store, &lease.id).await;
    let answer = store.cancel(&lease.id).await.unwrap();
    assert_eq!(answer, Cancellation::Ended(JobState::Done));
    assert_eq!(read(&store, &lease.id).await, before);
}

#[tokio::test]
async fn s13_a_queued_job_is_cancelled_too() {
    let (store, clock) = store();
    let lease = create(&store, replayable().with_start(Start::Queued)).await;
    assert!(matches!(
        store.cancel(&lease.id).await.unwrap(),
        Cancellation::Cancelled { .. }
    ));
    assert!(store.start(&lease).await.unwrap_err().is_lease_lost());
    clock.advance(LEASE);
    assert!(
        store
            .claim(&ClaimQuery::new(1))
            .await
            .unwrap()
            .jobs
            .is_empty()
    );
}

#[tokio::test]
async fn s15_a_clock_that_jumps_back_expires_nothing_early() {
    let (store, clock) = store();
    clock.set(HOUR);
    let running = create(&store, job()).await;
    let ended = create(&store, job()).await;
    store.finish(&ended, done(b"")).await.unwrap();
    clock.set(Duration::ZERO);
    store.sweep().await.unwrap();
    assert_eq!(state(&store, &running.id).await, Some(JobState::Running));
    let record = read(&store, &ended.id).await.unwrap();
    assert_eq!((record.state, record.age), (JobState::Done, Duration::ZERO));
    clock.set(HOUR + LEASE);
    store.sweep().await.unwrap();
    assert_eq!(state(&store, &running.id).await, Some(JobState::Lost));
}

#[tokio::test]
async fn s32_a_job_that_never_comes_to_an_end_fails_after_its_attempts() {
    let (store, clock) = store();
    let mut lease = create(&store, replayable().with_max_attempts(3)).await;
    for attempt in 2..=3 {
        clock.advance(LEASE);
        let claim = store
            .claim(&ClaimQuery::new(1))
            .await
            .unwrap()
            .jobs
            .pop()
            .unwrap();
        assert_eq!((claim.attempt, claim.max_attempts), (attempt, 3));
        lease = claim.lease;
    }
    clock.advance(LEASE);
    assert!(
        store
            .claim(&ClaimQuery::new(1))
            .await
            .unwrap()
            .jobs
            .is_empty()
    );
    let record = read(&store, &lease.id).await.unwrap();
    assert_eq!((record.state, record.attempt), (JobState::Failed, 3));
    let Some(RecordedOutcome::Problem(problem)) = record.outcome else {
        panic!()
    };
    assert_eq!(problem.problem_type(), Some(ProblemType::JobFailed));
    assert!(
        store
            .finish(&lease, failed())
            .await
            .unwrap_err()
            .is_lease_lost()
    );
}

#[tokio::test]
async fn s32_a_job_that_waits_uses_no_attempt_up() {
    let (store, clock) = store();
    let lease = create(
        &store,
        replayable().with_start(Start::Queued).with_max_attempts(1),
    )
    .await;
    release(&store, &lease).await;
    let claim = store
        .claim(&ClaimQuery::new(1))
        .await
        .unwrap()
        .jobs
        .pop()
        .unwrap();
    assert_eq!(claim.attempt, 1);
    clock.advance(LEASE);
    store.sweep().await.unwrap();
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Failed));
}

#[tokio::test]
async fn s33_a_job_that_nobody_claims_ends_at_its_deadline() {
    let (store, clock) = store();
    let lease = create(&store, replayable().with_deadline(HOUR)).await;
    release(&store, &lease).await;
    clock.advance(HOUR - MOMENT);
    store.sweep().await.unwrap();
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Queued));
    clock.advance(MOMENT);
    assert!(
        store
            .claim(&ClaimQuery::new(1))
            .await
            .unwrap()
            .jobs
            .is_empty()
    );
    assert_eq!(state(&store, &lease.id).await, Some(JobState::TimedOut));
}

#[tokio::test]
async fn s39_a_released_job_is_queued_with_a_higher_epoch() {
    let (store, _) = store();
    let lease = create(&store, replayable()).await;
    release(&store, &lease).await;
    let record = read(&store, &lease.id).await.unwrap();
    assert_eq!(
        (record.state, record.epoch),
        (JobState::Queued, lease.epoch + 1)
    );
    assert_eq!(record.started, None);
    assert!(
        store
            .finish(&lease, done(b""))
            .await
            .unwrap_err()
            .is_lease_lost()
    );
    let claim = store
        .claim(&ClaimQuery::new(1))
        .await
        .unwrap()
        .jobs
        .pop()
        .unwrap();
    store.finish(&claim.lease, done(b"")).await.unwrap();
}

#[tokio::test]
async fn s39_a_released_job_without_request_is_lost() {
    let (store, _) = store();
    let lease = create(&store, job()).await;
    release(&store, &lease).await;
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Lost));
}

fn keyed(key: &str, fingerprint: u8) -> tower_async_job_core::NewJob {
    job().with_idempotency(IdempotencyKey::new(key, [fingerprint; 32]).unwrap())
}

#[tokio::test]
async fn look_up_finds_what_a_create_would_and_makes_nothing() {
    let (store, _) = store();
    let with = |fingerprint| keyed("key", fingerprint).idempotency.unwrap();
    let principal = keyed("key", 1).principal;
    let look_up = async |key| store.look_up(principal.as_ref(), &key).await.unwrap();
    assert_eq!(look_up(with(1)).await, None);
    let Created::New { lease, .. } = store.create(keyed("key", 1)).await.unwrap() else {
        panic!("not made");
    };
    let found = look_up(with(1)).await;
    assert!(matches!(found, Some(Created::Existing(record)) if record.id == lease.id));
    assert_eq!(look_up(with(2)).await, Some(Created::KeyReused));
    let stranger = Principal::new("somebody else");
    let found = store.look_up(Some(&stranger), &with(1)).await.unwrap();
    assert_eq!(found, None);
    store.discard(&lease).await.unwrap();
    assert_eq!(look_up(with(1)).await, None);
}

#[tokio::test]
async fn s43_one_key_makes_one_job() {
    let (store, _) = store();
    let made: Vec<Created> = std::thread::scope(|scope| {
        let creates: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .build()
                        .unwrap();
                    runtime.block_on(store.create(keyed("key", 1))).unwrap()
                })
            })
            .collect();
        creates
            .into_iter()
            .map(|create| create.join().unwrap())
            .collect()
    });
    let new: Vec<_> = made
        .iter()
        .filter_map(|created| match created {
            Created::New { lease, .. } => Some(lease.id),
            _ => None,
        })
        .collect();
    assert_eq!(new.len(), 1);
    for created in &made {
        if let Created::Existing(record) = created {
            assert_eq!(record.id, new[0]);
        }
    }
}

#[tokio::test]
async fn s44_one_key_with_another_request_is_refused() {
    let (store, _) = store();
    create(&store, keyed("key", 1)).await;
    assert_eq!(
        store.create(keyed("key", 2)).await.unwrap(),
        Created::KeyReused
    );
}

#[tokio::test]
async fn s45_one_key_of_two_principals_makes_two_jobs() {
    let (store, _) = store();
    let of = |name: &str| keyed("key", 1).with_principal(Principal::new(name));
    create(&store, of("a")).await;
    create(&store, of("b")).await;
    create(&store, keyed("key", 1)).await;
    assert!(matches!(
        store.create(of("a")).await.unwrap(),
        Created::Existing(_)
    ));
}

#[tokio::test]
async fn a_key_lives_as_long_as_its_job() {
    let (store, clock) = store();
    let first = create(&store, keyed("key", 1)).await;
    store.finish(&first, done(b"")).await.unwrap();
    clock.advance(HOUR - MOMENT);
    let again = store.create(keyed("key", 1)).await.unwrap();
    assert!(matches!(again, Created::Existing(record) if record.state == JobState::Done));
    clock.advance(MOMENT);
    let second = create(&store, keyed("key", 2)).await;
    store.sweep().await.unwrap();
    let again = store.create(keyed("key", 2)).await.unwrap();
    assert!(matches!(again, Created::Existing(record) if record.id == second.id));
    store.cancel(&second.id).await.unwrap();
    store.remove(&second.id).await.unwrap();
    let reused = store.create(keyed("key", 3)).await.unwrap();
    assert!(matches!(reused, Created::KeyReused));
    clock.advance(HOUR);
    create(&store, keyed("key", 3)).await;
}

#[tokio::test]
async fn a_discarded_job_never_was() {
    let (store, _) = store();
    let lease = create(&store, keyed("key", 1)).await;
    store.discard(&lease).await.unwrap();
    store.discard(&lease).await.unwrap();
    assert!(read(&store, &lease.id).await.is_none());
    create(&store, keyed("key", 2)).await;
}

#[tokio::test]
async fn an_ended_job_is_not_discarded() {
    let (store, _) = store();
    let lease = create(&store, job()).await;
    store.cancel(&lease.id).await.unwrap();
    assert!(store.discard(&lease).await.unwrap_err().is_lease_lost());
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Cancelled));
}

#[tokio::test]
async fn s49_a_result_expires_and_is_forgotten_with_and_without_a_sweep() {
    for sweep in [false, true] {
        let (store, clock) = store();
        let retention = Retention::new(HOUR, 2 * HOUR);
        let owner = Principal::new("a");
        let job = job()
            .with_retention(retention)
            .with_principal(owner.clone());
        let lease = create(&store, job).await;
        let report = Report::default().with_partial(json!({"some": "thing"}));
        store.report(&lease, report).await.unwrap();
        store.finish(&lease, done(b"hello")).await.unwrap();
        clock.advance(HOUR - MOMENT);
        assert_eq!(state(&store, &lease.id).await, Some(JobState::Done));
        clock.advance(MOMENT);
        if sweep {
            store.sweep().await.unwrap();
        }
        let record = read(&store, &lease.id).await.unwrap();
        assert_eq!(
            (record.state, &record.outcome),
            (JobState::Expired, &None),
            "{sweep}"
        );
        assert!(record.is_visible_to(Some(&owner)) && !record.is_visible_to(None));
        assert_eq!(record.partial, None);
        let cancelled = store.cancel(&lease.id).await.unwrap();
        assert_eq!(cancelled, Cancellation::Ended(JobState::Expired));
        assert!(!store.extend(&lease.id, HOUR).await.unwrap());
        clock.advance(2 * HOUR);
        if sweep {
            store.sweep().await.unwrap();
        }
        assert!(read(&store, &lease.id).await.is_none());
        assert_eq!(
            store.cancel(&lease.id).await.unwrap(),
            Cancellation::Unknown
        );
    }
}

#[tokio::test]
async fn a_pending_job_never_expires() {
    let (store, clock) = store_with(|builder| builder);
    let lease = create(&store, job()).await;
    clock.advance(HOUR * 24 * 365);
    store.sweep().await.unwrap();
    store.finish(&lease, done(b"")).await.unwrap();
}

#[tokio::test]
async fn a_removed_job_is_unknown() {
    let (store, _) = store();
    let lease = create(&store, job()).await;
    assert!(!store.remove(&lease.id).await.unwrap());
    store.finish(&lease, done(b"")).await.unwrap();
    assert!(store.remove(&lease.id).await.unwrap());
    assert!(!store.remove(&lease.id).await.unwrap());
    assert!(read(&store, &lease.id).await.is_none());
}

#[tokio::test]
async fn s50_an_extended_result_is_kept_and_never_cut_short() {
    let (store, clock) = store();
    let lease = create(&store, job()).await;
    assert!(!store.extend(&lease.id, HOUR).await.unwrap());
    store.finish(&lease, done(b"")).await.unwrap();
    assert!(store.extend(&lease.id, MOMENT).await.unwrap());
    clock.advance(HOUR - MOMENT);
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Done));
    assert!(store.extend(&lease.id, HOUR).await.unwrap());
    clock.advance(HOUR - MOMENT);
    store.sweep().await.unwrap();
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Done));
    clock.advance(MOMENT);
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Expired));
}

#[tokio::test]
async fn s20_a_full_store_refuses_what_is_new_and_keeps_what_is_there() {
    let (store, clock) = store_with(|builder| builder.max_jobs(1));
    let lease = create(&store, job()).await;
    assert!(store.create(job()).await.unwrap_err().is_full());
    store.finish(&lease, done(b"")).await.unwrap();
    assert!(store.create(job()).await.unwrap_err().is_full());
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Done));
    clock.advance(HOUR);
    create(&store, job()).await;
}

#[tokio::test]
async fn s20_a_key_is_answered_though_the_store_is_full() {
    let (store, _) = store_with(|builder| builder.max_jobs(1));
    create(&store, keyed("key", 1)).await;
    assert!(matches!(
        store.create(keyed("key", 1)).await.unwrap(),
        Created::Existing(_)
    ));
}

#[tokio::test]
async fn s20_a_result_without_room_leaves_the_job_pending_and_a_problem_fits() {
    let (store, _) = store_with(|builder| builder.max_bytes(100));
    let lease = create(&store, job()).await;
    assert!(
        store
            .finish(&lease, done(&[0; 100]))
            .await
            .unwrap_err()
            .is_full()
    );
    let report = Report::default().with_partial(json!("x".repeat(100)));
    assert!(store.report(&lease, report).await.unwrap_err().is_full());
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Running));
    store.finish(&lease, failed()).await.unwrap();
    assert_eq!(state(&store, &lease.id).await, Some(JobState::Failed));
}

#[tokio::test]
async fn room_is_given_back() {
    let (store, clock) = store_with(|builder| builder.max_jobs(1).max_bytes(1000));
    for round in 0..50 {
        let lease = create(&store, replayable()).await;
        for part in 0..3 {
            let report = Report::default().with_partial(json!("x".repeat(100 + part)));
            store.report(&lease, report).await.unwrap();
        }
        match round % 5 {
            0 => store.discard(&lease).await.unwrap(),
            1 => {
                store.cancel(&lease.id).await.unwrap();
                store.remove(&lease.id).await.unwrap();
            }
            2 => {
                store.finish(&lease, failed()).await.unwrap();
                store.remove(&lease.id).await.unwrap();
            }
            _ => {
                store.finish(&lease, done(&[0; 700])).await.unwrap();
                clock.advance(HOUR);
            }
        }
    }
}

#[tokio::test]
async fn tombstones_are_limited_and_the_oldest_forgotten_first() {
    let (store, clock) = store_with(|builder| builder.max_tombstones(2).shards(1));
    let mut ids = Vec::new();
    for _ in 0..4 {
        let lease = create(&store, job()).await;
        store.finish(&lease, done(b"")).await.unwrap();
        ids.push(lease.id);
        clock.advance(Duration::from_secs(1));
    }
    clock.advance(HOUR);
    store.sweep().await.unwrap();
    let mut states = Vec::new();
    for id in &ids {
        states.push(state(&store, id).await);
    }
    assert_eq!(
        states,
        [None, None, Some(JobState::Expired), Some(JobState::Expired)]
    );
}

#[tokio::test]
async fn a_sweep_says_when_to_come_again() {
    let (store, clock) = store();
    assert_eq!(store.sweep().await.unwrap().next, None);
    let retention = Retention::new(Duration::from_secs(9), Duration::from_secs(8));
    let lease = create(&store, job().with_retention(retention)).await;
    assert_eq!(store.sweep().await.unwrap().next, Some(LEASE));
    store.finish(&lease, done(b"")).await.unwrap();
    assert_eq!(
        store.sweep().await.unwrap().next,
        Some(Duration::from_secs(9))
    );
    clock.advance(Duration::from_secs(9));
    assert_eq!(
        store.sweep().await.unwrap().next,
        Some(Duration::from_secs(8))
    );
    clock.advance(Duration::from_secs(8));
    assert_eq!(store.sweep().await.unwrap().next, None);
}

#[tokio::test]
async fn a_backlog_is_swept_in_parts_and_claimed_once_each() {
    let (store, clock) = store();
    for _ in 0..40_000 {
        create(&store, replayable()).await;
    }
    clock.advance(LEASE);
    assert_eq!(store.sweep().await.unwrap().next, Some(Duration::ZERO));
    while store.sweep().await.unwrap().next == Some(Duration::ZERO) {}
    let mut claimed = std::collections::HashSet::new();
    loop {
        let claims = store.claim(&ClaimQuery::new(1000)).await.unwrap().jobs;
        assert!(claims.len() <= 1000);
        if claims.is_empty() {
            break;
        }
        claimed.extend(claims.iter().map(|claim| claim.lease.id));
    }
    assert_eq!(claimed.len(), 40_000);
}

#[tokio::test]
async fn operators_find_a_job_by_its_handle() {
    let (store, _) = store();
    let job = job();
    let handle = job.handle;
    let lease = create(&store, job).await;
    assert_eq!(store.find(handle).await.unwrap(), Some(lease.id));
    assert_eq!(store.find(JobHandle::random()).await.unwrap(), None);
    store.discard(&lease).await.unwrap();
    assert_eq!(store.find(handle).await.unwrap(), None);
}

#[tokio::test]
async fn a_list_has_every_job_once() {
    let (store, _) = store();
    let mut made = std::collections::HashSet::new();
    for _ in 0..25 {
        made.insert(create(&store, job()).await.id);
    }
    let mut query = JobQuery::default().with_limit(10);
    let (mut sizes, mut listed, mut places) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let page = store.list(&query).await.unwrap();
        sizes.push(page.jobs.len());
        listed.extend(page.jobs.iter().map(|record| record.id));
        places.extend(
            page.jobs
                .iter()
                .map(|record| (record.created, record.handle)),
        );
        let Some(next) = page.next else { break };
        query = query.with_after(next);
    }
    assert_eq!(sizes, [10, 10, 5]);
    assert_eq!(
        listed.into_iter().collect::<std::collections::HashSet<_>>(),
        made
    );
    assert!(places.is_sorted_by(|one, next| one > next), "newest first");
}

#[tokio::test]
async fn a_list_is_filtered_by_state_and_route() {
    let (store, _) = store();
    let running = create(&store, job().with_route("/a")).await;
    let ended = create(&store, job().with_route("/b")).await;
    store.finish(&ended, done(b"")).await.unwrap();
    for (query, expected) in [
        (
            JobQuery::default().with_state(JobState::Running),
            running.id,
        ),
        (JobQuery::default().with_state(JobState::Done), ended.id),
        (JobQuery::default().with_route("/b"), ended.id),
    ] {
        let ids: Vec<_> = store
            .list(&query)
            .await
            .unwrap()
            .jobs
            .iter()
            .map(|record| record.id)
            .collect();
        assert_eq!(ids, [expected], "{query:?}");
    }
}

#[tokio::test]
async fn nothing_happens_until_a_future_is_polled() {
    let (store, _) = store();
    let job = job();
    let id = job.id;
    drop(store.create(job));
    assert!(read(&store, &id).await.is_none());
}
