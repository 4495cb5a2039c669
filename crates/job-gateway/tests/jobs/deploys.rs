//! Servers that are not there for a while, as during a deploy.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Request, StatusCode};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use crate::support::{Answer, Gateway, Upstream, send, talk};

async fn post(gateway: &Gateway, wait: &str) -> Answer {
    let request = Request::post(gateway.url("/a")).header("prefer", wait);
    send(request.body("{}".into()).unwrap()).await
}

/// Returns the result of a job, whose polls are held.
async fn result(gateway: &Gateway, pending: &Answer) -> Answer {
    let job = pending.header("location").split('?').next().unwrap();
    loop {
        let poll = Request::get(gateway.url(job)).header("prefer", "wait=10");
        let answer = send(poll.body("".into()).unwrap()).await;
        if answer.status != StatusCode::SEE_OTHER {
            return answer;
        }
    }
}

/// Serves requests. Each answer is the number of its attempt.
async fn serve(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(answer(stream));
    }
}

/// Answers the request of a connection, if it has one, with the number of its attempt.
async fn answer(mut stream: TcpStream) {
    let mut read = Vec::new();
    while !read.ends_with(b"{}") {
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let text = String::from_utf8(read).unwrap();
    let attempt = text.split("job-attempt: ").nth(1).unwrap();
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\n";
    let answer = format!("{head}{}", &attempt[..1]);
    stream.write_all(answer.as_bytes()).await.unwrap();
}

/// Returns a server that resets this number of connections first, and the number of all.
async fn resetting(resets: u32) -> (Upstream, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    let upstream = Upstream::of_connections(move |mut stream| {
        let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            match number > resets {
                true => answer(stream).await,
                false => drop(stream.read(&mut [0; 4096]).await),
            }
        }
    });
    (upstream.await, count)
}

async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn a_server_that_refuses_connections_costs_no_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("jobs.db").display());
    let address = free_address().await;
    let durable = [
        "--store",
        &*store,
        "--replay",
        "all",
        "--inline-wait",
        "100ms",
    ];
    let gateway = Gateway::before(&format!("http://{address}"), &durable).await;
    let mut pending = Vec::new();
    for wait in ["return=minimal", "respond-async", "wait=1"] {
        let begun = Instant::now();
        let answer = post(&gateway, wait).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{wait}: {answer:?}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{wait}");
        pending.push(answer);
    }
    sleep(Duration::from_secs(4)).await;
    tokio::spawn(serve(TcpListener::bind(address).await.unwrap()));
    for pending in pending {
        let result = result(&gateway, &pending).await;
        assert_eq!((result.status, result.text()), (StatusCode::OK, "1"));
    }
}

#[tokio::test]
async fn a_connection_that_is_reset_costs_an_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("jobs.db").display());
    let (upstream, count) = resetting(2).await;
    let durable = [
        "--store",
        &*store,
        "--replay",
        "all",
        "--inline-wait",
        "100ms",
    ];
    let gateway = Gateway::before(&upstream.url(), &durable).await;
    let pending = post(&gateway, "return=minimal").await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER, "{pending:?}");
    let result = result(&gateway, &pending).await;
    assert_eq!((result.status, result.text()), (StatusCode::OK, "3"));
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

/// Returns settings of jobs that have two attempts, in a store of a folder.
fn two_attempts(url: &str, folder: &TempDir) -> String {
    format!(
        "store = \"sqlite:{}\"\n[upstreams.app]\nurl = \"{url}\"\n\
        connect_timeout = \"200ms\"\n[defaults]\ninline_wait = \"100ms\"\nreplay = \"all\"\n\
        max_attempts = 2\n",
        folder.path().join("jobs.db").display(),
    )
}

#[tokio::test]
async fn a_job_whose_connections_are_always_reset_fails_after_its_last_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let (upstream, count) = resetting(u32::MAX).await;
    let gateway = Gateway::with(&two_attempts(&upstream.url(), &folder)).await;
    let pending = post(&gateway, "return=minimal").await;
    let result = result(&gateway, &pending).await;
    assert_eq!(result.header("job-status"), "failed", "{result:?}");
    assert_eq!(result.header("content-type"), "application/problem+json");
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_server_that_accepts_no_connection_costs_no_attempt() {
    let folder = tempfile::tempdir().unwrap();
    // The queue of the system is full.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    for _ in 0..4 {
        let connecting = TcpStream::connect(address);
        filling.push(timeout(Duration::from_millis(50), connecting).await);
    }
    let url = format!("http://{address}");
    let gateway = Gateway::with(&two_attempts(&url, &folder)).await;
    let pending = post(&gateway, "return=minimal").await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER, "{pending:?}");
    // Enough for all attempts, if these were some.
    sleep(Duration::from_secs(4)).await;
    drop(filling);
    tokio::spawn(serve(listener));
    let result = result(&gateway, &pending).await;
    assert_eq!((result.status, result.text()), (StatusCode::OK, "1"));
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_again_fails_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("jobs.db").display());
    let url = format!("http://{}", free_address().await);
    for arguments in [&["--store", &*store][..], &["--replay", "all"]] {
        let gateway = Gateway::before(&url, arguments).await;
        let request = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        let begun = Instant::now();
        let answer = talk(gateway.address(), request).await;
        assert!(
            answer.starts_with("HTTP/1.1 502"),
            "{arguments:?}: {answer}"
        );
        assert!(
            begun.elapsed() < Duration::from_millis(900),
            "{arguments:?}"
        );
    }
}
