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
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::sleep,
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

/// Serves requests on an address. Each answer is the number of its attempt.
async fn serve(address: SocketAddr) {
    let listener = TcpListener::bind(address).await.unwrap();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"{}") {
            assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
        }
        let text = String::from_utf8(read).unwrap();
        let attempt = text.split("job-attempt: ").nth(1).unwrap();
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\n";
        let answer = format!("{head}{}", &attempt[..1]);
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
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
    tokio::spawn(serve(address));
    for pending in pending {
        let result = result(&gateway, &pending).await;
        assert_eq!((result.status, result.text()), (StatusCode::OK, "1"));
    }
}

#[tokio::test]
async fn a_connection_that_is_reset_costs_an_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("jobs.db").display());
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    let upstream = Upstream::of_connections(move |mut stream| {
        let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            if number > 2 {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone";
                let _ = stream.write_all(answer).await;
            }
        }
    });
    let upstream = upstream.await;
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
    assert_eq!((result.status, result.text()), (StatusCode::OK, "done"));
    assert_eq!(count.load(Ordering::SeqCst), 3);
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
