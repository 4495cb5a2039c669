//! Runs the server on a free port and polls it by hand.

use std::process::Stdio;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::LOCATION};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// The server, which is killed when dropped, and the URL that it prints.
async fn server() -> (Child, String) {
    let mut server = Command::new(env!("CARGO_BIN_EXE_axum-server"))
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let url = line.strip_prefix("listening on ").unwrap();
    (server, url.to_owned())
}

async fn send(method: Method, url: &str, prefer: &str) -> Response<String> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header("prefer", prefer)
        .body(Full::<Bytes>::default())
        .unwrap();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(head, String::from_utf8(body.into()).unwrap())
}

#[tokio::test]
async fn a_short_report_is_answered_at_once() {
    let (_server, url) = server().await;
    let answer = send(Method::POST, &format!("{url}/report?seconds=0.05"), "").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.body().contains("20 chapters"));
}

#[tokio::test]
async fn a_long_report_becomes_a_job_that_tells_its_progress_and_can_be_cancelled() {
    let (_server, url) = server().await;
    let report = format!("{url}/report?seconds=60");
    let accepted = send(Method::POST, &report, "respond-async").await;
    assert_eq!(accepted.status(), StatusCode::SEE_OTHER);
    let location = accepted.headers()[LOCATION].to_str().unwrap();
    let job = format!("{url}{}", location.split('?').next().unwrap());

    let mut status = send(Method::GET, &format!("{job}/status"), "").await;
    // Progress reports reach the store with a delay.
    while !status.body().contains("writing chapter 1") {
        assert!(
            status.body().contains(r#""state":"running""#),
            "{}",
            status.body()
        );
        status = send(Method::GET, &format!("{job}/status"), "").await;
    }
    let cancelled = send(Method::DELETE, &job, "").await;
    assert_eq!(cancelled.status(), StatusCode::ACCEPTED);
    let gone = send(Method::GET, &job, "").await;
    assert_eq!(gone.status(), StatusCode::GONE);
}

#[tokio::test]
async fn a_duration_that_is_none_is_refused() {
    let (_server, url) = server().await;
    let answer = send(Method::POST, &format!("{url}/report?seconds=-1"), "").await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}
