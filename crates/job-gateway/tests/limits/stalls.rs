//! Clients that stand still, or go on for ever, with an answer at hand.

use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::sleep,
};

use crate::support::{Gateway, Upstream, get, soon};

const LIMITS: &str =
    "header_timeout = \"200ms\"\nbody_timeout = \"400ms\"\nidle_timeout = \"400ms\"";

async fn limited(upstream: &Upstream, more: &str) -> Gateway {
    let url = upstream.url();
    Gateway::with(&format!(
        "[clients]\n{LIMITS}\n[upstreams.app]\nurl = \"{url}\"\n{more}\n"
    ))
    .await
}

#[tokio::test]
async fn a_stream_whose_window_stays_shut_frees_its_place_at_the_server() {
    let large = || Response::new(Full::from(vec![b'x'; 4 << 20]));
    let upstream = Upstream::of_requests(move |_| async move { large() }).await;
    let gateway = limited(&upstream, "concurrency = 1").await;
    let stream = TcpStream::connect(gateway.address()).await.unwrap();
    let mut builder = h2::client::Builder::new();
    let handshake = builder.initial_window_size(0).handshake::<_, &[u8]>(stream);
    let (mut sender, connection) = soon(handshake).await.unwrap();
    let connected = tokio::spawn(connection);
    let request = Request::get(gateway.url("/")).body(()).unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    let response = soon(response).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);

    let begun = Instant::now();
    let other = get(gateway.url("/")).await;
    assert_eq!(other.body.len(), 4 << 20);
    assert!(begun.elapsed() > Duration::from_millis(200), "it waits");
    // The client that does nothing else is not kept either.
    let _ = soon(connected).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_upload_ends_soon_after_its_answer() {
    let (sender, mut ends) = mpsc::unbounded_channel();
    let upstream = Upstream::of_connections(move |mut stream| {
        let sender = sender.clone();
        async move {
            stream.read_exact(&mut [0; 64]).await.unwrap();
            let answer = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nno\n";
            stream.write_all(answer).await.unwrap();
            let mut bytes = 0;
            while let Ok(read @ 1..) = stream.read(&mut [0; 16 << 10]).await {
                bytes += read;
            }
            let _ = sender.send(bytes);
        }
    });
    let upstream = upstream.await;
    let gateway = limited(&upstream, "").await;
    for (piece, pause) in [(1, 50), (64 << 10, 1)] {
        let stream = TcpStream::connect(gateway.address()).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let uploading = tokio::spawn(async move {
            let head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10000000000\r\n\r\n";
            write.write_all(head).await.unwrap();
            while write.write_all(&vec![b'x'; piece]).await.is_ok() {
                sleep(Duration::from_millis(pause)).await;
            }
        });
        let begun = Instant::now();
        let bytes = soon(ends.recv()).await.unwrap();
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "by {piece}: {bytes}"
        );
        // With those that were in the buffers of connections.
        assert!(bytes < 8 << 20, "by {piece}: {bytes}");
        let mut answer = Vec::new();
        let _ = soon(read.read_to_end(&mut answer)).await;
        assert!(answer.starts_with(b"HTTP/1.1 413"), "{answer:?}");
        uploading.abort();
    }
}
