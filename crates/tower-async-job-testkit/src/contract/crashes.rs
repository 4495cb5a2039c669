//! Crashes of the store's process: acknowledged changes survive.

use http_polling::{JobState, Progress};
use serde_json::json;
use tower_async_job_core::{Created, RecordedOutcome, Report};

use crate::{harness::Harness, node::*};

pub(crate) async fn s02_jobs_that_were_acknowledged_outlive_a_crash(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let running = node.add(node.replayable()).await;
    let report = Report::default()
        .with_progress(Progress::of(1, 4))
        .with_partial(json!([1]))
        .with_checkpoint("note");
    node.say(&running, report).await;
    let before = node.known(&running.id).await;
    let offered = node.offer(node.replayable()).await;
    let node = Node::after_crash(harness).await?;
    assert_eq!(node.known(&running.id).await, before);
    assert!(node.renew(&[running]).await.unwrap()[0].is_held());
    assert_eq!(node.state(&offered).await, Some(JobState::Queued));
    assert_eq!(node.claim_one().await.lease.id, offered);
    node.end(&running, done(b"")).await.unwrap();
    Ok(())
}

pub(crate) async fn s02_results_and_keys_that_were_acknowledged_outlive_a_crash(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let cancelled = node.add(node.job()).await;
    node.cancel(&cancelled.id).await.unwrap();
    let lease = node.add(node.keyed("key", 1)).await;
    node.end(&lease, done(b"kept")).await.unwrap();
    let node = Node::after_crash(harness).await?;
    assert_eq!(node.state(&cancelled.id).await, Some(JobState::Cancelled));
    let record = node.known(&lease.id).await;
    let expected = RecordedOutcome::Response(response(b"kept"));
    assert_eq!(record.outcome, Some(expected));
    let found = node.create(node.keyed("key", 1)).await.unwrap();
    assert!(matches!(found, Created::Existing(record) if record.id == lease.id));
    node.end(&lease, done(b"kept")).await.unwrap();
    Ok(())
}

pub(crate) async fn s80_jobs_whose_node_died_with_the_store_are_swept_after_it(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let (again, lost) = (
        node.add(node.replayable()).await,
        node.add(node.job()).await,
    );
    let node = Node::after_crash(harness).await?;
    harness.advance(until).await?;
    node.sweep_all().await;
    assert_eq!(node.state(&again.id).await, Some(JobState::Queued));
    assert_eq!(node.state(&lost.id).await, Some(JobState::Lost));
    assert_eq!(node.claim_one().await.attempt, 2);
    Ok(())
}
