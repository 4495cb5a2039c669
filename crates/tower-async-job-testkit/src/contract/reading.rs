//! Reports and checkpoints, and reading jobs.

use http_polling::Progress;
use serde_json::json;
use tower_async_job_core::{
    Detail, JobId, Outcome, Principal, RecordedOutcome, Report, Retention, Start,
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
