//! `Preference-Applied`, which states the wait that the server granted.

use std::time::Duration;

use crate::support::{self, Body, SECOND, get, handler, path_of, post, send, slow, with, wrap};
use http::{Request, StatusCode};
use tokio::time::{Instant, sleep};
use tower_async_job::{AsyncJob, AsyncJobLayer, Builder};

/// A wait far longer than any server allows, and such numbers out of range.
const ABSURD: [&str; 3] = [
    "wait=3600",
    "wait=18446744073709551616",
    "wait=999999999999999999999999999999",
];

fn service(builder: Builder, duration: Duration) -> AsyncJob<support::Handler> {
    let layer = builder
        .max_inline_wait(10 * SECOND)
        .max_hold(7 * SECOND)
        .build()
        .expect("valid configuration");
    wrap(&layer, slow(duration, "late"))
}

fn preferring(request: Request<Body>, preference: &'static str) -> Request<Body> {
    with(request, "prefer", preference)
}

#[tokio::test(start_paused = true)]
async fn s77_acceptance_says_the_wait_that_was_given() {
    for preference in ABSURD {
        let service = service(AsyncJobLayer::builder(), 60 * SECOND);
        let begun = Instant::now();
        let answer = send(&service, preferring(post("/report"), preference)).await;
        let accepted = answer.pending();
        assert_eq!(begun.elapsed(), 10 * SECOND, "{preference}");
        assert_eq!(accepted.header("preference-applied"), "wait=10");
    }
}

#[tokio::test(start_paused = true)]
async fn s77_inline_answer_says_the_wait_that_was_given() {
    for preference in ABSURD {
        let service = service(AsyncJobLayer::builder(), 3 * SECOND);
        let answer = send(&service, preferring(post("/report"), preference)).await;
        assert_eq!(answer.body, "late");
        assert_eq!(answer.header("preference-applied"), "wait=10");
    }
}

#[tokio::test(start_paused = true)]
async fn s77_call_with_a_key_says_the_wait_that_was_given() {
    for (duration, status) in [(3, StatusCode::OK), (60, StatusCode::SEE_OTHER)] {
        let service = service(AsyncJobLayer::builder(), duration * SECOND);
        let keyed = with(post("/report"), "idempotency-key", "k");
        let answer = send(&service, preferring(keyed, ABSURD[1])).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("preference-applied"), "wait=10");
    }
}

#[tokio::test(start_paused = true)]
async fn s77_poll_says_the_wait_that_was_given() {
    let service = service(AsyncJobLayer::builder(), 600 * SECOND);
    let accepted = send(&service, post("/report")).await.pending();
    for preference in ABSURD {
        let begun = Instant::now();
        let poll = preferring(get(path_of(accepted.location())), preference);
        let answer = send(&service, poll).await.pending();
        assert_eq!(begun.elapsed(), 7 * SECOND, "{preference}");
        assert_eq!(answer.header("preference-applied"), "wait=7");
    }
}

#[tokio::test(start_paused = true)]
async fn s77_no_wait_is_given_past_the_client_s_own_deadline() {
    let service = service(AsyncJobLayer::builder(), 60 * SECOND);
    let hurried = with(post("/report"), "cancel-after", "4");
    let begun = Instant::now();
    let answer = send(&service, preferring(hurried, "wait=8")).await;
    assert_eq!(begun.elapsed(), 4 * SECOND);
    assert_eq!(answer.header("preference-applied"), "wait=4");
}

#[tokio::test(start_paused = true)]
async fn s77_wait_that_is_granted_is_said_as_it_was_asked_for() {
    let service = service(AsyncJobLayer::builder(), 60 * SECOND);
    let asked = preferring(post("/report"), "respond-async, wait=3");
    let accepted = send(&service, asked).await.pending();
    assert_eq!(
        accepted.header("preference-applied"),
        "respond-async, wait=3"
    );
}

#[tokio::test(start_paused = true)]
async fn s77_answer_that_stayed_inline_past_the_wait_does_not_claim_it() {
    let layer = AsyncJobLayer::builder()
        .request_spool(4)
        .build()
        .expect("valid configuration");
    // The upload is not read, and is too large to be kept.
    let late = handler(|request| async move {
        sleep(60 * SECOND).await;
        drop(request);
        http::Response::new(Body::from("late"))
    });
    let upload = http::Request::post("/report")
        .body(Body::from("more than the spool"))
        .expect("valid request");
    let answer = send(&wrap(&layer, late), preferring(upload, "wait=2")).await;
    assert_eq!(answer.body, "late");
    assert_eq!(answer.header("preference-applied"), "");
}
