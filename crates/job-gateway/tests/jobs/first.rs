//! The first use of the gateway: one flag, and nothing else.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::sleep;

use crate::support::{Gateway, Upstream, get, send};

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
async fn a_quick_answer_passes_through() {
    let upstream = Upstream::of_requests(|_| async { Response::new(Full::from("quick")) }).await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    let answer = get(gateway.url("/")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.text(), "quick");
    assert!(!answer.headers.contains_key("job-status"));
}
