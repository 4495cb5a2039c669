//! Stores that fail in the middle of a result in chunks.

use std::sync::Arc;

use crate::{
    assert_problem, faulty,
    support::{
        self, Body, SECOND, ask, eager,
        faulty::{Fault, FaultyStore, Op},
        get, handler, memory, slow,
    },
};
use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use http_body_util::BodyExt;
use tokio::time::sleep;
use tower::ServiceExt;
use tower_async_job::{
    AsyncJobLayer,
    store::{JobStore, Lease, StoreFuture, SweepQuery},
};
use tower_async_job_testkit::{Interpose, Interposed};

const CHUNK: usize = 64 << 10;

fn store() -> Arc<FaultyStore> {
    Arc::new(FaultyStore::new(memory().chunk_size(CHUNK).build()))
}

/// Submits to a handler that answers with five chunks after a second; returns the job's URL.
async fn submit(layer: &AsyncJobLayer) -> String {
    let large = handler(|_| async {
        sleep(SECOND).await;
        Response::new(Body::from(vec![b'x'; 5 * CHUNK]))
    });
    crate::submit(layer, large).await
}

#[tokio::test(start_paused = true)]
async fn s19_chunk_is_written_again_while_the_store_is_out_of_reach() {
    let store = store();
    store.plan(Op::WriteChunk, Fault::None, 1);
    store.plan(Op::WriteChunk, Fault::Unavailable, 3);
    store.plan(Op::WriteChunk, Fault::Unacknowledged, 1);
    let layer = eager(faulty(&store));
    let location = submit(&layer).await;
    sleep(10 * SECOND).await;
    assert_eq!(
        ask(&layer, get(&location)).await.body,
        vec![b'x'; 5 * CHUNK]
    );
    assert_eq!(store.calls(Op::WriteChunk), 9);
}

#[tokio::test(start_paused = true)]
async fn s19_job_whose_chunks_cannot_be_written_is_handed_back() {
    let store = store();
    store.plan(Op::WriteChunk, Fault::Unavailable, 1000);
    let layer = eager(faulty(&store));
    let location = submit(&layer).await;
    sleep(30 * SECOND).await;
    ask(&layer, get(&location)).await.pending();
    sleep(60 * SECOND).await;
    let lost = ask(&layer, get(&location)).await;
    assert_eq!(lost.header("job-status"), "lost", "no request is kept");
}

#[tokio::test(start_paused = true)]
async fn s20_result_whose_chunks_have_no_room_fails_its_job_alone() {
    let store = Arc::new(memory().chunk_size(CHUNK).max_bytes(4 * CHUNK).build());
    let layer = eager(AsyncJobLayer::builder().store(store.clone()));
    let location = submit(&layer).await;
    sleep(2 * SECOND).await;
    let answer = ask(&layer, get(&location)).await;
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    assert_problem(&answer, status, "failed", "job-failed");
    assert!(store.usage().expect("memory knows").bytes < CHUNK);
    let small = crate::submit(&layer, slow(SECOND, "small")).await;
    sleep(2 * SECOND).await;
    assert_eq!(ask(&layer, get(&small)).await.body, "small");
}

#[tokio::test(start_paused = true)]
async fn s50_chunk_that_cannot_be_read_ends_the_download_with_an_error() {
    for fault in [Fault::Unavailable, Fault::Panics] {
        let store = store();
        store.plan(Op::ReadChunk, Fault::None, 2);
        store.plan(Op::ReadChunk, fault, 1);
        let layer = eager(faulty(&store).retention_after_delivery(SECOND));
        let location = submit(&layer).await;
        sleep(2 * SECOND).await;
        let response = layer.resource().oneshot(get(&location)).await;
        let mut body = response.expect("infallible").into_body();
        for _ in 0..2 {
            body.frame().await.expect("more").expect("readable");
        }
        let error = body.frame().await.expect("more").expect_err("cut off");
        assert!(error.is_unavailable(), "{error}");
        assert!(body.frame().await.is_none());
        sleep(10 * SECOND).await;
        let whole = ask(&layer, get(&location)).await;
        assert_eq!(whole.body.len(), 5 * CHUNK, "it was not delivered");
    }
}

#[tokio::test(start_paused = true)]
async fn s17_result_whose_first_chunk_cannot_be_read_is_no_answer_of_the_handler() {
    let store = store();
    let layer = eager(faulty(&store));
    let location = submit(&layer).await;
    sleep(2 * SECOND).await;
    let ranged = || {
        let mut request = get(&location);
        let range = "bytes=5000-5099".parse().expect("valid");
        request.headers_mut().insert(header::RANGE, range);
        request
    };
    for request in [get(&location), ranged()] {
        store.plan(Op::ReadChunk, Fault::Unavailable, 1);
        let answer = ask(&layer, request).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers.contains_key(header::RETRY_AFTER));
    }
    let reads = store.calls(Op::ReadChunk);
    let mut head = get(&location);
    *head.method_mut() = Method::HEAD;
    assert_eq!(ask(&layer, head).await.status, StatusCode::OK);
    assert_eq!(store.calls(Op::ReadChunk), reads, "no body is read");
    assert_eq!(ask(&layer, get(&location)).await.body.len(), 5 * CHUNK);
}

#[tokio::test(start_paused = true)]
async fn download_that_is_given_up_leaves_no_read_behind() {
    let store = store();
    store.plan(Op::ReadChunk, Fault::Late(SECOND), 2);
    let layer = eager(faulty(&store));
    let location = submit(&layer).await;
    sleep(2 * SECOND).await;
    let response = layer.resource().oneshot(get(&location)).await;
    let mut body = response.expect("infallible").into_body();
    body.frame().await.expect("more").expect("readable");
    let half_way = tokio::time::timeout(SECOND / 2, body.frame()).await;
    assert!(half_way.is_err(), "it is read");
    drop(body);
    support::settle().await;
    assert_eq!(store.lent.load(std::sync::atomic::Ordering::SeqCst), 0);
    store.sweep(&SweepQuery::default()).await.expect("memory");
}

/// A store that acknowledges the last chunk of five after 3 s.
#[derive(Debug)]
struct LateAnswer(Arc<FaultyStore>);

impl Interpose for LateAnswer {
    fn inner(&self) -> &dyn JobStore {
        &*self.0
    }

    fn write_chunk<'a>(&'a self, lease: &'a Lease, index: u32, data: Bytes) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.0.write_chunk(lease, index, data).await?;
            if index == 4 {
                sleep(3 * SECOND).await;
            }
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn chunks_that_are_lost_with_their_record_are_no_result_of_the_next() {
    let memory = memory().lease_duration(30 * SECOND).chunk_size(CHUNK);
    let store = Arc::new(FaultyStore::shared_over(memory.build()));
    let late = Interposed::new(LateAnswer(store.clone()));
    let layer = eager(AsyncJobLayer::builder().store(late));
    // Its last chunk is written after 8 s and acknowledged after 11 s; leases are renewed after 10 s.
    let large = handler(|_| async {
        sleep(8 * SECOND).await;
        Response::new(Body::from(vec![b'x'; 5 * CHUNK]))
    });
    let location = crate::submit(&layer, large).await;
    sleep(9 * SECOND).await;
    store.fail_over();
    sleep(10 * SECOND).await;
    let answer = ask(&layer, get(&location)).await;
    assert_eq!(answer.header("job-status"), "lost");
}
