//! Bodies and trailers, both ways.

use std::{
    convert::Infallible,
    env,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use crate::support::{Answer, Body, Gateway, Upstream, client, full, soon, talk};

const PIECE: usize = 64 << 10;

/// Returns a body of this number of pieces, each of which has its number, with trailers.
fn pieces(count: u32, trailers: Option<HeaderMap>) -> Body {
    let piece = |number: u32| {
        let mut piece = vec![b'a'; PIECE];
        piece[..4].copy_from_slice(&number.to_be_bytes());
        Frame::data(Bytes::from(piece))
    };
    let frames = (0..count).map(piece).chain(trailers.map(Frame::trailers));
    StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>))).boxed_unsync()
}

/// Returns a server that sends back what it receives.
async fn echo() -> Upstream {
    Upstream::of_requests(|request| async {
        let body = request.into_body();
        Response::new(body.map_err(|_| -> Infallible { panic!("a body that failed") }))
    })
    .await
}

/// Returns the number of pieces of a big body: 50 MiB, or as many as its variable says.
fn count() -> u32 {
    let size = env::var("JOB_GATEWAY_BODY_MIB");
    let size: u32 = size.map_or(50, |size| size.parse().unwrap());
    size * ((1 << 20) / PIECE as u32)
}

/// Demands that a body is that of as many pieces, in their order.
#[derive(Default)]
struct Pieces {
    received: usize,
    piece: Vec<u8>,
}

impl Pieces {
    fn add(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let (part, rest) = data.split_at(data.len().min(PIECE - self.piece.len()));
            self.piece.extend(part);
            data = rest;
            if self.piece.len() == PIECE {
                let number = u32::try_from(self.received).unwrap().to_be_bytes();
                assert_eq!(self.piece[..4], number);
                assert!(self.piece[4..] == [b'a'; PIECE - 4], "piece {number:?}");
                self.received += 1;
                self.piece.clear();
            }
        }
    }

    fn end(&self, count: u32) {
        assert_eq!((self.received, self.piece.len()), (count as usize, 0));
    }
}

/// Uploads a big body, and downloads it again.
async fn big_bodies(http2: bool, method: &str, of_server: &str, arguments: &[&str]) {
    let upstream = echo().await;
    let url = upstream.url().replace("http:", of_server);
    let gateway = Gateway::before(&url, arguments).await;
    let before = gateway.peak_memory();
    let request = Request::builder().method(method).uri(gateway.url("/"));
    let request = request.body(pieces(count(), None)).unwrap();
    let response = soon(client(http2).request(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let (mut body, mut received) = (response.into_body(), Pieces::default());
    while let Some(frame) = soon(body.frame()).await {
        let Ok(data) = frame.unwrap().into_data() else {
            continue;
        };
        received.add(&data);
    }
    received.end(count());
    let grown = gateway.peak_memory() - before;
    assert!(grown < 12 << 20, "{grown} bytes more than before");
}

#[tokio::test]
async fn a_big_upload_and_download_pass_over_http_1_in_constant_memory() {
    big_bodies(false, "POST", "http:", &[]).await;
}

#[tokio::test]
async fn a_big_upload_and_download_pass_over_http_2_in_constant_memory() {
    big_bodies(true, "PUT", "h2c:", &[]).await;
}

#[tokio::test]
async fn a_big_upload_that_is_too_long_to_be_stored_passes_in_constant_memory() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("jobs.db").display());
    let durable = ["--store", &*store, "--replay", "all"];
    big_bodies(false, "POST", "http:", &durable).await;
}

#[tokio::test]
async fn an_upload_that_its_server_reads_slowly_is_not_gathered() {
    let upstream = Upstream::of_requests(|request| async {
        let mut body = request.into_body();
        let mut received = 0;
        while let Some(frame) = body.frame().await {
            received += frame.unwrap().into_data().unwrap().len();
            // The client is faster by far.
            tokio::time::sleep(std::time::Duration::from_micros(500)).await;
        }
        Response::new(full(received.to_string()))
    });
    let upstream = upstream.await;
    let gateway = Gateway::before(&upstream.url(), &["--inline-wait", "100ms"]).await;
    let before = gateway.peak_memory();
    let request = Request::post(gateway.url("/"))
        .body(pieces(800, None))
        .unwrap();
    let answer = Answer::read(soon(client(false).request(request)).await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.text(), (800 * PIECE).to_string());
    let grown = gateway.peak_memory() - before;
    assert!(grown < 12 << 20, "{grown} bytes more than before");
}

async fn trailers(http2: bool) {
    let upstream = echo().await;
    let url = upstream
        .url()
        .replace("http:", if http2 { "h2c:" } else { "http:" });
    let gateway = Gateway::before(&url, &[]).await;
    let mut sent = HeaderMap::new();
    sent.insert("x-sum", HeaderValue::from_bytes(b"a  \xe4").unwrap());
    sent.append("x-sum", HeaderValue::from_static("b"));
    sent.insert("job-handle", HeaderValue::from_static("0123456789abcdef"));
    sent.insert("x_sum", HeaderValue::from_static("c"));
    let request = Request::post(gateway.url("/"))
        .header("trailer", "x-sum, job-handle, x_sum")
        .header("te", "trailers")
        .body(pieces(1, Some(sent)))
        .unwrap();
    // The server declares the trailers that it sends back.
    let answer = Answer::read(soon(client(http2).request(request)).await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.body.len(), PIECE);
    let trailers = answer.trailers.expect("trailers");
    let sums: Vec<_> = trailers.get_all("x-sum").iter().collect();
    assert_eq!(sums[0].as_bytes(), b"a  \xe4");
    assert_eq!(sums[1], "b");
    assert_eq!(trailers.len(), 2, "{trailers:?}");
}

#[tokio::test]
async fn trailers_pass_over_http_2() {
    trailers(true).await;
}

#[tokio::test]
async fn trailers_pass_over_http_1() {
    let seen: Arc<AtomicU64> = Arc::default();
    let counted = seen.clone();
    let upstream = Upstream::of_requests(move |request| {
        let counted = counted.clone();
        async move {
            let body = request.into_body().collect().await.unwrap();
            let trailers = body.trailers().unwrap().clone();
            counted.store(trailers.len() as u64, Ordering::SeqCst);
            let frames = [Frame::data(body.to_bytes()), Frame::trailers(trailers)];
            let body = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)));
            let mut response = Response::new(body);
            let declared = HeaderValue::from_static("x-sum");
            response.headers_mut().insert("trailer", declared);
            response
        }
    });
    let upstream = upstream.await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    let request = b"POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te, close\r\n\
        trailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1  2\r\n\r\n";
    let answer = talk(gateway.address(), request).await;
    assert!(answer.contains("\r\ntrailer: x-sum\r\n"), "{answer}");
    assert!(
        answer.ends_with("3\r\nabc\r\n0\r\nx-sum: 1  2\r\n\r\n"),
        "{answer}"
    );
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

/// Returns the answer of a server that sends these bytes.
async fn answer_to(request: &str, bytes: &'static [u8]) -> String {
    let (upstream, _) = Upstream::of_bytes(bytes).await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    let request = request.replace('\n', "\r\n");
    talk(gateway.address(), request.as_bytes()).await
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_whole() {
    let answer = answer_to(
        "GET / HTTP/1.1\nhost: a\nconnection: close\n\n",
        b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nuntil the end",
    );
    let answer = answer.await;
    assert!(
        answer.contains("\r\ntransfer-encoding: chunked\r\n"),
        "{answer}"
    );
    assert!(
        answer.ends_with("\r\n\r\nD\r\nuntil the end\r\n0\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn the_length_of_a_body_that_is_not_sent_is_told() {
    let head = answer_to(
        "HEAD / HTTP/1.1\nhost: a\nconnection: close\n\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n",
    );
    let head = head.await;
    assert!(head.contains("\r\ncontent-length: 1234\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    let unchanged = answer_to(
        "GET / HTTP/1.1\nhost: a\nconnection: close\n\n",
        b"HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\ncontent-length: 1234\r\n\r\n",
    );
    let unchanged = unchanged.await;
    assert!(unchanged.starts_with("HTTP/1.1 304"), "{unchanged}");
    assert!(unchanged.contains("\r\netag: \"a\"\r\n"), "{unchanged}");
    assert!(unchanged.ends_with("\r\n\r\n"), "{unchanged}");
}

#[tokio::test]
async fn a_body_that_is_cut_off_does_not_look_whole() {
    let answer = answer_to(
        "GET / HTTP/1.1\nhost: a\n\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this",
    );
    let answer = answer.await;
    assert!(answer.contains("\r\ncontent-length: 100\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nonly this"), "{answer}");
}

#[tokio::test]
async fn an_expectation_is_answered_by_the_gateway() {
    let (upstream, seen) = Upstream::of_bytes(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
        HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    let request = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nexpect: 100-continue\r\n\
        content-length: 3\r\n\r\nabc";
    let answer = talk(gateway.address(), request).await;
    assert!(
        answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("ok"), "{answer}");
    assert!(seen.only().iter().all(|line| !line.starts_with("expect")));
}
