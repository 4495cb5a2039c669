//! Shutdown while requests arrive.

use std::{convert::Infallible, sync::Arc, time::Duration};

use crate::support::{
    Body, Stream, eager,
    faulty::{Fault, FaultyStore, Op},
    get, memory, post, send, settle, slow, stream, upload, with, wrap,
};
use http::{Request, Response, StatusCode};
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, ServiceExt};
use tower_async_job::{AsyncJobLayer, Builder, JobBody, OnDisconnect};

const SECOND: Duration = Duration::from_secs(1);

fn keyed(key: &'static str) -> Request<Body> {
    with(post("/report"), "idempotency-key", key)
}

fn on(store: FaultyStore) -> (Arc<FaultyStore>, Builder) {
    let store = Arc::new(store);
    (store.clone(), AsyncJobLayer::builder().store(store))
}

async fn late(_: Request<JobBody<Stream>>) -> Result<Response<Body>, Infallible> {
    sleep(20 * SECOND).await;
    Ok(Response::new(Body::from("done")))
}

#[tokio::test(start_paused = true)]
async fn s39_job_that_is_being_stored_when_the_grace_ends_is_not_made() {
    let store = FaultyStore::new(memory().build()).then(Op::Create, Fault::Late(5 * SECOND));
    let (store, layer) = on(store);
    let layer = eager(layer);
    let service = wrap(&layer, slow(1000 * SECOND, "done"));
    let call = tokio::spawn(async move { send(&service, post("/report")).await });
    settle().await;
    let begun = Instant::now();
    layer.shutdown(SECOND).await;
    assert_eq!(begun.elapsed(), 5 * SECOND, "when the store has answered");
    let refused = call.await.expect("answered");
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(store.jobs().await, 0);
}

#[tokio::test(start_paused = true)]
async fn s39_keyed_job_that_is_being_stored_when_the_grace_ends_is_handed_back() {
    let store = FaultyStore::new(memory().build()).then(Op::Create, Fault::Late(5 * SECOND));
    let (store, layer) = on(store);
    let layer = eager(layer);
    let service = wrap(&layer, slow(1000 * SECOND, "done"));
    let call = tokio::spawn(async move { send(&service, keyed("k")).await });
    settle().await;
    let begun = Instant::now();
    layer.shutdown(SECOND).await;
    assert_eq!(begun.elapsed(), 5 * SECOND, "when the store has answered");
    call.await.expect("answered");
    assert_eq!(store.jobs_in(http_polling::JobState::Lost).await, 1);
}

#[tokio::test(start_paused = true)]
async fn s39_upload_that_ends_after_the_shutdown_makes_no_job() {
    let layer = eager(AsyncJobLayer::builder());
    let (sender, body) = stream();
    let (keyed_sender, keyed_body) = stream();
    let service = layer.layer(tower::service_fn(late));
    let plain = tokio::spawn(service.clone().oneshot(upload("/report", body)));
    let keyed =
        tokio::spawn(service.oneshot(with(upload("/report", keyed_body), "idempotency-key", "k")));
    settle().await;
    layer.shutdown(SECOND).await;
    drop((sender, keyed_sender));
    let plain = plain.await.expect("answered").expect("infallible");
    assert_eq!(plain.status(), StatusCode::OK, "inline");
    let keyed = keyed.await.expect("answered").expect("infallible");
    assert_eq!(keyed.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn s39_work_left_by_its_client_does_not_outlast_the_grace() {
    let layer = AsyncJobLayer::builder().on_disconnect(OnDisconnect::Detach);
    let layer = layer.build().expect("valid");
    let service = wrap(&layer, slow(1000 * SECOND, "done"));
    let gone = timeout(SECOND / 4, service.oneshot(post("/report"))).await;
    assert!(gone.is_err());
    let begun = Instant::now();
    layer.shutdown(SECOND).await;
    assert_eq!(begun.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn s39_call_that_stays_inline_does_not_outlast_the_grace() {
    let store = FaultyStore::new(memory().build()).then(Op::Create, Fault::Full);
    let layer = eager(on(store).1);
    let service = wrap(&layer, slow(1000 * SECOND, "done"));
    let call = tokio::spawn(async move { send(&service, post("/report")).await });
    settle().await;
    let begun = Instant::now();
    layer.shutdown(SECOND).await;
    assert_eq!(begun.elapsed(), SECOND);
    let refused = call.await.expect("answered");
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn s40_second_shutdown_without_grace_ends_the_first_at_once() {
    let layer = eager(AsyncJobLayer::builder());
    let service = wrap(&layer, slow(1000 * SECOND, "done"));
    let accepted = send(&service, post("/report")).await.pending();
    let first = tokio::spawn({
        let layer = layer.clone();
        async move { layer.shutdown(60 * SECOND).await }
    });
    settle().await;
    let begun = Instant::now();
    layer.shutdown(Duration::ZERO).await;
    first.await.expect("ended");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let lost = send(&service, get(accepted.location())).await;
    assert_eq!(lost.header("job-status"), "lost");
}

#[tokio::test(start_paused = true)]
async fn s39_end_that_cannot_be_stored_does_not_outlast_the_grace() {
    for lease in [None, Some(30 * SECOND)] {
        let store = match lease {
            Some(lease) => FaultyStore::shared(lease),
            None => FaultyStore::new(memory().build()),
        };
        let (store, layer) = on(store.times(Op::Finish, Fault::Unavailable, 1000));
        let layer = eager(layer);
        send(&wrap(&layer, slow(SECOND, "done")), post("/report")).await;
        sleep(2 * SECOND).await;
        let begun = Instant::now();
        layer.shutdown(10 * SECOND).await;
        assert_eq!(begun.elapsed(), 10 * SECOND, "with a lease of {lease:?}");
        assert_eq!(store.jobs_in(http_polling::JobState::Lost).await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn s39_releases_are_repeated_for_one_lease() {
    let (store, layer) = on(FaultyStore::shared(30 * SECOND));
    let layer = eager(layer);
    let service = wrap(&layer, slow(1000 * SECOND, "late"));
    // More than two batches.
    for _ in 0..2_001 {
        send(&service, post("/report")).await.pending();
    }
    store.plan(Op::Release, Fault::Hangs, 1000);
    let begun = Instant::now();
    layer.shutdown(SECOND).await;
    let took = begun.elapsed();
    assert!(took >= 25 * SECOND, "given up after {took:?}");
    assert!(took <= SECOND + 30 * SECOND + 5 * SECOND, "{took:?}");
}
