//! The limits of clients, which a reload replaces.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use http_body_util::BodyExt;
use rustix::process::Signal;
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    file::file,
    support::{Gateway, Upstream, command, full, soon},
};

fn settings(upstream: &str, connections: usize, headers: usize) -> String {
    format!(
        "listen = [\"127.0.0.1:0\"]\n[clients]\nconnections = {connections}\nheaders = {headers}\n\
         [upstreams.app]\nurl = \"{upstream}\"\n"
    )
}

async fn started(connections: usize, headers: usize) -> (Upstream, Gateway, NamedTempFile) {
    let upstream = Upstream::of_requests(|_| async { http::Response::new(full("app")) }).await;
    let file = file(&settings(&upstream.url(), connections, headers));
    let path = file.path().display().to_string();
    let mut starting = command(["--config", &path]);
    starting.stderr(Stdio::null());
    (upstream, Gateway::start(starting).await, file)
}

/// Sends a request with a number of further fields on an open connection, and returns the status.
async fn ask(stream: &mut TcpStream, fields: usize) -> String {
    let fields: String = (0..fields)
        .map(|number| format!("x-{number}: 1\r\n"))
        .collect();
    let asked = format!("GET / HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n{fields}\r\n");
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\napp") && stream.read_buf(&mut answer).await.unwrap() > 0 {}
    let answer = String::from_utf8(answer).unwrap();
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

async fn connect(gateway: &Gateway) -> TcpStream {
    TcpStream::connect(gateway.address()).await.unwrap()
}

/// Returns whether a connection is answered soon.
async fn is_served(stream: &mut TcpStream) -> bool {
    let answered = timeout(Duration::from_millis(300), ask(stream, 0)).await;
    answered.is_ok_and(|status| status == "200")
}

#[tokio::test]
async fn connections_that_follow_have_the_new_limits() {
    let (upstream, gateway, file) = started(100, 10).await;
    let mut old = connect(&gateway).await;
    assert_eq!(ask(&mut old, 0).await, "200");
    assert_eq!(ask(&mut connect(&gateway).await, 20).await, "431");
    fs::write(&file, settings(&upstream.url(), 100, 50)).unwrap();
    gateway.signal(Signal::HUP);
    let replaced = async {
        while ask(&mut connect(&gateway).await, 20).await != "200" {
            sleep(Duration::from_millis(10)).await;
        }
    };
    soon(replaced).await;
    assert_eq!(ask(&mut old, 0).await, "200");
}

#[tokio::test]
async fn the_number_of_connections_grows_and_shrinks() {
    let (upstream, gateway, file) = started(1, 100).await;
    let mut first = connect(&gateway).await;
    assert!(is_served(&mut first).await);
    let mut second = connect(&gateway).await;
    assert!(!is_served(&mut second).await);

    let reload = |connections| {
        fs::write(&file, settings(&upstream.url(), connections, 100)).unwrap();
        gateway.signal(Signal::HUP);
    };
    reload(2);
    let mut answer = Vec::new();
    let answered = async {
        while !answer.ends_with(b"app") {
            second.read_buf(&mut answer).await.unwrap();
        }
    };
    soon(answered).await;

    reload(1);
    sleep(Duration::from_millis(200)).await;
    assert!(is_served(&mut first).await);
    assert!(is_served(&mut second).await);
    drop(first);
    sleep(Duration::from_millis(200)).await;
    let mut third = connect(&gateway).await;
    assert!(!is_served(&mut third).await);
    assert!(is_served(&mut second).await);
    drop(second);
    let mut answer = Vec::new();
    let answered = async {
        while !answer.ends_with(b"app") {
            third.read_buf(&mut answer).await.unwrap();
        }
    };
    soon(answered).await;
}

/// Sends the head of an upload and a part of its body, and returns the status of the answer.
async fn stall(gateway: &Gateway) -> String {
    let mut stream = connect(gateway).await;
    let part = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\npart";
    stream.write_all(part).await.unwrap();
    let mut head = [0; 12];
    soon(stream.read_exact(&mut head)).await.unwrap();
    String::from_utf8_lossy(&head[9..]).into_owned()
}

#[tokio::test]
async fn uploads_that_follow_have_the_new_times() {
    let upstream = Upstream::of_requests(|request| async {
        let _ = request.into_body().collect().await;
        http::Response::new(full("app"))
    });
    let upstream = upstream.await;
    let settings = |body_timeout: &str, deadline: &str| {
        format!(
            "listen = [\"127.0.0.1:0\"]\n[clients]\nbody_timeout = \"{body_timeout}\"\n\
             [defaults]\ndeadline = \"{deadline}\"\n[upstreams.app]\nurl = \"{}\"\n",
            upstream.url()
        )
    };
    for (body_timeout, deadline) in [("300ms", "1h"), ("30s", "1s")] {
        let file = file(&settings("30s", "1h"));
        let path = file.path().display().to_string();
        let gateway = Gateway::start(command(["--config", &path])).await;
        fs::write(&file, settings(body_timeout, deadline)).unwrap();
        gateway.signal(Signal::HUP);
        sleep(Duration::from_millis(200)).await;
        let began = Instant::now();
        assert_eq!(stall(&gateway).await, "408");
        assert!(began.elapsed() < Duration::from_secs(3));
    }
}
