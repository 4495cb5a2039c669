//! Submissions with an Idempotency-Key.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{
    Answer, Body, Handler, eager, get, handler, post, request, send, slow, with, wrap,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;
use tower_async_job::{AsyncJobLayer, PendingStatus, store::Principal};

const SECOND: Duration = Duration::from_secs(1);

fn keyed(key: &str, body: &'static str) -> Request<Body> {
    let mut request = Request::post("/report")
        .body(Body::from(body))
        .expect("valid");
    let key = HeaderValue::from_str(key).expect("a header value");
    request.headers_mut().insert("idempotency-key", key);
    request
}

/// Returns a handler that counts its runs, and answers with the request's body and the run's
/// number.
fn counting(time: Duration) -> (Handler, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let handler = handler(move |request| {
        let counted = counted.clone();
        async move {
            let run = counted.fetch_add(1, Ordering::SeqCst) + 1;
            let body = request
                .into_body()
                .collect()
                .await
                .expect("whole")
                .to_bytes();
            sleep(time).await;
            Response::new(Body::from(format!(
                "{} {run}",
                String::from_utf8_lossy(&body)
            )))
        }
    });
    (handler, runs)
}

fn id(location: &str) -> &str {
    location.split_once('?').expect("hints").0
}

#[tokio::test(start_paused = true)]
async fn repeat_gets_the_same_job_while_it_runs_and_its_answer_after() {
    let (handler, runs) = counting(10 * SECOND);
    let service = wrap(&AsyncJobLayer::new(), handler);
    let first = send(&service, keyed("\"k-1\"", "a")).await.pending();
    let second = send(&service, keyed("\"k-1\"", "a")).await.pending();
    assert_eq!(id(first.location()), id(second.location()));
    assert_eq!(second.status, StatusCode::SEE_OTHER);
    sleep(10 * SECOND).await;
    let third = send(&service, keyed("\"k-1\"", "a")).await;
    assert_eq!(third.status, StatusCode::OK);
    assert_eq!(third.body, "a 1");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn inline_answer_is_stored_too() {
    let (handler, runs) = counting(SECOND / 2);
    let service = wrap(&AsyncJobLayer::new(), handler);
    let begun = Instant::now();
    for _ in 0..3 {
        let answer = send(&service, keyed("k", "a")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body, "a 1");
    }
    assert_eq!(begun.elapsed(), SECOND / 2);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn bare_token_is_the_same_key_as_the_string() {
    let (handler, runs) = counting(SECOND / 2);
    let service = wrap(&AsyncJobLayer::new(), handler);
    for key in [
        "8e03978e-40d5",
        "\"8e03978e-40d5\"",
        "\"8e03978e-40d5\";v=1",
        " 8e03978e-40d5 ",
    ] {
        assert_eq!(send(&service, keyed(key, "a")).await.body, "a 1", "{key}");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn s43_hundred_at_once_make_one_job() {
    let (handler, runs) = counting(10 * SECOND);
    let service = wrap(&AsyncJobLayer::new(), handler);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let service = service.clone();
        calls.spawn(async move { send(&service, keyed("\"k\"", "a")).await });
    }
    let mut locations: Vec<String> = Vec::new();
    for answer in calls.join_all().await {
        locations.push(id(answer.pending().location()).to_owned());
    }
    locations.dedup();
    assert_eq!(locations.len(), 1);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn s44_same_key_of_another_request_is_422() {
    let (handler, runs) = counting(SECOND / 2);
    let service = wrap(&AsyncJobLayer::new(), handler);
    send(&service, keyed("k", "a")).await;
    let other_body = send(&service, keyed("k", "b")).await;
    let mut other_target = keyed("k", "a");
    *other_target.uri_mut() = "/other".parse().expect("valid");
    let other_target = send(&service, other_target).await;
    let mut other_method = keyed("k", "a");
    *other_method.method_mut() = Method::PUT;
    let other_method = send(&service, other_method).await;
    let mut other_host = keyed("k", "a");
    let blog = HeaderValue::from_static("blog.example");
    other_host.headers_mut().insert("host", blog);
    let other_host = send(&service, other_host).await;
    for answer in [other_body, other_target, other_method, other_host] {
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn s45_same_key_of_another_principal_is_another_job() {
    let (handler, runs) = counting(SECOND / 2);
    let layer = AsyncJobLayer::builder()
        .principal(|request| {
            let user = request.headers.get("x-user")?.to_str().ok()?;
            Some(Principal::new(user))
        })
        .build()
        .expect("valid");
    let service = wrap(&layer, handler);
    for (user, body) in [("me", "a 1"), ("you", "a 2"), ("me", "a 1")] {
        let mut request = keyed("k", "a");
        request
            .headers_mut()
            .insert("x-user", HeaderValue::from_static(user));
        assert_eq!(send(&service, request).await.body, body);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn s46_malformed_key_is_400() {
    let (handler, runs) = counting(SECOND / 2);
    let service = wrap(&AsyncJobLayer::new(), handler);
    let long = "k".repeat(256);
    for key in [
        "",
        "\"",
        "\"a",
        "\"\"",
        "a b",
        "a,b",
        "\"a\", \"b\"",
        "a\"b",
        "\"a\tb\"",
        &long,
    ] {
        let answer = send(&service, keyed(key, "a")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{key:?}");
    }
    let mut twice = keyed("a", "a");
    twice
        .headers_mut()
        .append("idempotency-key", HeaderValue::from_static("a"));
    assert_eq!(send(&service, twice).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    let longest = "k".repeat(255);
    assert_eq!(
        send(&service, keyed(&longest, "a")).await.status,
        StatusCode::OK
    );
}

#[tokio::test(start_paused = true)]
async fn s36_keyed_request_over_the_spool_is_413_before_the_handler() {
    let (handler, runs) = counting(SECOND / 2);
    let layer = AsyncJobLayer::builder()
        .request_spool(4)
        .build()
        .expect("valid");
    let service = wrap(&layer, handler);
    let answer = send(&service, keyed("k", "12345")).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    assert_eq!(send(&service, keyed("k", "1234")).await.body, "1234 1");
}

#[tokio::test(start_paused = true)]
async fn keyed_job_runs_on_when_its_client_goes_away() {
    let (handler, runs) = counting(10 * SECOND);
    let service = wrap(&AsyncJobLayer::new(), handler);
    let gone = tokio::time::timeout(SECOND / 4, service.clone().oneshot(keyed("k", "a"))).await;
    assert!(gone.is_err());
    sleep(10 * SECOND).await;
    assert_eq!(send(&service, keyed("k", "a")).await.body, "a 1");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn key_of_a_job_that_was_deleted_is_free_again_after_its_retention() {
    let (handler, runs) = counting(10 * SECOND);
    let service = wrap(&AsyncJobLayer::new(), handler);
    let first = send(&service, keyed("k", "a")).await.pending();
    sleep(10 * SECOND).await;
    send(&service, request(Method::DELETE, id(first.location()))).await;
    let repeat = send(&service, keyed("k", "a")).await;
    assert_eq!(repeat.status, StatusCode::GONE);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    sleep(3600 * SECOND).await;
    let again = send(&service, keyed("k", "a")).await.pending();
    assert_ne!(id(first.location()), id(again.location()));
    sleep(10 * SECOND).await;
    assert_eq!(send(&service, get(again.location())).await.body, "a 2");
}

#[tokio::test(start_paused = true)]
async fn key_of_a_safe_method_means_nothing() {
    let (handler, runs) = counting(SECOND / 2);
    let service = wrap(&AsyncJobLayer::new(), handler);
    for _ in 0..2 {
        let mut request = keyed("k", "a");
        *request.method_mut() = Method::GET;
        send(&service, request).await;
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn pending_answer_to_a_keyed_post_varies_by_nothing() {
    let layer = eager(AsyncJobLayer::builder());
    let service = wrap(&layer, slow(3600 * SECOND, "late"));
    let keyed = with(post("/report"), "idempotency-key", "one");
    let accepted = send(&service, keyed).await.pending();
    assert_eq!(accepted.header("vary"), "");
}

#[tokio::test(start_paused = true)]
async fn pending_answers_to_a_submission_and_its_repeats_have_one_form() {
    for is_browser in [false, true] {
        let builder = AsyncJobLayer::builder().pending_status(PendingStatus::Accepted);
        let service = wrap(&eager(builder), slow(10 * SECOND, "done"));
        let submission = || {
            let mut request = keyed("k", "a");
            if is_browser {
                request = with(request, "accept", "text/html");
                request = with(request, "sec-fetch-mode", "navigate");
            }
            request
        };
        let first = send(&service, submission()).await.pending();
        let repeat = send(&service, submission()).await.pending();
        assert_eq!(first.status, repeat.status, "browser: {is_browser}");
        let names = |answer: &Answer| {
            let names = answer.headers.keys().cloned();
            names.collect::<HashSet<_>>()
        };
        assert_eq!(names(&first), names(&repeat), "browser: {is_browser}");
    }
}
