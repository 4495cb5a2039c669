//! Runs the servers as processes, and terminates them while clients wait.
#![cfg(unix)]

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    time::{sleep, timeout},
};
use tower::{Layer, ServiceExt};
use tower_poll::PollLayer;

const SECOND: Duration = Duration::from_secs(1);

const REPORT: &str = "the report\n";

/// The server, which is killed when dropped, and the URL that it prints.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    async fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_graceful-shutdown"))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Self { process, url }
    }

    fn report(&self, seconds: u64) -> String {
        format!("{}/report?seconds={seconds}", self.url)
    }

    fn terminate(&self) {
        let id = self.process.id().unwrap().try_into().unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
    }

    /// Waits for the end of the process. Returns the time that this took, and the log.
    async fn ended(&mut self) -> (Duration, String) {
        let begun = Instant::now();
        let status = timeout(40 * SECOND, self.process.wait()).await;
        assert!(status.expect("it ends").unwrap().success());
        let mut log = String::new();
        let mut errors = self.process.stderr.take().unwrap();
        errors.read_to_string(&mut log).await.unwrap();
        (begun.elapsed(), log)
    }
}

/// Makes a call through `PollLayer`.
async fn poll_layer(url: String) -> String {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::post(url).body(Full::<Bytes>::default()).unwrap();
    let response = PollLayer::new().layer(client).oneshot(request).await;
    let body = response.expect("an answer").into_body().collect().await;
    String::from_utf8(body.unwrap().to_bytes().into()).unwrap()
}

async fn output(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().await.unwrap();
    let printed = if status.success() { stdout } else { stderr };
    String::from_utf8_lossy(&printed).into_owned()
}

async fn curl(url: String) -> String {
    output(Command::new("curl").args(["-sSL", "-d", "", &url])).await
}

/// Makes a call with the command `poll` of the package `poll-cli`.
async fn poll_command(poll: PathBuf, url: String) -> String {
    output(Command::new(poll).args(["-X", "POST", &url])).await
}

/// Returns the path of the command, which is built if it does not exist.
fn built_poll_command() -> PathBuf {
    let poll = PathBuf::from(env!("CARGO_BIN_EXE_graceful-shutdown")).with_file_name("poll");
    if !poll.exists() {
        let mut cargo = std::process::Command::new(env!("CARGO"));
        let built = cargo.args(["build", "--quiet", "-p", "poll-cli"]).status();
        assert!(built.unwrap().success());
    }
    poll
}

/// Submits work of 8 s with several clients, and terminates the server after 2 s.
async fn all_get_their_reports(stack: &str, poll: &Path) {
    let mut server = Server::start(&["--stack", stack]).await;
    let (first, second, third) = (
        tokio::spawn(curl(server.report(8))),
        tokio::spawn(poll_layer(server.report(8))),
        tokio::spawn(poll_command(poll.to_owned(), server.report(8))),
    );
    sleep(2 * SECOND).await;
    server.terminate();
    let refused = tokio::spawn(curl(server.report(8)));
    assert!(refused.await.unwrap().contains("capacity-exhausted"));
    for (client, answer) in [("curl", first), ("PollLayer", second), ("poll", third)] {
        assert_eq!(answer.await.unwrap(), REPORT, "{client} on {stack}");
    }
    let (took, log) = server.ended().await;
    assert!(took < 8 * SECOND, "{took:?}");
    assert_eq!(log, "");
}

#[tokio::test]
async fn s72_clients_of_all_servers_get_their_reports() {
    let poll = built_poll_command();
    tokio::join!(
        all_get_their_reports("axum", &poll),
        all_get_their_reports("hyper", &poll),
        all_get_their_reports("tonic", &poll),
    );
}

#[tokio::test]
async fn s72_client_that_was_told_20_s_gets_its_report() {
    let mut server = Server::start(&["--retry-after", "20", "--grace", "30"]).await;
    let answer = tokio::spawn(poll_layer(server.report(8)));
    sleep(2 * SECOND).await;
    server.terminate();
    assert_eq!(answer.await.unwrap(), REPORT);
    server.ended().await;
}

#[tokio::test]
async fn s72_report_for_a_client_that_was_told_longer_than_the_grace_is_logged_as_lost() {
    let mut server = Server::start(&["--retry-after", "60", "--grace", "3"]).await;
    let answer = tokio::spawn(poll_layer(server.report(2)));
    sleep(2 * SECOND).await;
    server.terminate();
    let (took, log) = server.ended().await;
    assert!(took >= 2 * SECOND, "{took:?}");
    assert!(log.contains("a job is lost with the shutdown"), "{log}");
    let handle = log.split("handle=").nth(1).expect("the handle");
    let digits = handle.chars().take_while(char::is_ascii_hexdigit);
    assert_eq!(digits.count(), 16, "{log}");
    answer.abort();
}

#[tokio::test]
async fn s40_second_signal_ends_the_process_at_once() {
    let mut server = Server::start(&[]).await;
    let answer = tokio::spawn(poll_layer(server.report(30)));
    sleep(2 * SECOND).await;
    server.terminate();
    sleep(SECOND).await;
    server.terminate();
    let (took, _) = server.ended().await;
    assert!(took < 2 * SECOND, "{took:?}");
    answer.abort();
}
