//! Reports and checkpoints, and reading jobs.

use std::time::Duration;

use http_polling::Progress;
use serde_json::json;
use tower_async_job_core::{
    Detail, JobId, Outcome, Outside, Principal, RecordedOutcome, Release, Renewal, Report,
    Retention, Start,
};

use crate::{harness::Harness, node::*};

pub(crate) async fn a_report_changes_only_the_fields_that_it_has(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    let first = Report::default()
        .with_progress(Progress::of(1, 4))
        .with_partial(json!([1]));
    node.report(&lease, first).await.unwrap();
    let second = Report::default().with_partial(json!([1, 2]));
    node.report(&lease, second).await.unwrap();
    let record = node.known(&lease.id).await;
    assert_eq!(record.progress, Some(Progress::of(1, 4)));
    assert_eq!(record.partial, Some(json!([1, 2]).into()));
    Ok(())
}

pub(crate) async fn a_report_is_read_on_another_node(harness: &dyn Harness) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let lease = node.add(node.job()).await;
    for done in 1..4 {
        let report = Report::default()
            .with_progress(Progress::of(done, 4))
            // The one character that some databases refuse in JSON text.
            .with_partial(json!({ "text": format!("{done}\u{0}ä") }));
        node.report(&lease, report.clone()).await.unwrap();
        let record = other.known(&lease.id).await;
        assert_eq!(record.progress, report.progress);
        assert_eq!(record.partial, report.partial);
    }
    Ok(())
}

pub(crate) async fn an_immediate_read_answers_as_read_does(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let step = node.lease()? / 2;
    let owned = node
        .job()
        .with_route("/reports")
        .with_principal(Principal::new("a"));
    let retention = Retention::new(step, HOUR);
    let lease = node.add(owned).await;
    let queued = node.add(node.job().with_start(Start::Queued)).await;
    let ended = node
        .add_ended(node.job().with_retention(retention), 1)
        .await;
    let failing = node.add(node.job()).await;
    let report = Report::default()
        .with_progress(Progress::fraction(0.5))
        .with_partial(json!({ "rows": [1, 2] }));
    node.report(&lease, report).await.unwrap();
    node.end(&failing, failed()).await.unwrap();
    let ids = [lease.id, queued.id, ended.id, failing.id, JobId::random()];

    for _ in 0..4 {
        let mut known = 0;
        for id in &ids {
            for detail in [Detail::Status, Detail::Full] {
                let later = node.read(id, detail).await.unwrap();
                known += usize::from(later.is_some());
                if let Some(now) = node.read_now(id, detail) {
                    assert_eq!(now.unwrap(), later);
                }
                assert_eq!(node.read(id, detail).await.unwrap(), later);
            }
        }
        assert_eq!(known, 8);
        harness.advance(step).await?;
        node.sweep_all().await;
    }
    harness.advance(HOUR * 3).await?;
    assert_eq!(node.record(&ended.id).await, None);
    Ok(())
}

pub(crate) async fn the_length_of_a_body_is_read_in_every_detail(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    assert_eq!(node.known(&lease.id).await.result, None);
    node.end(&lease, done(b"hello")).await.unwrap();
    for detail in [Detail::Status, Detail::Head, Detail::Full] {
        let record = node.read(&lease.id, detail).await.unwrap().unwrap();
        assert_eq!(
            record.result.map(|result| result.len),
            Some(5),
            "{detail:?}"
        );
        match (detail, record.outcome) {
            (Detail::Status, None)
            | (Detail::Head, Some(RecordedOutcome::Head(_)))
            | (Detail::Head | Detail::Full, Some(RecordedOutcome::Response(_))) => {}
            other => panic!("{other:?}"),
        }
    }
    let lease = node.add(node.job()).await;
    node.end(&lease, failed()).await.unwrap();
    let record = node.known(&lease.id).await;
    assert_eq!(record.result, None);
    let Outcome::Failed(problem) = failed() else {
        unreachable!("it is a failure")
    };
    let expected = RecordedOutcome::Problem(Box::new(problem));
    assert_eq!(record.outcome, Some(expected));
    Ok(())
}

async fn lease_remaining(node: &Node, id: &JobId) -> Option<Duration> {
    node.known(id).await.lease_remaining
}

pub(crate) async fn the_rest_of_a_lease_is_read_while_a_node_has_the_job(
    harness: &dyn Harness,
) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let until = node.lease()?;
    let first = node.add(node.replayable()).await;
    let id = first.id;
    assert_eq!(lease_remaining(&other, &id).await, Some(until));
    let waiting = node.add(node.job().with_start(Start::Queued)).await.id;
    assert_eq!(lease_remaining(&other, &waiting).await, Some(until));

    // Reports are no renewals.
    harness.advance(SECOND).await?;
    node.say(&first, Report::default().with_progress(Progress::of(1, 2)))
        .await;
    assert_eq!(lease_remaining(&other, &id).await, Some(until - SECOND));
    assert_eq!(node.renew(&[first]).await.unwrap(), [Renewal::Held]);
    assert_eq!(lease_remaining(&other, &id).await, Some(until));
    harness.advance(until - MOMENT).await?;
    assert_eq!(lease_remaining(&other, &id).await, Some(MOMENT));
    for past in [MOMENT, SECOND] {
        harness.advance(past).await?;
        assert_eq!(lease_remaining(&other, &id).await, Some(Duration::ZERO));
    }

    let second = node.claim_one().await.lease;
    assert_eq!(
        (second.id, lease_remaining(&other, &id).await),
        (id, Some(until))
    );
    node.release_one(&second, Release::default()).await;
    assert_eq!(lease_remaining(&other, &id).await, None);
    let third = node.claim_one().await.lease;
    node.end(&third, done(b"")).await.unwrap();
    assert_eq!(lease_remaining(&other, &id).await, None);
    let offered = node.offer(node.replayable()).await;
    assert_eq!(lease_remaining(&other, &offered).await, None);
    Ok(())
}

pub(crate) async fn the_rest_of_a_lease_is_not_read_while_an_outside_party_has_the_job(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let lease = node.add(node.replayable()).await;
    let outside = Outside::new("token", HOUR / 2);
    node.release_one(&lease, Release::default().with_outside(outside))
        .await;
    assert_eq!(lease_remaining(&node, &lease.id).await, None);
    let resumed = node.resume(&lease.id, &outside.token).await.unwrap();
    assert_eq!(lease_remaining(&node, &lease.id).await, Some(until));
    let again = resumed.expect("the party's run").lease;
    node.release_one(&again, Release::default()).await;
    assert_eq!(lease_remaining(&node, &lease.id).await, None);
    Ok(())
}

pub(crate) async fn s15_the_rest_of_a_lease_follows_jumps_of_the_clock(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    harness.advance(HOUR).await?;
    let lease = node.add(node.job()).await;
    // A store may notice the jump between two sweeps, which happen at least once per lease.
    node.sweep_all().await;
    harness.jump_back(HOUR).await?;
    node.sweep_all().await;
    let rest = lease_remaining(&node, &lease.id).await;
    assert!(rest.is_some_and(|rest| rest <= until), "{rest:?}");
    harness.advance(SECOND).await?;
    assert_eq!(node.renew(&[lease]).await.unwrap(), [Renewal::Held]);
    assert_eq!(lease_remaining(&node, &lease.id).await, Some(until));
    Ok(())
}
