//! The first use of the gateway: one flag, and nothing else.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::sleep;

use crate::support::{Gateway, Upstream, get, send, talk};

#[tokio::test]
async fn a_slow_post_becomes_a_job_whose_result_is_polled() {
    let upstream = Upstream::of_requests(|request| async move {
        let path = request.uri().path().to_owned();
        sleep(Duration::from_millis(1500)).await;
        Response::new(Full::from(format!("the report of {path}")))
    });
    let upstream = upstream.await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    let request = Request::post(gateway.url("/reports/7"));
    let pending = send(request.body("{}".into()).unwrap()).await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER);
    assert!(pending.header("location").starts_with("/work/"));
    assert_eq!(pending.header("job-status"), "running");

    sleep(Duration::from_secs(1)).await;
    let done = get(gateway.url(pending.header("location"))).await;
    assert_eq!(done.status, StatusCode::OK);
    assert_eq!(done.text(), "the report of /reports/7");
}

#[tokio::test]
async fn jobs_have_another_status_and_another_path_by_flags() {
    let upstream = Upstream::of_requests(|request| async move {
        if request.uri().path() == "/slow" {
            sleep(Duration::from_millis(500)).await;
        }
        Response::new(Full::from("done"))
    });
    let upstream = upstream.await;
    let flags = [
        "--pending-status",
        "202",
        "--base",
        "/jobs",
        "--inline-wait",
        "100ms",
    ];
    let gateway = Gateway::before(&upstream.url(), &flags).await;
    let request = Request::post(gateway.url("/slow"));
    let pending = send(request.body("{}".into()).unwrap()).await;
    assert_eq!(pending.status, StatusCode::ACCEPTED);
    let job = pending.header("location");
    assert!(job.starts_with("/jobs/"), "{job}");
    let running = get(gateway.url(job)).await;
    assert_eq!(running.status, StatusCode::ACCEPTED);
    assert_eq!(running.header("job-status"), "running");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(get(gateway.url(job)).await.text(), "done");
    // The usual path is the server's.
    let usual = Request::get(gateway.url("/work/1")).header("prefer", "wait=10");
    assert_eq!(send(usual.body("".into()).unwrap()).await.text(), "done");
}

#[tokio::test]
async fn the_offer_of_http_2_does_not_hold_a_connection() {
    let upstream = Upstream::of_requests(|_| async {
        sleep(Duration::from_secs(5)).await;
        Response::new(Full::from("slow"))
    });
    let upstream = upstream.await;
    let gateway = Gateway::before(&upstream.url(), &["--inline-wait", "100ms"]).await;
    // As curl sends it with `--http2`.
    let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close, upgrade, http2-settings\r\n\
        upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n";
    let answer = talk(gateway.address(), request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
}

#[tokio::test]
async fn a_quick_answer_passes_through() {
    let upstream = Upstream::of_requests(|_| async { Response::new(Full::from("quick")) }).await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    let answer = get(gateway.url("/")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.text(), "quick");
    assert!(!answer.headers.contains_key("job-status"));
}
