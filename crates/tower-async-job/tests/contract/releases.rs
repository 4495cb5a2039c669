//! Answers that release their job.

use std::sync::Arc;

use crate::support::{
    Body, Handler, SECOND, asking, eager,
    faulty::{Fault, FaultyStore, Op},
    get, handler, id_of, memory, post, send, with, wrap,
};
use http::{Response, StatusCode};
use tokio::time::{sleep, timeout};
use tower_async_job::{
    AsyncJobLayer, JobContext, JobFuture, Release,
    store::{JobStore, Outside},
};

/// Returns a handler whose upstream is unreachable.
fn refused() -> Handler {
    handler(|_| async {
        sleep(SECOND / 2).await;
        let mut response = Response::new(Body::from("connection refused"));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        let release = Release::default().with_after(SECOND).with_counts(false);
        response.extensions_mut().insert(release);
        response
    })
}

#[tokio::test(start_paused = true)]
async fn answer_that_would_hand_its_job_back_stands_where_no_request_is_kept() {
    let service = wrap(&AsyncJobLayer::new(), refused());
    let inline = send(&service, post("/report")).await;
    assert_eq!(inline.status, StatusCode::BAD_GATEWAY);
    let keyed = with(post("/report"), "idempotency-key", "k");
    assert_eq!(send(&service, keyed).await.status, StatusCode::BAD_GATEWAY);
    let accepted = send(&service, asking(post("/report"))).await.pending();
    sleep(SECOND).await;
    let stored = send(&service, get(accepted.location())).await;
    assert_eq!(stored.status, StatusCode::BAD_GATEWAY);
    assert_eq!(stored.header("job-status"), "done");
    assert_eq!(stored.body, "connection refused");
}

#[tokio::test(start_paused = true)]
async fn answer_that_hands_its_job_back_waits_for_a_slow_store() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let layer = AsyncJobLayer::builder()
        .store(store.clone())
        .inline_wait(SECOND / 4)
        .replay_when(|_| true)
        .build()
        .expect("valid configuration");
    let service = wrap(&layer, refused());
    // The handler ends a quarter of a second before there is a job.
    store.plan(Op::Create, Fault::Late(SECOND / 2), 1);
    let accepted = send(&service, post("/report")).await.pending();
    let stored = send(&service, get(accepted.location())).await;
    assert_eq!(stored.header("job-status"), "queued", "{stored:?}");
    // Without a job, the answer stands.
    store.plan(Op::Create, Fault::Unavailable, 100);
    let inline = send(&service, post("/report")).await;
    assert_eq!(inline.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test(start_paused = true)]
async fn job_keeps_to_the_terms_of_its_release_though_its_task_is_dropped() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let hasty = |job: JobFuture| -> JobFuture {
        Box::pin(async move {
            let _ = timeout(2 * SECOND, job).await;
        })
    };
    let layer = eager(
        AsyncJobLayer::builder()
            .store(store.clone())
            .wrap_job(hasty),
    );
    let outside = Outside::new("token", 600 * SECOND);
    let handler = handler(move |request| async move {
        sleep(SECOND).await;
        JobContext::of(&request).progress(0.5);
        let mut response = Response::new(Body::default());
        let release = Release::default().with_outside(outside);
        response.extensions_mut().insert(release);
        response
    });
    // Its last report is on its way when it is dropped.
    store.plan(Op::Report, Fault::Hangs, 2);
    let accepted = send(&wrap(&layer, handler), post("/report"))
        .await
        .pending();
    sleep(5 * SECOND).await;
    let id = id_of(accepted.location());
    let resumed = store.resume(&id, &outside.token).await.expect("memory");
    assert!(resumed.is_some(), "it is with the party");
}
