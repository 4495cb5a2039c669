//! The deadline that a client gives its work.

mod support;

use std::time::Duration;

use http::{HeaderValue, Request, StatusCode};
use support::{Body, eager, get, post, send, slow, wrap};
use tokio::time::{Instant, sleep};
use tower_async_job::AsyncJobLayer;

const SECOND: Duration = Duration::from_secs(1);

fn within(time: &str) -> Request<Body> {
    let mut request = post("/report");
    request
        .headers_mut()
        .insert("cancel-after", time.parse().expect("a valid value"));
    request
}

#[tokio::test(start_paused = true)]
async fn work_past_the_client_s_deadline_has_timed_out() {
    let service = wrap(&eager(AsyncJobLayer::builder()), slow(60 * SECOND, "late"));
    let accepted = send(&service, within("5s")).await.pending();
    sleep(4 * SECOND).await;
    send(
        &service,
        get(accepted.location().split_once('?').expect("hints").0),
    )
    .await
    .pending();
    sleep(2 * SECOND).await;
    let answer = send(&service, get(accepted.location())).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(answer.header("job-status"), "timed-out");
}

#[tokio::test(start_paused = true)]
async fn deadline_within_the_inline_wait_ends_that_too() {
    let service = wrap(&AsyncJobLayer::new(), slow(60 * SECOND, "late"));
    let begun = Instant::now();
    let accepted = send(&service, within("0.3")).await;
    assert_eq!(
        accepted.status,
        StatusCode::BAD_REQUEST,
        "not a whole number of seconds"
    );
    let accepted = send(&service, within("300ms")).await.pending();
    assert_eq!(begun.elapsed(), Duration::from_millis(300));
    sleep(SECOND / 10).await;
    let answer = send(&service, get(accepted.location())).await;
    assert_eq!(answer.header("job-status"), "timed-out");
}

#[tokio::test(start_paused = true)]
async fn client_cannot_ask_for_more_than_the_server_gives() {
    let layer = eager(AsyncJobLayer::builder().job_deadline(10 * SECOND));
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    let accepted = send(&service, within("1h")).await.pending();
    sleep(11 * SECOND).await;
    let answer = send(&service, get(accepted.location())).await;
    assert_eq!(answer.header("job-status"), "timed-out");
}

#[tokio::test(start_paused = true)]
async fn malformed_deadline_is_400() {
    let service = wrap(&AsyncJobLayer::new(), slow(SECOND / 2, "done"));
    for time in ["soon", "-1", "5 parsecs"] {
        let answer = send(&service, within(time)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{time}");
    }
}

#[tokio::test(start_paused = true)]
async fn grpc_timeout_is_the_deadline_of_a_grpc_job() {
    let service = wrap(&AsyncJobLayer::new(), slow(60 * SECOND, "late"));
    let mut request = post("/pkg.Service/Method");
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("prefer", "respond-async"),
        ("grpc-timeout", "2S"),
    ] {
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    let accepted = send(&service, request).await.pending();
    sleep(3 * SECOND).await;
    let answer = send(&service, get(accepted.location())).await;
    assert_eq!(answer.header("grpc-status"), "4");
    assert_eq!(answer.header("job-status"), "timed-out");
}

#[tokio::test(start_paused = true)]
async fn each_of_many_jobs_ends_at_its_own_deadline() {
    let layer = eager(AsyncJobLayer::builder());
    let service = wrap(&layer, slow(3600 * SECOND, "late"));
    let mut jobs = Vec::new();
    // The later, the nearer.
    for seconds in (1..=600).rev() {
        let accepted = send(&service, within(&format!("{seconds}s"))).await;
        jobs.push((seconds, accepted.pending().location().to_owned()));
    }
    sleep(300 * SECOND + SECOND / 2).await;
    for (seconds, location) in jobs {
        let (path, _) = location.split_once('?').expect("hints");
        let answer = send(&service, get(path)).await;
        let state = if seconds <= 300 {
            "timed-out"
        } else {
            "running"
        };
        assert_eq!(answer.header("job-status"), state, "{seconds} s");
    }
}
