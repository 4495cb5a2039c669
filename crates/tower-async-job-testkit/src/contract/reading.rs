//! Reports and checkpoints, and reading jobs.

use http_polling::Progress;
use serde_json::json;
use tower_async_job_core::{
    Detail, End, JobId, Outcome, Principal, RecordedOutcome, Release, Report, Retention, Start,
};

use crate::{harness::Harness, node::*};

pub(crate) async fn a_report_leaves_what_it_does_not_say(harness: &dyn Harness) -> Ran {
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
            // The one character that some databases refuse in a JSON text.
            .with_partial(json!({ "text": format!("{done}\u{0}ä") }));
        node.report(&lease, report.clone()).await.unwrap();
        let record = other.known(&lease.id).await;
        assert_eq!(record.progress, report.progress);
        assert_eq!(record.partial, report.partial);
    }
    Ok(())
}

pub(crate) async fn reading_at_once_agrees_with_reading(harness: &dyn Harness) -> Ran {
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

pub(crate) async fn the_version_rises_with_each_change_that_a_record_shows(
    harness: &dyn Harness,
) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let first = node.add(node.replayable().with_start(Start::Queued)).await;
    let mut version = node.known(&first.id).await.version;
    let mut rises = async |change: &str| {
        let record = other.known(&first.id).await;
        assert!(record.version > version, "{change}: {}", record.version);
        assert!(record.version < 1 << 53);
        version = record.version;
        harness.advance(SECOND).await?;
        let later = other.known(&first.id).await;
        assert_eq!(later.version, version, "time changes no version");
        Ran::Ok(())
    };
    let progress = |done| Report::default().with_progress(Progress::of(done, 4));
    node.start(&first).await.unwrap();
    rises("start").await?;
    for done in 1..3 {
        node.say(&first, progress(done)).await;
        rises("report").await?;
    }
    node.hand_back(&first, Release::default()).await;
    rises("release").await?;
    let second = node.claim_one().await.lease;
    rises("claim").await?;
    node.say(&second, progress(1)).await;
    rises("report of the second run").await?;
    harness.advance(node.lease()?).await?;
    node.sweep_all().await;
    rises("lapse").await?;
    let third = node.claim_one().await.lease;
    rises("claim").await?;
    let end = End::from(done(b"")).with_report(progress(4));
    node.end(&third, end.clone()).await.unwrap();
    rises("finish").await?;
    let before = node.known(&first.id).await;
    node.end(&third, end).await.unwrap();
    assert_eq!(node.known(&first.id).await, before);
    Ok(())
}

pub(crate) async fn the_version_rises_with_a_cancel(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    let before = node.known(&lease.id).await.version;
    node.cancel(&lease.id).await.unwrap();
    assert!(node.known(&lease.id).await.version > before);
    Ok(())
}

pub(crate) async fn a_checkpoint_is_given_to_the_next_claim(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.replayable().with_max_attempts(9)).await;
    let note = |note: &'static str| Report::default().with_checkpoint(note);
    node.say(&lease, note("first")).await;
    node.say(&lease, note("second")).await;
    let other = Report::default().with_progress(Progress::of(1, 2));
    node.say(&lease, other).await;
    harness.advance(node.lease()?).await?;
    let claim = node.claim_one().await;
    assert_eq!(claim.checkpoint, "second");
    node.hand_back(&claim.lease, Release::default()).await;
    let claim = node.claim_one().await;
    assert_eq!(claim.checkpoint, "second");
    harness.advance(node.lease()?).await?;
    node.sweep_all().await;
    let claim = node.claim_one().await;
    assert_eq!(claim.checkpoint, "second");
    node.say(&claim.lease, note("")).await;
    node.hand_back(&claim.lease, Release::default()).await;
    assert_eq!(node.claim_one().await.checkpoint, "");
    Ok(())
}

pub(crate) async fn a_job_without_checkpoint_is_claimed_with_an_empty_one(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    node.offer(node.replayable()).await;
    assert_eq!(node.claim_one().await.checkpoint, "");
    Ok(())
}

pub(crate) async fn a_checkpoint_is_shown_to_no_reader(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    let report = Report::default().with_checkpoint("a secret handle");
    node.say(&lease, report).await;
    for detail in [Detail::Status, Detail::Head, Detail::Full] {
        let record = node.read(&lease.id, detail).await.unwrap().unwrap();
        assert_eq!((&record.partial, &record.metadata), (&None, &None));
        assert_eq!(record.progress, None);
        assert!(!format!("{record:?}").contains("secret"));
    }
    Ok(())
}
