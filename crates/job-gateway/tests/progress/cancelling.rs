//! The cancelling of a job, as its server learns it.

use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::sleep,
};

use crate::{
    support::{Gateway, Upstream, get, send, soon},
    worker::{Worker, report},
};

/// Reads a request. Returns its URL for progress.
async fn url(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n{}") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
    }
    let request = String::from_utf8(request).unwrap();
    let url = request
        .lines()
        .find_map(|line| line.strip_prefix("job-progress-url: "));
    url.unwrap().to_owned()
}

async fn post(gateway: &Gateway) -> String {
    let request = Request::post(gateway.url("/")).body(Full::from("{}"));
    let pending = send(request.unwrap()).await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER);
    gateway.url(pending.header("location"))
}

async fn delete(job: &str) {
    let cancelled = send(Request::delete(job).body(Full::default()).unwrap()).await;
    assert_eq!(cancelled.header("job-status"), "cancelled");
}

#[tokio::test]
async fn a_server_has_a_grace_before_its_connection_is_closed() {
    let (urls, mut url_of) = mpsc::unbounded_channel();
    let (closes, mut closed) = mpsc::unbounded_channel();
    let upstream = Upstream::of_connections(move |mut stream| {
        let (urls, closes) = (urls.clone(), closes.clone());
        async move {
            urls.send(url(&mut stream).await).unwrap();
            assert_eq!(stream.read(&mut [0; 64]).await.unwrap_or(0), 0);
            closes.send(Instant::now()).unwrap();
        }
    });
    let upstream = upstream.await;
    let gateway = Gateway::before(&upstream.url(), &["--inline-wait", "100ms"]).await;
    let job = post(&gateway).await;
    let url = soon(url_of.recv()).await.unwrap();
    let before = get(url.clone()).await;
    assert_eq!(before.header("job-status"), "running");

    delete(&job).await;
    let cancelled = Instant::now();
    for told in [get(url.clone()).await, report(&url, "{}").await] {
        assert_eq!(told.status, StatusCode::NO_CONTENT);
        assert_eq!(told.header("job-status"), "cancelled");
        assert_eq!(told.header("cancel-after"), "0s");
    }
    let at = soon(closed.recv()).await.unwrap();
    let grace = at - cancelled;
    let expected = Duration::from_millis(4500)..Duration::from_secs(7);
    assert!(expected.contains(&grace), "{grace:?}");
    sleep(Duration::from_millis(100)).await;
    assert_eq!(get(url).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn a_server_that_stops_keeps_its_connection() {
    let (urls, mut url_of) = mpsc::unbounded_channel();
    let (ends, mut ended) = mpsc::unbounded_channel();
    let upstream = Upstream::of_connections(move |mut stream| {
        let (urls, ends) = (urls.clone(), ends.clone());
        async move {
            for _ in 0..2 {
                let url = url(&mut stream).await;
                urls.send(url.clone()).unwrap();
                while get(url.clone()).await.header("job-status") == "running" {
                    sleep(Duration::from_millis(20)).await;
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            }
            ends.send(()).unwrap();
        }
    });
    let upstream = upstream.await;
    let gateway = Gateway::before(&upstream.url(), &["--inline-wait", "100ms"]).await;
    for _ in 0..2 {
        let job = post(&gateway).await;
        soon(url_of.recv()).await.unwrap();
        delete(&job).await;
        sleep(Duration::from_millis(200)).await;
        assert_eq!(get(job).await.status, StatusCode::GONE);
    }
    soon(ended.recv()).await.unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_before_the_acceptance_ends_the_run() {
    let mut worker = Worker::start().await;
    let wait = ["--inline-wait", "30s"];
    let gateway = Gateway::before(&worker.upstream.url(), &wait).await;
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let url = worker.url().await;
    assert_eq!(get(url.clone()).await.status, StatusCode::NO_CONTENT);
    drop(stream);
    let gone = async {
        while get(url.clone()).await.status != StatusCode::GONE {
            sleep(Duration::from_millis(20)).await;
        }
    };
    soon(gone).await;
}
