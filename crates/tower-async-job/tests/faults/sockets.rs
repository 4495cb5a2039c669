//! Requests that upgrade their connection, or only offer to, over real sockets.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, routing::any};
use http::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tower_async_job::{AsyncJobLayer, Builder, StreamPlace};

const PATIENCE: Duration = Duration::from_secs(10);

/// Serves a router under the layer: `/ws` echoes over an upgraded connection, `/slow` takes a
/// moment and answers with the number of its run, and everything else is answered immediately.
async fn serve(builder: Builder) -> (SocketAddr, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let slow = move || {
        let run = counted.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            sleep(Duration::from_millis(300)).await;
            run.to_string()
        }
    };
    let app = Router::new()
        .route("/ws", any(websocket))
        .route("/slow", any(slow))
        .fallback(|| async { "at once" })
        .layer(builder.build().expect("valid"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, runs)
}

async fn websocket(mut request: Request) -> Response<Body> {
    let place = StreamPlace::of(&request);
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let mut stream = TokioIo::new(upgraded);
        let mut byte = [0];
        while stream.read_exact(&mut byte).await.is_ok() {
            let _ = stream.write_all(&byte).await;
        }
        drop(place);
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .body(Body::empty())
        .expect("valid")
}

/// Writes a request, and reads the head of the answer.
async fn open(address: SocketAddr, request: &str) -> (TcpStream, String) {
    let mut connection = TcpStream::connect(address).await.expect("connected");
    let request = request.replace('\n', "\r\n");
    let written = connection.write_all(request.as_bytes()).await;
    written.expect("open");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = timeout(PATIENCE, connection.read_u8()).await;
        head.push(byte.expect("answered").expect("open"));
    }
    (connection, String::from_utf8(head).expect("text"))
}

const WEBSOCKET: &str = "GET /ws HTTP/1.1\nhost: x\nconnection: Upgrade\nupgrade: websocket\n\n";

/// The request of `curl --http2` on a connection without TLS.
const H2C: &str = "POST /slow HTTP/1.1\nhost: x\nuser-agent: curl/8\naccept: */*\n\
    connection: Upgrade, HTTP2-Settings\nupgrade: h2c\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\n\
    content-length: 0\nidempotency-key: \"k\"\n\n";

#[tokio::test]
async fn s66_key_holds_for_curl_that_offers_h2c() {
    let (address, runs) = serve(AsyncJobLayer::builder()).await;
    for _ in 0..3 {
        let (mut connection, head) = open(address, H2C).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(connection.read_u8().await.expect("a body"), b'1');
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn s66_limits_hold_for_curl_that_offers_h2c() {
    let (address, runs) = serve(AsyncJobLayer::builder().limits(2, 0)).await;
    let unkeyed = H2C.replace("idempotency-key: \"k\"\n", "");
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let unkeyed = unkeyed.clone();
        calls.spawn(async move { open(address, &unkeyed).await.1 });
    }
    let heads = calls.join_all().await;
    let refused = heads
        .iter()
        .filter(|head| head.starts_with("HTTP/1.1 503 "));
    assert!(refused.count() > 0);
    let served = heads
        .iter()
        .filter(|head| head.starts_with("HTTP/1.1 200 "));
    assert_eq!(served.count(), runs.load(Ordering::SeqCst));
    let deferred = unkeyed.replace("accept", "prefer: respond-async\naccept");
    let (_, head) = open(address, &deferred).await;
    assert!(head.starts_with("HTTP/1.1 303 "), "{head}");
}

#[tokio::test]
async fn s66_two_websockets_do_not_shut_out_others() {
    let builder = AsyncJobLayer::builder().limits(2, 0).streams(2, 2);
    let (address, _) = serve(builder).await;
    let (mut first, head) = open(address, WEBSOCKET).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let (mut second, head) = open(address, WEBSOCKET).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    for connection in [&mut first, &mut second] {
        connection.write_all(b"!").await.expect("open");
        assert_eq!(connection.read_u8().await.expect("echoed"), b'!');
    }
    let (_, head) = open(address, "GET / HTTP/1.1\nhost: x\n\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let (_, head) = open(address, WEBSOCKET).await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(head.contains("retry-after: 5"), "{head}");
    drop(first);
    let again = async {
        loop {
            let (connection, head) = open(address, WEBSOCKET).await;
            if head.starts_with("HTTP/1.1 101 ") {
                return connection;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, again)
        .await
        .expect("the place is given back");
}
