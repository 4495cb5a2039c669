//! Results in chunks, for stores that have them.

use bytes::Bytes;
use http_polling::JobState;
use tower_async_job_core::{
    CHUNKS_LINGER, Detail, Lease, Outcome, RecordedOutcome, ResultRef, Retention,
};

use crate::{
    harness::{Harness, NotRun},
    node::*,
};

/// Returns the chunk with this index, of the run with this mark.
fn chunk(size: usize, index: u32, mark: u8) -> Bytes {
    let mut chunk = vec![mark; size];
    chunk[0] = index as u8;
    chunk.into()
}

fn size(node: &Node) -> Result<usize, NotRun> {
    let whole = NotRun::because("the store has no chunks");
    node.properties().chunk.ok_or(whole)
}

/// Writes three chunks, the last of which is short.
async fn write(node: &Node, lease: &Lease, mark: u8) -> Result<Outcome, NotRun> {
    let size = size(node)?;
    for (index, size) in [(0, size), (1, size), (2, 10)] {
        let data = chunk(size, index, mark);
        node.write_chunk(lease, index, data).await.unwrap();
    }
    Ok(Outcome::Streamed {
        head: response(b""),
        chunks: 3,
        len: 2 * size as u64 + 10,
    })
}

async fn assert_whole(node: &Node, result: &ResultRef, mark: u8) -> Ran {
    let size = size(node)?;
    assert_eq!((result.chunks, result.len), (Some(3), 2 * size as u64 + 10));
    for (index, size) in [(0, size), (1, size), (2, 10)] {
        let data = node.read_chunk(result, index).await.unwrap();
        assert_eq!(data, Some(chunk(size, index, mark)), "{index}");
    }
    assert_eq!(node.read_chunk(result, 3).await.unwrap(), None);
    Ok(())
}

async fn result(node: &Node, lease: &Lease) -> ResultRef {
    let record = node.known(&lease.id).await;
    assert_eq!(record.state, JobState::Done);
    record.result.expect("a body")
}

pub(crate) async fn a_result_in_chunks_is_visible_once_its_job_is_done(
    harness: &dyn Harness,
) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let lease = node.add(node.job()).await;
    let streamed = write(&node, &lease, 7).await?;
    assert_eq!(other.known(&lease.id).await.result, None);
    node.end(&lease, streamed.clone()).await.unwrap();
    node.end(&lease, streamed).await.unwrap();
    let found = result(&other, &lease).await;
    assert_whole(&other, &found, 7).await?;
    let record = node.known(&lease.id).await;
    let head = RecordedOutcome::Head(response(b""));
    assert_eq!(record.outcome, Some(head));
    let status = node.read(&lease.id, Detail::Status).await.unwrap().unwrap();
    assert_eq!((status.result, status.outcome), (Some(found), None));
    Ok(())
}

pub(crate) async fn s07_chunks_of_a_stale_run_are_never_read(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let stale = node.add(node.replayable()).await;
    write(&node, &stale, 1).await?;
    harness.advance(node.lease()?).await?;
    let claim = node.claim_one().await;
    let streamed = write(&node, &claim.lease, 2).await?;
    let late = chunk(size(&node)?, 1, 1);
    assert_lost(node.write_chunk(&stale, 1, late.clone()).await);
    node.end(&claim.lease, streamed).await.unwrap();
    assert_lost(node.write_chunk(&stale, 1, late).await);
    assert_whole(&node, &result(&node, &claim.lease).await, 2).await
}

pub(crate) async fn a_chunk_that_is_written_again_is_replaced(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    write(&node, &lease, 1).await?;
    let streamed = write(&node, &lease, 2).await?;
    node.end(&lease, streamed).await.unwrap();
    assert_whole(&node, &result(&node, &lease).await, 2).await
}

pub(crate) async fn s50_chunks_outlive_expiry_and_removal_while_they_are_read(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    for removed in [true, false] {
        let retention = Retention::new(HOUR, HOUR * 9);
        let lease = node.add(node.job().with_retention(retention)).await;
        let streamed = write(&node, &lease, 3).await?;
        node.end(&lease, streamed).await.unwrap();
        let found = result(&node, &lease).await;
        if removed {
            assert!(node.remove(&lease.id).await.unwrap());
        } else {
            harness.advance(HOUR).await?;
        }
        for _ in 0..3 {
            node.sweep_all().await;
            assert_whole(&node, &found, 3).await?;
            harness.advance(CHUNKS_LINGER - SECOND).await?;
        }
        harness.advance(2 * SECOND).await?;
        node.sweep_all().await;
        assert_eq!(node.read_chunk(&found, 0).await.unwrap(), None);
    }
    Ok(())
}

pub(crate) async fn s06_chunks_of_a_run_that_never_ended_are_collected(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let before = node.usage();
    let lease = node.add(node.job()).await;
    write(&node, &lease, 4).await?;
    harness.advance(node.lease()?).await?;
    node.sweep_all().await;
    assert_eq!(node.state(&lease.id).await, Some(JobState::Lost));
    harness.advance(3 * HOUR).await?;
    node.sweep_all().await;
    assert_eq!(node.usage(), before);
    Ok(())
}
