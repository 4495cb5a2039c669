//! Stores with limits: new data is refused, and existing data stays.

use http_polling::JobState;
use serde_json::json;
use tower_async_job_core::{Report, Retention};

use crate::{
    harness::{Harness, Limits},
    node::*,
};

pub(crate) async fn s20_a_full_store_refuses_new_jobs_and_keeps_existing_ones(
    harness: &dyn Harness,
) -> Ran {
    let limited = harness.limited(Limits::new().with_jobs(1)).await?;
    let node = Node::of(&*limited);
    let lease = node.add(node.job()).await;
    assert!(node.create(node.job()).await.unwrap_err().is_full());
    node.end(&lease, done(b"")).await.unwrap();
    assert!(node.create(node.job()).await.unwrap_err().is_full());
    assert_eq!(node.state(&lease.id).await, Some(JobState::Done));
    limited.advance(HOUR).await?;
    node.add(node.job()).await;
    Ok(())
}

pub(crate) async fn s20_a_full_store_answers_known_keys(harness: &dyn Harness) -> Ran {
    let limited = harness.limited(Limits::new().with_jobs(1)).await?;
    let node = Node::of(&*limited);
    let first = node.add(node.keyed("key", 1)).await;
    assert_eq!(node.add_again(node.keyed("key", 1)).await.id, first.id);
    Ok(())
}

pub(crate) async fn s20_a_result_without_room_leaves_the_job_pending_and_a_problem_fits(
    harness: &dyn Harness,
) -> Ran {
    let limited = harness.limited(Limits::new().with_bytes(1000)).await?;
    let node = Node::of(&*limited);
    let lease = node.add(node.job()).await;
    let full = node.end(&lease, done(&[0; 1000])).await;
    assert!(full.unwrap_err().is_full());
    let report = Report::default().with_partial(json!("x".repeat(1000)));
    assert!(node.report(&lease, report).await.unwrap_err().is_full());
    assert_eq!(node.state(&lease.id).await, Some(JobState::Running));
    node.end(&lease, failed()).await.unwrap();
    assert_eq!(node.state(&lease.id).await, Some(JobState::Failed));
    Ok(())
}

pub(crate) async fn room_is_free_again_after_its_data_is_gone(harness: &dyn Harness) -> Ran {
    let limits = Limits::new().with_jobs(1).with_bytes(1000);
    let limited = harness.limited(limits).await?;
    let node = Node::of(&*limited);
    for round in 0..50 {
        let lease = node.add(node.replayable()).await;
        for part in 0..3 {
            let report = Report::default().with_partial(json!("x".repeat(100 + part)));
            node.report(&lease, report).await.unwrap();
        }
        match round % 5 {
            0 => node.discard(&lease).await.unwrap(),
            1 => {
                node.cancel(&lease.id).await.unwrap();
                node.remove(&lease.id).await.unwrap();
            }
            2 => {
                node.end(&lease, failed()).await.unwrap();
                node.remove(&lease.id).await.unwrap();
            }
            _ => {
                node.end(&lease, done(&[0; 700])).await.unwrap();
                limited.advance(HOUR).await?;
            }
        }
    }
    Ok(())
}

pub(crate) async fn expired_results_make_room_for_a_large_one(harness: &dyn Harness) -> Ran {
    let limited = harness.limited(Limits::new().with_bytes(100_000)).await?;
    let node = Node::of(&*limited);
    let short = Retention::new(SECOND, HOUR);
    for _ in 0..90 {
        node.add_ended(node.job().with_retention(short), 1000).await;
    }
    let lease = node.add(node.job()).await;
    limited.advance(2 * SECOND).await?;
    node.end(&lease, done(&[7; 50_000])).await.unwrap();
    Ok(())
}
