//! Deadlines and timers.

use std::time::Duration;

use futures_util::FutureExt;
use http::Request;
use http_body_util::Full;
use tokio::time::Instant;
use tower_poll::PollLayer;
use tower_poll_testkit::{self as scripted, ScriptedServer};

use crate::common::{Script, answer, exact, exact_layer, post, see_other, send};

const URL: &str = "https://example.com/report";
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn no_timer_is_made_for_calls_that_never_wait() {
    // Outside of a runtime, making one would panic.
    let policy = exact().min_delay(Duration::ZERO).max_delay(Duration::ZERO);
    let script = Script::new(|number, _| match number {
        0..5 => see_other("/work/1"),
        _ => answer(200, &[]),
    });
    let response = send(PollLayer::with_policy(policy), &script, post(URL))
        .now_or_never()
        .expect("nothing to wait for")
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(script.count(), 6);
}

/// Pending once, then takes `long` over the poll.
fn slow_poll(long: Duration) -> ScriptedServer {
    scripted::Script::new()
        .pending("/work/1", SECOND)
        .answer(scripted::Answer::new(200).after(long))
        .server()
}

#[tokio::test(start_paused = true)]
async fn poll_in_flight_is_left_at_the_deadline() {
    let start = Instant::now();
    let layer = exact_layer().deadline(10 * SECOND);
    let error = send(layer, &slow_poll(60 * SECOND), post(URL)).await;
    let error = error.unwrap_err();
    assert!(error.is_deadline());
    assert_eq!(
        error.to_string(),
        "the deadline passed while the job was pending"
    );
    assert_eq!(start.elapsed(), 10 * SECOND);
    assert_eq!(error.pending_job().unwrap().polls(), 1);
}

#[tokio::test(start_paused = true)]
async fn response_that_is_there_beats_a_deadline_that_has_passed() {
    let layer = exact_layer().deadline(10 * SECOND);
    let response = send(layer, &slow_poll(9 * SECOND), post(URL)).await;
    assert_eq!(response.unwrap().status(), 200);
}

/// Takes 5 s over the submission, and is pending then.
fn slow_submission(retry_after: Duration) -> ScriptedServer {
    let pending = scripted::Answer::see_other("/work/1").retry_after(retry_after);
    scripted::Script::new()
        .answer(pending.after(5 * SECOND))
        .server()
}

#[tokio::test(start_paused = true)]
async fn deadline_counts_from_the_submission() {
    let server = slow_submission(6 * SECOND);
    let start = Instant::now();
    let layer = exact_layer().deadline(10 * SECOND);
    let error = send(layer, &server, post(URL)).await.unwrap_err();
    assert!(error.is_deadline());
    assert_eq!(start.elapsed(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn deadline_that_has_passed_ends_polling_without_delays_too() {
    let server = slow_submission(SECOND);
    let policy = exact().min_delay(Duration::ZERO).max_delay(Duration::ZERO);
    let layer = PollLayer::with_policy(policy).deadline(3 * SECOND);
    let error = send(layer, &server, post(URL)).await.unwrap_err();
    assert!(error.is_deadline());
    assert_eq!(error.pending_job().unwrap().polls(), 0);
}

#[tokio::test(start_paused = true)]
async fn grpc_timeout_is_the_deadline_of_the_whole_call() {
    let script = Script::new(|_, _| see_other("/work/1"));
    let request = Request::post("/pkg.Service/Method")
        .header("grpc-timeout", "2500m")
        .body(Full::default())
        .unwrap();
    let error = send(exact_layer(), &script, request).await.unwrap_err();
    assert!(error.is_deadline());
    assert_eq!(script.count(), 3);
    assert!(script.seen()[1].headers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn longer_or_broken_grpc_timeout_changes_nothing() {
    for timeout in ["8H", "soon"] {
        let script = Script::new(|_, _| see_other("/work/1"));
        let request = Request::post("/pkg.Service/Method")
            .header("grpc-timeout", timeout)
            .body(Full::default())
            .unwrap();
        let layer = exact_layer().deadline(Duration::from_millis(1500));
        let error = send(layer, &script, request).await.unwrap_err();
        assert!(error.is_deadline());
        assert_eq!(script.count(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn new_delay_is_read_from_every_answer() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        1 => answer(303, &[("location", "/work/2"), ("retry-after", "9")]),
        2 => answer(303, &[("location", "/work/3"), ("retry-after-ms", "150")]),
        _ => answer(200, &[]),
    });
    send(exact_layer(), &script, post(URL)).await.unwrap();
    let at: Vec<_> = script.seen().iter().map(|seen| seen.at).collect();
    assert_eq!(at[2] - at[1], 9 * SECOND);
    assert_eq!(at[3] - at[2], Duration::from_millis(150));
}
