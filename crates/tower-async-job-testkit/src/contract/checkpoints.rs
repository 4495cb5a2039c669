//! Checkpoints: the private notes of a run.

use http_polling::Progress;
use tower_async_job_core::{Detail, Release, Report};

use crate::{harness::Harness, node::*};

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
    node.release_one(&claim.lease, Release::default()).await;
    let claim = node.claim_one().await;
    assert_eq!(claim.checkpoint, "second");
    harness.advance(node.lease()? + 2 * SECOND).await?;
    node.sweep_all().await;
    let claim = node.claim_one().await;
    assert_eq!(claim.checkpoint, "second");
    node.say(&claim.lease, note("")).await;
    node.release_one(&claim.lease, Release::default()).await;
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

pub(crate) async fn a_checkpoint_is_not_in_the_record(harness: &dyn Harness) -> Ran {
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
