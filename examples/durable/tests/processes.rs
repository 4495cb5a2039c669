//! Runs the application as a process, and ends it while a client waits.
#![cfg(unix)]

use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tower::{Layer, ServiceExt};
use tower_poll::PollLayer;

const SECOND: Duration = Duration::from_secs(1);

/// The application, which is killed when dropped.
struct Application {
    process: Child,
    address: SocketAddr,
}

fn command(store: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_durable"));
    command.arg("--store").arg(store).kill_on_drop(true);
    command
}

impl Application {
    async fn start(store: &Path, listen: SocketAddr, grace: &str) -> Self {
        let mut process = command(store)
            .args(["--listen", &listen.to_string(), "--grace", grace])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        let address = line.strip_prefix("listening on http://").unwrap();
        let address = address.parse().unwrap();
        Self { process, address }
    }

    /// Orders a report from a client that polls for it. Returns its text.
    fn order(&self, pages: u32) -> JoinHandle<serde_json::Value> {
        let request = Request::post(format!("http://{}/reports/2026", self.address))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(format!(r#"{{"pages": {pages}}}"#)))
            .unwrap();
        tokio::spawn(async move {
            let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
            let client = PollLayer::new().poll_retries(100).layer(client);
            let response = client.oneshot(request).await.expect("an answer");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            serde_json::from_slice(&body).expect("JSON")
        })
    }

    fn signal(&self, signal: Signal) {
        let id = self.process.id().unwrap().try_into().unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Waits for the end of the process after SIGTERM. Returns the time that it took.
    async fn ended(&mut self) -> Duration {
        let begun = Instant::now();
        let status = timeout(30 * SECOND, self.process.wait()).await;
        assert!(status.expect("it ends").unwrap().success());
        begun.elapsed()
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[tokio::test]
async fn s03_report_of_a_process_that_was_killed_arrives_from_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("jobs.db");
    let mut first = Application::start(&store, any_port(), "25").await;
    let report = first.order(25);
    sleep(2 * SECOND).await;
    first.process.kill().await.unwrap();
    let _second = Application::start(&store, first.address, "25").await;
    let report = timeout(60 * SECOND, report).await.expect("in time");
    let expected = serde_json::json!({"title": "The year 2026", "pages": 25, "attempt": 2});
    assert_eq!(report.unwrap(), expected);
}

#[tokio::test]
async fn s39_process_that_is_terminated_hands_its_reports_over_within_the_grace() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("jobs.db");
    let mut first = Application::start(&store, any_port(), "1").await;
    let report = first.order(40);
    sleep(2 * SECOND).await;
    first.signal(Signal::TERM);
    let took = first.ended().await;
    assert!(took < 4 * SECOND, "{took:?}");
    let _second = Application::start(&store, first.address, "25").await;
    let report = timeout(60 * SECOND, report)
        .await
        .expect("in time")
        .unwrap();
    assert_eq!(report["attempt"], 1, "a deploy uses no attempt up");
}

#[tokio::test]
async fn s40_second_signal_ends_the_process_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("jobs.db");
    let mut application = Application::start(&store, any_port(), "25").await;
    let report = application.order(200);
    sleep(2 * SECOND).await;
    application.signal(Signal::TERM);
    sleep(SECOND / 2).await;
    application.signal(Signal::TERM);
    let took = application.ended().await;
    assert!(took < 2 * SECOND, "{took:?}");
    report.abort();
}

#[tokio::test]
async fn errors_name_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing/jobs.db");
    let output = command(&missing).output().await.unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        error.starts_with("error: ") && error.contains("missing/jobs.db"),
        "{error}"
    );
    let store = directory.path().join("jobs.db");
    let taken = Application::start(&store, any_port(), "25").await;
    let listen = taken.address.to_string();
    let output = command(&store).args(["--listen", &listen]).output().await;
    let error = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(
        error.contains(&format!("cannot listen on {listen}")),
        "{error}"
    );
}
