//! Exchanges over connections: hyper over an in-memory pipe.

use std::convert::Infallible;

use crate::support::{
    self, Answer, SECOND, eager,
    faulty::{Fault, FaultyStore, Op},
    memory, trailed,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::sleep,
};
use tower::{Layer, service_fn};
use tower_async_job::{AsyncJobLayer, JobBody};

type ServerBody = BoxBody<Bytes, Infallible>;

fn full(text: &'static str) -> ServerBody {
    Full::from(text).boxed()
}

/// Serves a handler beneath a layer; each call of the result opens a new connection.
fn serve<F, Fut>(layer: &AsyncJobLayer, handle: F) -> impl Fn() -> DuplexStream + use<F, Fut>
where
    F: Fn(Request<JobBody<Incoming>>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<ServerBody>> + Send + 'static,
{
    let inner = service_fn(move |request| {
        let response = handle(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    let service = TowerToHyperService::new(layer.layer(inner));
    move || {
        let (client, server) = tokio::io::duplex(64 << 10);
        let service = service.clone();
        tokio::spawn(async move {
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection_with_upgrades(TokioIo::new(server), service)
                .await;
        });
        client
    }
}

async fn late(text: &'static str) -> Response<ServerBody> {
    sleep(SECOND).await;
    Response::new(full(text))
}

static LARGE: [u8; 2000 << 10] = [b'x'; 2000 << 10];

/// Serves a result in chunks of 64 KiB, the last of which cannot be read the first time. It is so
/// long that much of it is sent before.
fn serve_broken() -> impl Fn() -> DuplexStream {
    let store = FaultyStore::new(memory().chunk_size(64 << 10).build());
    store.plan(
        Op::ReadChunk,
        Fault::None,
        LARGE.len().div_ceil(64 << 10) - 1,
    );
    store.plan(Op::ReadChunk, Fault::Unavailable, 1);
    let layer = AsyncJobLayer::builder().store(std::sync::Arc::new(store));
    serve(&eager(layer), |_| async {
        sleep(SECOND).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("7"));
        let large = std::str::from_utf8(&LARGE).expect("text");
        Response::new(trailed(large, trailers).boxed())
    })
}

/// Writes a request, and reads until the connection is closed.
async fn exchange(mut connection: DuplexStream, request: &str) -> String {
    connection
        .write_all(request.as_bytes())
        .await
        .expect("open");
    let mut response = String::new();
    connection
        .read_to_string(&mut response)
        .await
        .expect("text");
    response
}

/// Reads a response to the end of its head, or of its body if it has a length.
async fn read_response(connection: &mut DuplexStream) -> String {
    let mut read = Vec::new();
    loop {
        read.push(connection.read_u8().await.expect("open"));
        if read.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(read).expect("text");
    let length = field(&head, "content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.expect("whole");
    head + std::str::from_utf8(&body).expect("text")
}

fn field<'a>(response: &'a str, name: &str) -> &'a str {
    response
        .lines()
        .find_map(|line| {
            line.split_once(": ")
                .filter(|(field, _)| field.eq_ignore_ascii_case(name))
        })
        .map_or("", |(_, value)| value)
}

const POST: &str =
    "POST /report HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

fn poll(location: &str, more: &str) -> String {
    format!("GET {location} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}\r\n")
}

#[tokio::test(start_paused = true)]
async fn s54_trailers_over_http_1_without_te_are_dropped_and_the_framing_is_valid() {
    let connect = serve(&eager(AsyncJobLayer::builder()), |_| async {
        sleep(SECOND).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("7"));
        let mut response = Response::new(trailed("data", trailers).boxed());
        response
            .headers_mut()
            .insert("trailer", HeaderValue::from_static("x-sum"));
        response
    });
    let accepted = exchange(connect(), POST).await;
    let location = field(&accepted, "location");
    sleep(2 * SECOND).await;
    let plain = exchange(connect(), &poll(location, "")).await;
    assert!(plain.starts_with("HTTP/1.1 200 OK\r\n"), "{plain}");
    assert_eq!(field(&plain, "content-length"), "4");
    assert_eq!(
        (field(&plain, "transfer-encoding"), field(&plain, "trailer")),
        ("", "")
    );
    assert!(plain.ends_with("\r\n\r\ndata"), "{plain}");
    let willing = exchange(connect(), &poll(location, "te: trailers\r\n")).await;
    assert_eq!(field(&willing, "transfer-encoding"), "chunked");
    assert_eq!(field(&willing, "content-length"), "");
    assert!(
        willing.ends_with("\r\n\r\n4\r\ndata\r\n0\r\nx-sum: 7\r\n\r\n"),
        "{willing}"
    );
    let old = format!("GET {location} HTTP/1.0\r\n\r\n");
    let old = exchange(connect(), &old).await;
    assert!(old.ends_with("\r\n\r\ndata"), "{old}");
}

#[tokio::test(start_paused = true)]
async fn s53_date_and_length_are_those_of_the_replay() {
    let connect = serve(&eager(AsyncJobLayer::builder()), |_| async {
        let mut response = late("12345").await;
        let old = HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT");
        response.headers_mut().insert("date", old);
        response
            .headers_mut()
            .insert("connection", HeaderValue::from_static("x-hop"));
        response
            .headers_mut()
            .insert("x-hop", HeaderValue::from_static("1"));
        response
    });
    let accepted = exchange(connect(), POST).await;
    sleep(2 * SECOND).await;
    let replayed = exchange(connect(), &poll(field(&accepted, "location"), "")).await;
    assert!(!field(&replayed, "date").contains("1970"));
    assert_ne!(field(&replayed, "date"), "");
    assert_eq!(field(&replayed, "content-length"), "5");
    assert_eq!(field(&replayed, "x-hop"), "");
}

#[tokio::test(start_paused = true)]
async fn s51_head_on_the_wire_has_the_length_and_no_body() {
    let connect = serve(&eager(AsyncJobLayer::builder()), |_| late("12345"));
    let accepted = exchange(connect(), POST).await;
    sleep(2 * SECOND).await;
    let head = poll(field(&accepted, "location"), "").replacen("GET", "HEAD", 1);
    let head = exchange(connect(), &head).await;
    assert_eq!(field(&head, "content-length"), "5");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test(start_paused = true)]
async fn s55_spoofed_host_and_absolute_target_do_not_reach_the_location() {
    let connect = serve(&eager(AsyncJobLayer::builder()), |_| late("late"));
    let request = "POST http://evil.example/report HTTP/1.1\r\nhost: evil.example\r\n\
         x-forwarded-host: evil.example\r\nx-forwarded-proto: https\r\nforwarded: host=evil.example\r\n\
         connection: close\r\ncontent-length: 0\r\n\r\n";
    let accepted = exchange(connect(), request).await;
    assert!(
        accepted.starts_with("HTTP/1.1 303 See Other\r\n"),
        "{accepted}"
    );
    assert!(
        field(&accepted, "location").starts_with("/work/"),
        "{accepted}"
    );
    assert!(!accepted.contains("evil"), "{accepted}");
}

#[tokio::test(start_paused = true)]
async fn s56_upgraded_connection_passes_through() {
    let connect = serve(&eager(AsyncJobLayer::builder()), |mut request| async move {
        // Longer than any inline wait.
        sleep(60 * SECOND).await;
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.expect("upgraded"));
            let mut word = [0; 4];
            stream.read_exact(&mut word).await.expect("open");
            stream.write_all(&word).await.expect("open");
        });
        Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header("connection", "upgrade")
            .header("upgrade", "echo")
            .body(full(""))
            .expect("valid")
    });
    let mut connection = connect();
    let request = "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    connection
        .write_all(request.as_bytes())
        .await
        .expect("open");
    let response = read_response(&mut connection).await;
    assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    connection.write_all(b"ping").await.expect("open");
    let mut echoed = [0; 4];
    connection.read_exact(&mut echoed).await.expect("open");
    assert_eq!(&echoed, b"ping");
}

#[tokio::test(start_paused = true)]
async fn s56_client_that_expects_100_continue_is_told_to_go_on_when_the_upload_is_spooled() {
    let connect = serve(
        &eager(AsyncJobLayer::builder()),
        |request: Request<JobBody<Incoming>>| async {
            sleep(5 * SECOND).await;
            let body = request
                .into_body()
                .collect()
                .await
                .expect("whole")
                .to_bytes();
            Response::new(Full::from(body).boxed())
        },
    );
    let mut connection = connect();
    let request =
        "POST /report HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    connection
        .write_all(request.as_bytes())
        .await
        .expect("open");
    let interim = read_response(&mut connection).await;
    assert!(interim.starts_with("HTTP/1.1 100 "), "{interim}");
    connection.write_all(b"hello").await.expect("open");
    let accepted = read_response(&mut connection).await;
    assert!(accepted.starts_with("HTTP/1.1 303 "), "{accepted}");
    sleep(6 * SECOND).await;
    // The connection stays usable: the upload was read to its end.
    let get = poll(field(&accepted, "location"), "");
    let done = exchange(connection, &get).await;
    assert!(done.ends_with("\r\n\r\nhello"), "{done}");
}

#[tokio::test(start_paused = true)]
async fn s30_closed_connection_drops_the_handler() {
    let (token, lifeline) = support::Lifeline::new();
    let token = std::sync::Arc::new(std::sync::Mutex::new(Some(token)));
    let connect = serve(&AsyncJobLayer::new(), move |_| {
        let token = token.lock().expect("unpoisoned").take();
        async move {
            let _token = token;
            sleep(60 * SECOND).await;
            Response::new(full("late"))
        }
    });
    let mut connection = connect();
    connection.write_all(POST.as_bytes()).await.expect("open");
    sleep(SECOND / 2).await;
    assert!(lifeline.is_alive());
    drop(connection);
    sleep(SECOND / 4).await;
    assert!(!lifeline.is_alive());
}

#[tokio::test(start_paused = true)]
async fn client_that_listens_and_disconnects_frees_its_place_at_once() {
    let layer = AsyncJobLayer::builder().events(true).hold_limits(1, 1);
    let connect = serve(&eager(layer), |_| async {
        sleep(600 * SECOND).await;
        Response::new(full("late"))
    });
    let accepted = exchange(connect(), POST).await;
    let job = field(&accepted, "location").split('?').next();
    let events = format!("{}/events", job.expect("a path"));
    let listen = async || {
        let mut connection = connect();
        let request = format!("GET {events} HTTP/1.1\r\nhost: x\r\n\r\n");
        connection
            .write_all(request.as_bytes())
            .await
            .expect("open");
        let head = read_response(&mut connection).await;
        (head[..12].to_owned(), connection)
    };
    let (opened, connection) = listen().await;
    assert_eq!(opened, "HTTP/1.1 200");
    assert_eq!(listen().await.0, "HTTP/1.1 429");
    drop(connection);
    sleep(SECOND / 4).await;
    let io = TokioIo::new(connect());
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    let mut ask = async |method: Method| {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://x{events}"));
        let request = request.body(Full::<Bytes>::default()).expect("valid");
        client.send_request(request).await.expect("a response")
    };
    let opened = ask(Method::GET).await;
    assert_eq!(opened.status(), StatusCode::OK);
    let head = Answer::of(ask(Method::HEAD).await).await;
    assert_eq!(head.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(listen().await.0, "HTTP/1.1 429");
    drop(opened);
    sleep(SECOND / 4).await;
    assert_eq!(listen().await.0, "HTTP/1.1 200");
}

#[tokio::test(start_paused = true)]
async fn s63_bidirectional_stream_over_http_2_is_echoed_inline() {
    let connect = serve(&AsyncJobLayer::new(), |request| async {
        let body = request.into_body().map_err(|error| panic!("{error}"));
        Response::builder()
            .header("content-type", "application/grpc")
            .body(body.boxed())
            .expect("valid")
    });
    let io = TokioIo::new(connect());
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    for content_type in ["application/grpc", "application/octet-stream"] {
        let (frames, body) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Infallible>>(1);
        let body = StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(body));
        let request = Request::post("http://x/pkg.Service/Chat")
            .header("content-type", content_type)
            .header("prefer", "respond-async, wait=5")
            .body(body)
            .expect("valid");
        let response = client.send_request(request).await.expect("a response");
        assert_eq!(response.status(), StatusCode::OK);
        let mut echoed = response.into_body();
        for _ in 0..5 {
            frames
                .send(Ok(Frame::data("ping".into())))
                .await
                .expect("read");
            let frame = echoed.frame().await.expect("more").expect("whole");
            assert_eq!(frame.into_data().expect("data"), "ping");
            sleep(10 * SECOND).await;
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-end", HeaderValue::from_static("1"));
        frames
            .send(Ok(Frame::trailers(trailers)))
            .await
            .expect("read");
        drop(frames);
        let last = echoed.frame().await.expect("trailers").expect("whole");
        assert_eq!(last.into_trailers().expect("trailers")["x-end"], "1");
    }
}

#[tokio::test(start_paused = true)]
async fn trailers_of_a_grpc_answer_are_replayed_over_http_2() {
    let connect = serve(&eager(AsyncJobLayer::builder()), |_| async {
        sleep(SECOND).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let mut response = Response::new(trailed("message", trailers).boxed());
        response
            .headers_mut()
            .insert("content-type", HeaderValue::from_static("application/grpc"));
        response
    });
    let io = TokioIo::new(connect());
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    let submission = Request::post("http://x/pkg.Service/Method")
        .header("content-type", "application/grpc")
        .header("prefer", "respond-async")
        .body(Full::<Bytes>::default())
        .expect("valid");
    let accepted = client.send_request(submission).await.expect("a response");
    let accepted = Answer::of(accepted).await.pending();
    sleep(2 * SECOND).await;
    let poll = Request::get(format!("http://x{}", accepted.location()))
        .body(Full::default())
        .expect("valid");
    let done = Answer::of(client.send_request(poll).await.expect("a response")).await;
    assert_eq!(done.body, "message");
    assert_eq!(done.trailers.expect("trailers")["grpc-status"], "0");
}

#[tokio::test(start_paused = true)]
async fn s50_chunk_that_cannot_be_read_cuts_off_an_answer_over_http_1() {
    for trailers in [false, true] {
        let connect = serve_broken();
        let accepted = exchange(connect(), POST).await;
        sleep(2 * SECOND).await;
        let (mut client, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(connect()))
                .await
                .expect("a connection");
        tokio::spawn(connection);
        let mut poll = Request::get(field(&accepted, "location")).header("host", "x");
        if trailers {
            poll = poll.header("te", "trailers");
        }
        let poll = poll.body(Full::<Bytes>::default()).expect("valid");
        let response = client.send_request(poll).await.expect("a response");
        let framing = ["transfer-encoding", "content-length"].map(|name| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().expect("text"))
        });
        let expected = if trailers {
            [Some("chunked"), None]
        } else {
            [None, Some("2048000")]
        };
        assert_eq!(framing, expected);
        response.into_body().collect().await.expect_err("cut off");
    }
}

#[tokio::test(start_paused = true)]
async fn s50_chunk_that_cannot_be_read_resets_the_stream_of_an_answer_over_http_2() {
    let connect = serve_broken();
    let accepted = exchange(connect(), POST).await;
    sleep(2 * SECOND).await;
    let io = TokioIo::new(connect());
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    let poll = || {
        Request::get(format!("http://x{}", field(&accepted, "location")))
            .body(Full::<Bytes>::default())
            .expect("valid")
    };
    let response = client.send_request(poll()).await.expect("a response");
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().collect().await.expect_err("reset");
    // The connection stays usable.
    let again = client.send_request(poll()).await.expect("a response");
    let whole = again.into_body().collect().await.expect("whole");
    assert_eq!(whole.to_bytes().len(), LARGE.len());
}
