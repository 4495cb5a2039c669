//! Ends: finishing and cancelling.

use http_polling::{JobState, Problem, ProblemType, Progress};
use serde_json::json;
use tower_async_job_core::{
    Call, Cancellation, Created, Detail, End, Lease, Outcome, RecordedOutcome, Renewal, Report,
    Start,
};

use crate::{
    faulty::{Fault, FaultyStore},
    harness::Harness,
    node::*,
};

pub(crate) async fn the_outcome_is_read_in_full_detail_only(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
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

pub(crate) async fn s10_finish_is_repeated_by_epoch_and_state_with_and_without_reports(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let report = |part| Report::default().with_partial(json!(part));
    for last in [None, Some(report(1))] {
        let lease = node.add(node.job()).await;
        let mut end = End::from(done(b"once"));
        end.report = last;
        node.end(&lease, end.clone()).await.unwrap();
        let before = node.known(&lease.id).await;
        for repeated in [
            end,
            done(b"once").into(),
            End::from(done(b"twice")).with_report(report(2)),
        ] {
            node.end(&lease, repeated).await.unwrap();
            assert_eq!(node.known(&lease.id).await, before);
        }
        node.end_is_fenced(&lease, failed()).await;
        let other = Lease::new(lease.id, lease.epoch + 1);
        node.end_is_fenced(&other, done(b"once")).await;
        assert_eq!(node.known(&lease.id).await, before);
    }
    Ok(())
}

pub(crate) async fn s10_a_failed_end_can_be_repeated(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let timed_out = || Outcome::TimedOut(Problem::new(ProblemType::JobTimedOut));
    for (first, other) in [
        (failed as fn() -> Outcome, timed_out as fn() -> Outcome),
        (timed_out, failed),
    ] {
        let lease = node.add(node.job()).await;
        node.end(&lease, first()).await.unwrap();
        let before = node.known(&lease.id).await;
        node.end(&lease, first()).await.unwrap();
        node.end_is_fenced(&lease, other()).await;
        node.end_is_fenced(&lease, done(b"")).await;
        assert_eq!(node.known(&lease.id).await, before);
    }
    Ok(())
}

pub(crate) async fn a_run_that_ends_as_lost_has_its_problem(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let problem = Problem::new(ProblemType::JobLost).with_detail("it may not be repeated");
    let lost = || Outcome::Lost(problem.clone());
    let lease = node.add(node.replayable()).await;
    node.end(&lease, lost()).await.unwrap();
    let known = node.known(&lease.id).await;
    let expected = RecordedOutcome::Problem(Box::new(problem.clone()));
    assert_eq!(
        (known.state, known.outcome),
        (JobState::Lost, Some(expected))
    );
    node.end(&lease, lost()).await.unwrap();
    node.end_is_fenced(&lease, failed()).await;
    harness.advance(node.lease()? + SECOND).await?;
    node.sweep_all().await;
    node.claim_none().await;
    Ok(())
}

pub(crate) async fn s10_finish_is_not_repeated_once_its_outcome_is_gone(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let lease = node.add_ended(node.job(), 4).await;
    harness.advance(HOUR).await?;
    node.sweep_all().await;
    node.end_is_fenced(&lease, done(b"once")).await;
    assert_eq!(node.state(&lease.id).await, Some(JobState::Expired));
    Ok(())
}

pub(crate) async fn s10_a_finish_of_unknown_outcome_is_repeated(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    for fault in [Fault::Unavailable, Fault::Unacknowledged] {
        let faulty = FaultyStore::new(harness.store());
        faulty.next(Call::Finish, fault);
        let lease = node.add(node.job()).await;
        let store = faulty.store();
        let unknown = store.finish(&lease, done(b"once").into()).await;
        assert!(unknown.unwrap_err().is_unavailable());
        store.finish(&lease, done(b"once").into()).await.unwrap();
        let expected = RecordedOutcome::Response(response(b"once"));
        assert_eq!(node.known(&lease.id).await.outcome, Some(expected));
    }
    Ok(())
}

pub(crate) async fn finish_stores_the_last_report_in_the_same_step(harness: &dyn Harness) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    for _ in 0..20 {
        let lease = node.add(node.job()).await;
        let first = Report::default()
            .with_progress(Progress::of(1, 4))
            .with_partial(json!([1]));
        node.say(&lease, first).await;
        let watching = {
            let other = other.clone();
            tokio::spawn(async move {
                loop {
                    let record = other.known(&lease.id).await;
                    let last = record.partial == Some(json!([1, 2]).into());
                    assert_eq!(last, record.state.is_final(), "{record:?}");
                    if last {
                        return record;
                    }
                    tokio::task::yield_now().await;
                }
            })
        };
        tokio::task::yield_now().await;
        let last = Report::default().with_partial(json!([1, 2]));
        let end = End::from(done(b"")).with_report(last);
        node.end(&lease, end).await.unwrap();
        let record = watching.await.unwrap();
        assert_eq!(record.progress, Some(Progress::of(1, 4)));
    }
    Ok(())
}

pub(crate) async fn s11_a_cancelled_job_keeps_no_last_report(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    node.cancel(&lease.id).await.unwrap();
    let before = node.known(&lease.id).await;
    let late = Report::default().with_partial(json!("late"));
    let end = End::from(done(b"late")).with_report(late);
    node.end_is_fenced(&lease, end).await;
    assert_eq!(node.known(&lease.id).await, before);
    Ok(())
}

pub(crate) async fn answers_and_records_show_the_same_times(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let job = node.job();
    let created = match node.create(job.clone()).await.unwrap() {
        Created::New { created, .. } => created,
        other => panic!("{other:?}"),
    };
    assert_eq!(node.known(&job.id).await.created, created);
    harness.advance(3 * SECOND).await?;
    match node.create(job.clone()).await.unwrap() {
        Created::New { created: again, .. } => assert_eq!(again, created),
        other => panic!("{other:?}"),
    }
    let Cancellation::Cancelled { ended } = node.cancel(&job.id).await.unwrap() else {
        panic!("it was pending");
    };
    assert_eq!(node.known(&job.id).await.ended, Some(ended));
    Ok(())
}

pub(crate) async fn s11_cancel_beats_finish(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    let cancelled = node.cancel(&lease.id).await.unwrap();
    assert!(matches!(cancelled, Cancellation::Cancelled { .. }));
    node.end_is_fenced(&lease, done(b"late")).await;
    assert_eq!(node.renew(&[lease]).await.unwrap(), [Renewal::Cancelled]);
    let record = node.known(&lease.id).await;
    assert_eq!((record.state, record.outcome), (JobState::Cancelled, None));
    let again = node.cancel(&lease.id).await.unwrap();
    assert_eq!(again, Cancellation::Ended(JobState::Cancelled));
    Ok(())
}

pub(crate) async fn s12_cancel_after_done_leaves_the_result(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    node.end(&lease, done(b"kept")).await.unwrap();
    let before = node.known(&lease.id).await;
    let answer = node.cancel(&lease.id).await.unwrap();
    assert_eq!(answer, Cancellation::Ended(JobState::Done));
    assert_eq!(node.known(&lease.id).await, before);
    Ok(())
}

pub(crate) async fn s13_a_queued_job_is_cancelled_too(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.replayable().with_start(Start::Queued)).await;
    let cancelled = node.cancel(&lease.id).await.unwrap();
    assert!(matches!(cancelled, Cancellation::Cancelled { .. }));
    assert_lost(node.start(&lease).await);
    harness.advance(node.lease()?).await?;
    node.claim_none().await;
    Ok(())
}

pub(crate) async fn s13_a_cancel_is_seen_on_another_node_before_it_returns(
    harness: &dyn Harness,
) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let lease = node.add(node.job()).await;
    assert_eq!(other.state(&lease.id).await, Some(JobState::Running));
    other.cancel(&lease.id).await.unwrap();
    assert_eq!(node.state(&lease.id).await, Some(JobState::Cancelled));
    node.end_is_fenced(&lease, done(b"late")).await;
    Ok(())
}
