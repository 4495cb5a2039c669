//! nginx with the directives of the guide to production.

use std::{future::pending, net::UdpSocket, time::Duration};

use axum::{Router, routing::post};
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use test_services::{WebServer, available};
use tokio::net::TcpListener;
use tower_async_job::AsyncJobLayer;

const GUIDE: &str = include_str!("../../../docs/production.md");

/// Returns the blocks for nginx: of a server, and outside of one.
fn blocks() -> [&'static str; 2] {
    let blocks = GUIDE.split("```nginx\n").skip(1);
    let blocks: Vec<_> = blocks
        .filter_map(|block| block.split("```").next())
        .collect();
    blocks.try_into().expect("two blocks")
}

/// Starts a server whose jobs never end, and returns its URL.
async fn endless() -> String {
    let jobs = AsyncJobLayer::builder().inline_wait(Duration::ZERO).build();
    let app = Router::new()
        .route("/report", post(pending::<String>))
        .layer(jobs.expect("valid settings"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(axum::serve(listener, app).into_future());
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_pass_and_ids_of_jobs_are_not_logged() {
    let [location, format] = blocks();
    let location = location.replace("http://127.0.0.1:3000", &endless().await);
    let log = UdpSocket::bind("127.0.0.1:0").expect("a port");
    log.set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a timeout");
    let to = log.local_addr().expect("bound");
    let log_to = format!("access_log syslog:server={to} without_jobs;");
    let nginx = WebServer::nginx_with(format, &format!("{log_to}\n{location}"));
    let Some(nginx) = available(nginx) else {
        return;
    };

    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let mut line = [0; 4096];
    let mut logged = || {
        let length = log.recv(&mut line).expect("a line of the log");
        String::from_utf8_lossy(&line[..length]).into_owned()
    };
    let submission = Request::post(format!("{}/report", nginx.url())).body(Empty::new());
    let accepted = client
        .request(submission.expect("valid"))
        .await
        .expect("an answer");
    assert_eq!(accepted.status(), StatusCode::SEE_OTHER);
    assert!(logged().contains("\"POST /report\" 303"));

    let job = guides::location(&accepted)
        .split('?')
        .next()
        .expect("a path");
    let (shown, hidden) = job.split_at("/work/".len() + 8);
    let poll = Request::get(format!("{}{job}", nginx.url()))
        .header("referer", format!("{}{job}", nginx.url()))
        .body(Empty::new());
    let poll = client
        .request(poll.expect("valid"))
        .await
        .expect("an answer");
    assert_eq!(poll.headers()["job-status"], "running");
    let line = logged();
    assert!(line.contains(&format!("\"GET {shown}...\" 303")), "{line}");
    assert!(
        line.contains(&format!("{}{shown}...\"", nginx.url())),
        "{line}"
    );
    assert!(!line.contains(&hidden[..8]), "{line}");
}
