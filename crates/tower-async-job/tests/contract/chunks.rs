//! Results in chunks: recorded and replayed piece by piece.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::support::{
    Answer, SECOND, ask, call, eager,
    faulty::{Fault, FaultyStore, Op},
    get, id_of, memory, path_of, post, request, with,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, StreamBody};
use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};
use tower_async_job::{
    AsyncJobLayer, Builder, StoredBody,
    store::{
        CHUNKS_LINGER, Detail, JobRecord, JobStore, Lease, Outcome, Outside, Release, Retention,
        StoredResponse, SweepQuery,
    },
};

const CHUNK: usize = 100 << 10;

/// The size of the handler's frames, some of which span two chunks.
const FRAME: usize = 7 << 10;

fn store() -> Arc<FaultyStore> {
    Arc::new(FaultyStore::new(memory().chunk_size(CHUNK).build()))
}

fn builder(store: &Arc<FaultyStore>) -> Builder {
    AsyncJobLayer::builder().store(store.clone())
}

/// Returns this number of bytes, in which adjacent chunks differ.
fn bytes(length: usize) -> Bytes {
    (0..length).map(|at| (at % 251) as u8).collect()
}

fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("7"));
    trailers
}

/// Submits to a handler that sends this body after a second, in frames of a size, and counts the
/// bytes taken from the body. Returns the URL of the job.
async fn submit(
    layer: &AsyncJobLayer,
    (body, frame): (Bytes, usize),
    trailers: Option<HeaderMap>,
    taken: &Arc<AtomicUsize>,
) -> String {
    let taken = taken.clone();
    let inner = service_fn(move |_| {
        let (body, trailers, taken) = (body.clone(), trailers.clone(), taken.clone());
        async move {
            sleep(SECOND).await;
            let pieces: Vec<_> = body.chunks(frame).map(Bytes::copy_from_slice).collect();
            let data = pieces.into_iter().map(move |piece| {
                taken.fetch_add(piece.len(), Ordering::SeqCst);
                Frame::data(piece)
            });
            let frames = data
                .chain(trailers.map(Frame::trailers))
                .map(Ok::<_, Infallible>);
            Ok::<_, Infallible>(Response::new(StreamBody::new(tokio_stream::iter(frames))))
        }
    });
    let accepted = Answer::of(call(&layer.layer(inner), post("/report")).await).await;
    path_of(accepted.pending().location()).to_owned()
}

/// Returns the URL of a job that has ended with a body of this length.
async fn ended(layer: &AsyncJobLayer, length: usize) -> String {
    let job = submit(layer, (bytes(length), FRAME), None, &Arc::default()).await;
    sleep(2 * SECOND).await;
    job
}

async fn record(store: &FaultyStore, job: &str) -> JobRecord {
    let record = store.inner.read(&id_of(job), Detail::Full).await;
    record.expect("memory").expect("a job")
}

/// Returns the answer to a GET, with its body unread.
async fn download(layer: &AsyncJobLayer, job: &str) -> Response<StoredBody> {
    let response = layer.resource().oneshot(get(job)).await;
    response.expect("infallible")
}

/// Returns the next bytes of a body.
async fn next(body: &mut StoredBody) -> Bytes {
    let frame = body.frame().await.expect("more").expect("readable");
    frame.into_data().expect("data")
}

#[tokio::test(start_paused = true)]
async fn result_in_chunks_is_replayed_byte_for_byte() {
    let sizes = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 17];
    for (length, frame) in sizes
        .into_iter()
        .flat_map(|size| [(size, FRAME), (size, 1 << 20)])
    {
        let store = store();
        let layer = eager(builder(&store));
        let job = submit(&layer, (bytes(length), frame), None, &Arc::default()).await;
        sleep(2 * SECOND).await;
        let result = record(&store, &job).await.result.expect("a body");
        let chunks = (length > CHUNK).then_some(length.div_ceil(CHUNK) as u32);
        assert_eq!((result.len, result.chunks), (length as u64, chunks));
        assert_eq!(store.calls(Op::WriteChunk), chunks.unwrap_or(0) as usize);
        for _ in 0..2 {
            let response = download(&layer, &job).await;
            assert_eq!(response.status(), StatusCode::OK);
            let hint = response.body().size_hint().exact();
            assert_eq!(hint, Some(length as u64), "the Content-Length");
            assert_eq!(Answer::of(response).await.body, bytes(length), "{length}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn result_in_chunks_is_replayed_with_its_trailers() {
    let layer = eager(builder(&store()));
    let body = bytes(3 * CHUNK);
    let job = submit(
        &layer,
        (body.clone(), FRAME),
        Some(trailers()),
        &Arc::default(),
    )
    .await;
    sleep(2 * SECOND).await;
    let mut request = with(get(&job), "te", "trailers");
    *request.version_mut() = Version::HTTP_2;
    let response = layer.resource().oneshot(request).await.expect("infallible");
    let hint = response.body().size_hint();
    assert_eq!((hint.exact(), hint.lower()), (None, 3 * CHUNK as u64));
    let answer = Answer::of(response).await;
    assert_eq!((answer.body, answer.trailers), (body, Some(trailers())));
    let without = download(&layer, &job).await;
    assert_eq!(without.body().size_hint().exact(), Some(3 * CHUNK as u64));
    assert_eq!(Answer::of(without).await.trailers, None);
}

#[tokio::test(start_paused = true)]
async fn recording_holds_no_more_than_two_chunks() {
    let store = store();
    store.plan(Op::WriteChunk, Fault::Late(SECOND), 20);
    let layer = eager(builder(&store));
    let taken = Arc::default();
    submit(&layer, (bytes(20 * CHUNK), FRAME), None, &taken).await;
    let mut most = 0;
    for _ in 0..300 {
        sleep(SECOND / 10).await;
        let written = store.written.load(Ordering::SeqCst);
        most = most.max(taken.load(Ordering::SeqCst) - written);
    }
    assert!(most > CHUNK && most <= 2 * CHUNK, "{most}");
    assert_eq!(store.written.load(Ordering::SeqCst), 20 * CHUNK);
}

#[tokio::test(start_paused = true)]
async fn recordings_in_chunks_need_no_room_for_what_is_written() {
    let store = store();
    store.plan(Op::WriteChunk, Fault::Late(SECOND), 60);
    let layer = eager(builder(&store).recording_room(8 * CHUNK));
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(submit(&layer, (bytes(20 * CHUNK), FRAME), None, &Arc::default()).await);
    }
    // No recording waits for another.
    sleep(25 * SECOND).await;
    for job in jobs {
        assert_eq!(ask(&layer, get(&job)).await.body, bytes(20 * CHUNK));
    }
}

#[tokio::test(start_paused = true)]
async fn replay_holds_no_more_than_two_chunks() {
    let store = store();
    let layer = eager(builder(&store));
    let job = ended(&layer, 20 * CHUNK).await;
    let mut body = download(&layer, &job).await.into_body();
    // The first is read before the head is sent, and the others when they are asked for.
    assert_eq!(store.calls(Op::ReadChunk), 1);
    let (mut read, mut most) = (0, 0);
    while read < 20 * CHUNK {
        let data = next(&mut body).await;
        assert_eq!(data, bytes(20 * CHUNK)[read..read + data.len()]);
        read += data.len();
        most = most.max(store.lent.load(Ordering::SeqCst));
    }
    assert!(most <= 2 * CHUNK, "{most}");
    assert!(body.frame().await.is_none());
    assert_eq!(store.calls(Op::ReadChunk), 20);
    assert_eq!(store.lent.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn head_of_a_result_has_its_length_and_reads_no_body() {
    for length in [5, 3 * CHUNK] {
        let store = store();
        let layer = eager(builder(&store));
        let job = ended(&layer, length).await;
        let head = ask(&layer, request(Method::HEAD, &job)).await;
        assert_eq!(head.header("content-length"), length.to_string());
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
        assert_eq!(store.calls(Op::ReadChunk), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn s50_retention_or_removal_during_a_download_in_chunks_does_not_break_it() {
    for removed in [true, false] {
        let store = store();
        let layer = eager(builder(&store).retention(Retention::new(60 * SECOND, 60 * SECOND)));
        let job = ended(&layer, 4 * CHUNK).await;
        let mut body = download(&layer, &job).await.into_body();
        let mut read = next(&mut body).await.to_vec();
        if removed {
            let deleted = ask(&layer, request(Method::DELETE, &job)).await;
            assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        }
        while read.len() < 4 * CHUNK {
            sleep(CHUNKS_LINGER / 3).await;
            assert_eq!(ask(&layer, get(&job)).await.status, StatusCode::NOT_FOUND);
            store.sweep(&SweepQuery::default()).await.expect("memory");
            read.extend(next(&mut body).await);
        }
        assert_eq!(read, bytes(4 * CHUNK), "removed: {removed}");
    }
}

#[tokio::test(start_paused = true)]
async fn s50_download_that_comes_too_late_for_a_chunk_ends_with_an_error() {
    let store = store();
    let layer = eager(builder(&store));
    let job = ended(&layer, 4 * CHUNK).await;
    let mut body = download(&layer, &job).await.into_body();
    next(&mut body).await;
    next(&mut body).await;
    ask(&layer, request(Method::DELETE, &job)).await;
    store.sweep(&SweepQuery::default()).await.expect("memory");
    sleep(2 * CHUNKS_LINGER).await;
    store.sweep(&SweepQuery::default()).await.expect("memory");
    let error = body.frame().await.expect("more").expect_err("cut off");
    assert!(error.is_corrupt(), "{error}");
    assert!(body.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn s73_result_in_chunks_is_delivered_once_all_are_read() {
    let store = store();
    let layer = eager(builder(&store).retention_after_delivery(SECOND));
    let job = ended(&layer, 3 * CHUNK).await;
    let state = async || {
        let head = ask(&layer, request(Method::HEAD, &job)).await;
        head.header("job-status").to_owned()
    };
    for whole in [false, true] {
        let mut body = download(&layer, &job).await.into_body();
        let mut read = 0;
        while read < if whole { 3 * CHUNK } else { 2 * CHUNK + 1 } {
            read += next(&mut body).await.len();
        }
        drop(body);
        sleep(5 * SECOND).await;
        assert_eq!(state().await, if whole { "expired" } else { "done" });
    }
}

#[tokio::test(start_paused = true)]
async fn result_in_chunks_is_limited_as_any_other() {
    let store = store();
    let layer = eager(builder(&store).result_limit(3 * CHUNK));
    let job = ended(&layer, 3 * CHUNK + 1).await;
    let answer = ask(&layer, get(&job)).await;
    assert_eq!(answer.header("job-status"), "failed");
    assert_eq!(answer.json()["setting"], "result_limit");
    let job = ended(&layer, 3 * CHUNK).await;
    assert_eq!(ask(&layer, get(&job)).await.body, bytes(3 * CHUNK));
}

#[tokio::test(start_paused = true)]
async fn s07_chunks_of_a_run_that_lost_its_lease_are_seen_by_nobody() {
    let store = store();
    store.plan(Op::WriteChunk, Fault::Late(10 * SECOND), 10);
    let layer = eager(builder(&store));
    let job = submit(&layer, (bytes(3 * CHUNK), FRAME), None, &Arc::default()).await;
    sleep(15 * SECOND).await;
    // The first chunk is written, and the second in flight.
    let outside = Outside::new("token", 60 * SECOND);
    let release = Release::default().with_outside(outside);
    let stale = Lease::new(id_of(&job), record(&store, &job).await.epoch);
    store
        .inner
        .release(&[stale], release)
        .await
        .expect("memory");
    let token = Outside::digest("token");
    let claim = store.inner.resume(&id_of(&job), &token).await;
    let lease = claim.expect("memory").expect("outside").lease;
    let write = async |index, data: &'static str| {
        let written = store.inner.write_chunk(&lease, index, data.into()).await;
        written.expect("memory");
    };
    write(0, "another ").await;
    sleep(30 * SECOND).await;
    assert_eq!(store.calls(Op::Finish), 0, "the stale run is over");
    write(1, "result").await;
    let head = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 0).finish(None);
    let outcome = Outcome::Streamed {
        head,
        chunks: 2,
        len: 14,
    };
    store
        .inner
        .finish(&lease, outcome.into())
        .await
        .expect("memory");
    assert_eq!(ask(&layer, get(&job)).await.body, "another result");
}
