//! The shutdown of a node whose clients have yet to fetch their results.

use std::{sync::Arc, time::Duration};

use crate::support::{
    Answer, Handler, SECOND, ask, asking, eager, get, id_of, logged, memory, path_of, post,
    request, send, settle, slow, with, wrap,
};
use http::{Method, StatusCode, Version};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tower_async_job::{
    AsyncJob, AsyncJobLayer, ObservedJob,
    store::{Detail, JobStore},
};

/// Returns a layer that announces this delay to its clients.
fn telling(delay: Duration) -> AsyncJobLayer {
    eager(AsyncJobLayer::builder().estimator(move |_: &ObservedJob<'_>| delay))
}

/// Starts a shutdown, which returns its duration.
fn shutdown(layer: &AsyncJobLayer, grace: Duration) -> JoinHandle<Duration> {
    let layer = layer.clone();
    tokio::spawn(async move {
        let begun = Instant::now();
        layer.shutdown(grace).await;
        begun.elapsed()
    })
}

async fn submit(service: &AsyncJob<Handler>) -> String {
    let accepted = send(service, post("/report")).await.pending();
    accepted.location().to_owned()
}

/// Starts a poll.
fn poll(service: &AsyncJob<Handler>, url: &str) -> JoinHandle<Answer> {
    let (service, url) = (service.clone(), url.to_owned());
    tokio::spawn(async move { send(&service, get(&url)).await })
}

#[track_caller]
fn about(took: Duration, expected: Duration) {
    let late = took.checked_sub(expected);
    assert!(late.is_some_and(|late| late < SECOND), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn s72_result_is_kept_until_its_client_comes_when_it_was_told() {
    let layer = telling(20 * SECOND);
    let service = wrap(&layer, slow(3 * SECOND, "done"));
    let location = submit(&service).await;
    sleep(5 * SECOND).await;
    let shutdown = shutdown(&layer, 30 * SECOND);
    sleep(15 * SECOND).await;
    assert!(!shutdown.is_finished());
    assert_eq!(send(&service, get(&location)).await.body, "done");
    about(shutdown.await.expect("no panic"), 15 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn s72_client_that_never_comes_back_is_waited_for_no_longer_than_it_was_told() {
    let layer = telling(10 * SECOND);
    let service = wrap(&layer, slow(SECOND, "done"));
    submit(&service).await;
    sleep(2 * SECOND).await;
    let took = shutdown(&layer, 60 * SECOND).await.expect("no panic");
    assert!(took >= 8 * SECOND && took <= 16 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn s72_result_that_was_delivered_or_dropped_is_not_waited_for() {
    let layer = telling(20 * SECOND);
    let service = wrap(&layer, slow(SECOND, "done"));
    let delivered = submit(&service).await;
    let dropped = submit(&service).await;
    let cancelled = submit(&service).await;
    let cancel = request(Method::DELETE, path_of(&cancelled));
    assert_eq!(send(&service, cancel).await.status, StatusCode::ACCEPTED);
    sleep(2 * SECOND).await;
    assert_eq!(send(&service, get(path_of(&delivered))).await.body, "done");
    let drop = request(Method::DELETE, path_of(&dropped));
    assert_eq!(send(&service, drop).await.status, StatusCode::NO_CONTENT);
    about(
        shutdown(&layer, 60 * SECOND).await.expect("no panic"),
        Duration::ZERO,
    );
}

#[tokio::test(start_paused = true)]
async fn s72_client_that_does_not_wait_burns_one_redirect() {
    let layer = telling(2 * SECOND);
    let service = wrap(&layer, slow(22 * SECOND, "done"));
    let location = submit(&service).await;
    let shutdown = shutdown(&layer, 60 * SECOND);
    settle().await;
    let done = send(&service, get(&location)).await;
    assert_eq!(done.body, "done", "held from its first poll on");
    about(shutdown.await.expect("no panic"), 22 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn s72_poll_is_held_to_the_end_of_the_grace() {
    let layer = telling(20 * SECOND);
    let service = wrap(&layer, slow(3600 * SECOND, "late"));
    let location = submit(&service).await;
    let held = poll(&service, &location);
    settle().await;
    about(
        shutdown(&layer, 10 * SECOND).await.expect("no panic"),
        10 * SECOND,
    );
    let lost = held.await.expect("answered");
    assert_eq!(lost.header("job-status"), "lost");
}

#[tokio::test(start_paused = true)]
async fn s72_pending_answer_tells_no_delay_beyond_the_grace() {
    let layer = telling(60 * SECOND);
    let service = wrap(&layer, slow(12 * SECOND, "done"));
    let location = submit(&service).await;
    let shutdown = shutdown(&layer, 30 * SECOND);
    settle().await;
    let url = path_of(&location);
    let pending = send(&service, get(url)).await.pending();
    let wait: u64 = pending.header("retry-after").parse().expect("seconds");
    assert!((20..=28).contains(&wait), "{wait}");
    sleep(wait as u32 * SECOND).await;
    assert_eq!(send(&service, get(url)).await.body, "done");
    about(shutdown.await.expect("no panic"), Duration::from_secs(wait));
}

#[tokio::test(start_paused = true)]
async fn connection_of_a_submission_that_a_full_node_refuses_stays_open() {
    // During shutdown, the Retry-After of a node is that of its shutdown, even before its first
    // job.
    let service = wrap(
        &eager(AsyncJobLayer::builder().limits(1, 0)),
        slow(20 * SECOND, "done"),
    );
    send(&service, post("/report")).await.pending();
    let refused = send(&service, post("/report")).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header("retry-after"), "5");
    assert_eq!(refused.header("connection"), "");
}

#[tokio::test(start_paused = true)]
async fn s72_poll_of_the_last_moment_is_held_to_the_job_s_end() {
    let layer = telling(SECOND);
    let service = wrap(&layer, slow(8 * SECOND, "done"));
    let location = submit(&service).await;
    sleep(SECOND).await;
    let shutdown = shutdown(&layer, 8 * SECOND);
    sleep(5 * SECOND).await;
    assert_eq!(send(&service, get(&location)).await.body, "done");
    about(shutdown.await.expect("no panic"), 7 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn s72_submission_is_refused_and_its_connection_closed() {
    let layer = telling(SECOND);
    let service = wrap(&layer, slow(SECOND, "done"));
    layer.shutdown(SECOND).await;
    let keyed = || with(post("/report"), "idempotency-key", "k");
    for request in [post("/report"), asking(post("/report")), keyed()] {
        let refused = send(&service, request).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.header("connection"), "close");
        assert_eq!(refused.header("retry-after"), "5");
    }
    for mut request in [post("/report"), keyed()] {
        *request.version_mut() = Version::HTTP_2;
        let refused = send(&service, request).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.header("connection"), "");
    }
}

#[tokio::test(start_paused = true)]
async fn s72_answer_of_a_job_with_a_key_is_waited_for() {
    let layer = telling(10 * SECOND);
    let service = wrap(&layer, slow(3 * SECOND, "done"));
    let keyed = || with(post("/report"), "idempotency-key", "k");
    let pending = send(&service, keyed()).await.pending();
    assert_eq!(pending.header("retry-after"), "10");
    sleep(4 * SECOND).await;
    let shutdown = shutdown(&layer, 60 * SECOND);
    sleep(5 * SECOND).await;
    assert!(!shutdown.is_finished());
    assert_eq!(send(&service, keyed()).await.body, "done");
    about(shutdown.await.expect("no panic"), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn s40_second_shutdown_without_grace_waits_for_no_client() {
    let layer = telling(20 * SECOND);
    let service = wrap(&layer, slow(SECOND, "done"));
    submit(&service).await;
    sleep(2 * SECOND).await;
    let first = shutdown(&layer, 60 * SECOND);
    sleep(SECOND).await;
    about(
        shutdown(&layer, Duration::ZERO).await.expect("no panic"),
        Duration::ZERO,
    );
    about(first.await.expect("no panic"), SECOND);
}

#[tokio::test(start_paused = true)]
async fn s72_loss_is_logged_by_the_job_s_handle() {
    logged::begin();
    let store = Arc::new(memory().build());
    let layer = AsyncJobLayer::builder()
        .store(store.clone())
        .estimator(|_: &ObservedJob<'_>| 60 * SECOND);
    let layer = eager(layer);
    let service = wrap(&layer, slow(SECOND, "done"));
    let lost = submit(&service).await;
    let delivered = submit(&service).await;
    sleep(2 * SECOND).await;
    ask(&layer, get(path_of(&delivered))).await;
    about(
        shutdown(&layer, 30 * SECOND).await.expect("no panic"),
        30 * SECOND,
    );
    let record = store.read(&id_of(&lost), Detail::Status).await;
    let handle = record.expect("memory").expect("kept").handle;
    let text = logged::text();
    let lost: Vec<_> = text
        .lines()
        .filter(|line| line.contains("handle="))
        .collect();
    assert!(
        matches!(lost[..], [line] if line.contains(&handle.to_string())),
        "{text}"
    );
}
