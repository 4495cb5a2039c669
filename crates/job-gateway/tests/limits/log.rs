//! The log: a line of JSON for each request.

use std::process::Stdio;

use http::Request;
use serde_json::Value;
use tokio::io::AsyncReadExt;

use crate::support::{Gateway, Upstream, command, full, send, soon, talk};

/// Returns the lines of the log with this message, after the end of a gateway.
async fn lines(gateway: &mut Gateway, message: &str) -> Vec<Value> {
    gateway.signal(rustix::process::Signal::TERM);
    let mut log = String::new();
    soon(gateway.log().read_to_string(&mut log)).await.unwrap();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["message"] == message).collect()
}

#[tokio::test]
async fn the_end_of_a_job_is_a_line_with_its_handle() {
    let upstream = Upstream::of_requests(|request| async move {
        let handle = request.headers()["job-handle"].clone();
        let never = request.uri().path() == "/never";
        tokio::time::sleep(std::time::Duration::from_millis(if never {
            9000
        } else {
            400
        }))
        .await;
        http::Response::new(full(handle.as_bytes().to_vec()))
    });
    let upstream = upstream.await;
    let url = upstream.url();
    let wait = [
        "--upstream",
        &*url,
        "--listen",
        "127.0.0.1:0",
        "--inline-wait",
        "100ms",
    ];
    let mut command = command(wait);
    command.stderr(Stdio::piped());
    let mut gateway = Gateway::start(command).await;
    let post = async |path: &str| {
        let request = Request::post(gateway.url(path)).body("".into()).unwrap();
        let pending = send(request).await;
        pending
            .header("location")
            .split('?')
            .next()
            .unwrap()
            .to_owned()
    };
    let never = post("/never").await;
    send(
        Request::delete(gateway.url(&never))
            .body("".into())
            .unwrap(),
    )
    .await;
    let job = post("/job").await;
    let poll = Request::get(gateway.url(&job)).header("prefer", "wait=10");
    let done = send(poll.body("".into()).unwrap()).await;
    let lines = lines(&mut gateway, "job").await;
    let by = |state: &str| lines.iter().find(|line| line["state"] == state).unwrap();
    let line = by("done");
    assert_eq!(
        (&line["handle"], &line["route"]),
        (&done.text().into(), &"default".into())
    );
    assert_eq!(line["attempt"], 1);
    assert!(by("cancelled")["handle"].as_str().unwrap().len() == 16);
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[tokio::test]
async fn a_request_is_a_line_without_secrets() {
    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    let (upstream, seen) = Upstream::of_bytes(ok).await;
    let url = upstream.url();
    let mut command = command(["--upstream", &url, "--listen", "127.0.0.1:0"]);
    command.stderr(Stdio::piped());
    let mut gateway = Gateway::start(command).await;
    let id = "0123456789abcdef0123456789abcdef";
    for target in [
        "/a%20b?token=secret",
        &format!("/work/{id}?token=secret"),
        "/../x",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        talk(gateway.address(), request.as_bytes()).await;
    }
    gateway.signal(rustix::process::Signal::TERM);
    let mut log = String::new();
    soon(gateway.log().read_to_string(&mut log)).await.unwrap();
    assert!(!log.contains("secret") && !log.contains(id), "{log}");
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<_> = lines.filter(|line| line["message"] == "request").collect();
    assert_eq!(lines.len(), 3, "{log}");
    let only = seen.only();
    let handle = only
        .iter()
        .find_map(|line| line.strip_prefix("job-handle: "));
    assert_eq!(lines[0]["handle"], handle.unwrap());
    assert_eq!(lines[0]["path"], "/a%20b");
    assert_eq!(lines[0]["route"], "default");
    assert_eq!(lines[0]["status"], 200);
    assert_eq!(lines[0]["client"], "127.0.0.1");
    assert_eq!(lines[1]["path"], "/work/…");
    assert_eq!(
        (&lines[1]["status"], &lines[2]["status"]),
        (&404.into(), &400.into())
    );
}
