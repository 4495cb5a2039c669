//! The warnings in the log.

use std::sync::Arc;

use crate::{
    faulty, submit,
    support::{
        Body, SECOND, eager,
        faulty::{Fault, FaultyStore, Op},
        handler, logged, memory, post, send, slow, wrap,
    },
};
use http::Response;
use serde_json::json;
use tokio::time::sleep;
use tower_async_job::{AsyncJobLayer, Builder, JobContext, store::Principal};

/// Returns the log of a job that reports and answers 2,000 bytes.
async fn log_of(builder: Builder) -> String {
    logged::begin();
    let layer = eager(builder);
    let large = handler(|request| async move {
        JobContext::of(&request).partial(json!("so far"));
        sleep(SECOND).await;
        Response::new(Body::from(vec![0; 2_000]))
    });
    send(&wrap(&layer, large), post("/report")).await;
    sleep(2 * SECOND).await;
    logged::text()
}

#[tokio::test(start_paused = true)]
async fn s73_result_that_is_not_kept_is_a_warning_with_size_limit_and_setting() {
    let tight = Arc::new(memory().max_bytes(1_500).build());
    for (builder, limit) in [
        (
            AsyncJobLayer::builder().result_limit(1_000),
            "`result_limit` is 1000 bytes",
        ),
        (
            AsyncJobLayer::builder().store(tight),
            "`max_bytes` is 1500 bytes",
        ),
    ] {
        let log = log_of(builder).await;
        assert!(log.contains("2000 bytes"), "{log}");
        assert!(log.contains(limit), "{log}");
    }
}

#[tokio::test(start_paused = true)]
async fn s69_report_and_principal_beyond_their_limits_are_warnings() {
    let log = log_of(AsyncJobLayer::builder().report_limit(3)).await;
    assert!(
        log.contains("`report_limit`") && log.contains("limit=3"),
        "{log}"
    );
    let named = AsyncJobLayer::builder().principal(|_| Some(Principal::new("somebody")));
    let log = log_of(named.principal_limit(3)).await;
    assert!(
        log.contains("`principal_limit`") && log.contains("size=8"),
        "{log}"
    );
}

#[tokio::test(start_paused = true)]
async fn write_that_failed_is_named_in_its_warning() {
    logged::begin();
    let store = FaultyStore::new(memory().build()).then(Op::Start, Fault::Unavailable);
    let layer = eager(faulty(&Arc::new(store)).limits(1, 1));
    for _ in 0..2 {
        submit(&layer, slow(SECOND, "done")).await;
    }
    sleep(SECOND + SECOND / 2).await;
    let log = logged::text();
    assert!(log.contains("the start of a job was not stored"), "{log}");
    assert!(!log.contains("report"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn outage_is_one_warning_for_each_job_however_often_its_report_is_repeated() {
    logged::begin();
    let store = FaultyStore::new(memory().build());
    let store = Arc::new(store.times(Op::Report, Fault::Unavailable, 3));
    let reporting = handler(|request| async move {
        JobContext::of(&request).progress(0.5);
        sleep(5 * SECOND).await;
        Response::new(Body::from(vec![0]))
    });
    let layer = eager(faulty(&store));
    send(&wrap(&layer, reporting), post("/report")).await;
    sleep(4 * SECOND).await;
    assert_eq!(store.calls(Op::Report), 4);
    let log = logged::text();
    assert_eq!(log.matches("report was not stored").count(), 1, "{log}");
}

#[tokio::test(start_paused = true)]
async fn job_within_all_limits_warns_of_nothing() {
    assert_eq!(log_of(AsyncJobLayer::builder()).await, "");
}
