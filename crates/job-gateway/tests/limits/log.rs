//! The log: a line of JSON for each request.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncReadExt;

use crate::support::{Gateway, Upstream, command, soon, talk};

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
