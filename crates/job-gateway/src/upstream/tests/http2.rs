use std::{
    convert::Infallible,
    future::pending,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http2::Builder, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncWriteExt, DuplexStream},
    sync::{Notify, Semaphore},
    time::{sleep, timeout},
};

use super::support::{Server, get, memory, post, request, send, settings, text, until_tasks};
use crate::upstream::{Client, Kind};

/// A server of HTTP/2 that answers a request when it is let, with the number of its connection.
#[derive(Clone)]
struct Slow {
    streams: Option<u32>,
    /// The number of requests that may be answered.
    let_go: Arc<Semaphore>,
    running: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    /// The number of connections that have not ended.
    open: Arc<AtomicUsize>,
}

impl Slow {
    fn new(streams: u32) -> Self {
        Self {
            streams: Some(streams),
            let_go: Arc::new(Semaphore::new(0)),
            running: Arc::default(),
            connections: Arc::default(),
            open: Arc::default(),
        }
    }

    /// A server that answers at once.
    fn quick(streams: u32) -> Self {
        let server = Self::new(streams);
        server.let_go.add_permits(Semaphore::MAX_PERMITS);
        server
    }

    /// Starts the server, and returns a client.
    fn start(&self) -> Client {
        let (client, server) = memory(settings("h2c://app.test"));
        tokio::spawn(self.clone().accept(server));
        client
    }

    async fn accept(self, mut server: Server) {
        loop {
            let io = server.bytes().await;
            let number = self.connections.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::spawn(self.clone().serve(io, number));
        }
    }

    async fn serve(self, io: DuplexStream, number: usize) {
        self.serve_until(io, number, pending()).await;
    }

    /// Serves a connection until its end, and takes no more requests once it is told so.
    async fn serve_until(self, io: DuplexStream, number: usize, goodbye: impl Future<Output = ()>) {
        self.open.fetch_add(1, Ordering::SeqCst);
        let mut builder = Builder::new(TokioExecutor::new());
        builder.max_concurrent_streams(self.streams);
        let service = service_fn(|request: Request<Incoming>| {
            let server = self.clone();
            async move {
                server.running.fetch_add(1, Ordering::SeqCst);
                server.let_go.acquire().await.unwrap().forget();
                server.running.fetch_sub(1, Ordering::SeqCst);
                let text = format!("{number} {}", request.uri());
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
            }
        });
        let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
        let ended = tokio::select! {
            ended = &mut connection => Some(ended),
            () = goodbye => None,
        };
        if ended.is_none() {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    async fn until_running(&self, number: usize) {
        let reached = timeout(Duration::from_millis(100), async {
            while self.running.load(Ordering::SeqCst) != number {
                sleep(Duration::from_millis(1)).await;
            }
        });
        let reached = reached.await.is_ok();
        let running = self.running.load(Ordering::SeqCst);
        assert!(reached, "{running} requests run, not {number}");
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

/// Returns the number of a connection that answers a request.
async fn number(client: &Client, method: Method) -> usize {
    let text = text(client, request(method, "")).await.unwrap();
    text.split_once(' ').unwrap().0.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_slow_requests_run_at_once_on_connections_of_ten_streams() {
    let server = Slow::new(10);
    let client = server.start();
    let sent: Vec<_> = (0..100).map(|_| send(&client, post("x"))).collect();
    server.until_running(100).await;
    // Nine each.
    assert_eq!(server.connections(), 12);
    server.let_go.add_permits(100);
    for sent in sent {
        let body = sent.await.unwrap().unwrap().into_body();
        body.collect().await.unwrap();
    }
    // They are there for the next hundred.
    let sent: Vec<_> = (0..100).map(|_| send(&client, post("x"))).collect();
    server.until_running(100).await;
    assert_eq!(server.connections(), 12);
    server.let_go.add_permits(100);
    for sent in sent {
        drop(sent.await.unwrap().unwrap());
    }
    sleep(Duration::from_millis(3_900)).await;
    assert_eq!(server.open(), 12);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(server.open(), 0);
    // The server's.
    until_tasks(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_further_connection_opens_at_nine_tenths_of_the_limit() {
    for (limit, first) in [(1, 1), (2, 1), (9, 8), (10, 9), (100, 90), (250, 225)] {
        let server = Slow::new(limit);
        let client = server.start();
        // The limit is known once there is a connection.
        let mut sent = vec![send(&client, get())];
        server.until_running(1).await;
        sent.extend((1..first).map(|_| send(&client, get())));
        server.until_running(first).await;
        assert_eq!(server.connections(), 1, "of {limit}");
        sent.push(send(&client, get()));
        server.until_running(first + 1).await;
        assert_eq!(server.connections(), 2, "of {limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_limit_needs_no_further_connections() {
    let mut server = Slow::new(0);
    server.streams = None;
    let client = server.start();
    let _sent: Vec<_> = (0..1_000).map(|_| send(&client, get())).collect();
    server.until_running(1_000).await;
    // The requests that came first expected no more than a hundred on it.
    assert!(server.connections() <= 10, "{}", server.connections());
    let before = server.connections();
    let _more: Vec<_> = (0..1_000).map(|_| send(&client, get())).collect();
    server.until_running(2_000).await;
    assert_eq!(server.connections(), before);
}

#[tokio::test(start_paused = true)]
async fn a_stream_counts_until_its_response_has_ended_or_its_request_is_dropped() {
    let server = Slow::new(2);
    let client = server.start();
    server.let_go.add_permits(1);
    let first = client.send(get()).await.unwrap();
    let dropped = send(&client, get());
    server.until_running(1).await;
    assert_eq!(server.connections(), 2);
    first.into_body().collect().await.unwrap();
    dropped.abort();
    let _ = dropped.await;
    let _both = [send(&client, get()), send(&client, get())];
    sleep(Duration::from_millis(10)).await;
    assert_eq!(server.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn idle_times_and_age_are_those_of_http1() {
    let server = Slow::quick(10);
    let client = server.start();
    assert_eq!(number(&client, Method::GET).await, 1);
    sleep(Duration::from_millis(3_900)).await;
    assert_eq!(number(&client, Method::GET).await, 1);
    sleep(Duration::from_millis(900)).await;
    assert_eq!(number(&client, Method::POST).await, 1);
    sleep(Duration::from_millis(1_100)).await;
    assert_eq!(number(&client, Method::POST).await, 2);
    assert_eq!(number(&client, Method::GET).await, 1);
    sleep(Duration::from_millis(4_100)).await;
    assert_eq!(server.open(), 0);
    assert_eq!(number(&client, Method::GET).await, 3);
    for _ in 0..61 {
        sleep(Duration::from_secs(1)).await;
        number(&client, Method::GET).await;
    }
    assert_eq!(number(&client, Method::GET).await, 4);
    assert_eq!(server.open(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_even_if_its_server_reads_nothing() {
    let (client, mut server) = memory(settings("h2c://app.test"));
    let sent = send(&client, get());
    let mut stream = server.bytes().await;
    // Its settings; then, once the request is there, a response of a head alone.
    stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
    sleep(Duration::from_millis(10)).await;
    let head = b"\0\0\x01\x01\x05\0\0\0\x01\x88";
    stream.write_all(head).await.unwrap();
    drop(sent.await.unwrap().unwrap());
    // Pings, until there is no room for the answers to them.
    let pings = b"\0\0\x08\x06\0\0\0\0\0\0\0\0\0\0\0\0\0".repeat(100);
    while timeout(Duration::from_secs(1), stream.write_all(&pings))
        .await
        .is_ok()
    {}
    sleep(Duration::from_secs(10)).await;
    until_tasks(0).await;
    assert!(stream.write_all(&pings).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_response_outlives_the_greatest_age_of_its_connection() {
    let server = Slow::new(10);
    let client = server.start();
    let sent = send(&client, get());
    sleep(Duration::from_secs(61)).await;
    let other = send(&client, get());
    server.until_running(2).await;
    assert_eq!(server.connections(), 2);
    server.let_go.add_permits(2);
    for sent in [sent, other] {
        sent.await
            .unwrap()
            .unwrap()
            .into_body()
            .collect()
            .await
            .unwrap();
    }
    sleep(Duration::from_millis(10)).await;
    assert_eq!(server.open(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_client_that_is_asked_is_the_authority() {
    let server = Slow::quick(10);
    let client = server.start();
    let target = text(&client, get()).await.unwrap();
    assert_eq!(target, "1 http://client.test/report?x=1");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_speak_http2_is_unreadable() {
    let (client, mut server) = memory(settings("h2c://app.test"));
    let sent = [send(&client, get()), send(&client, get())];
    let mut peer = server.accept().await;
    peer.read_some(100).await;
    peer.write("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        .await;
    for sent in sent {
        assert_eq!(sent.await.unwrap().unwrap_err().kind(), Kind::Unreadable);
    }
    assert!(!server.has_another());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_resets_its_requests_and_a_new_one_takes_the_next() {
    let server = Slow::new(10);
    let (client, mut accepted) = memory(settings("h2c://app.test"));
    let sent = [send(&client, post("1")), send(&client, post("2"))];
    let serving = tokio::spawn(server.clone().serve(accepted.bytes().await, 1));
    server.until_running(2).await;
    serving.abort();
    for sent in sent {
        assert_eq!(sent.await.unwrap().unwrap_err().kind(), Kind::Reset);
    }
    assert!(!accepted.has_another(), "nothing is sent again");
    server.let_go.add_permits(1);
    tokio::spawn(server.accept(accepted));
    assert_eq!(
        text(&client, get()).await.unwrap(),
        "1 http://client.test/report?x=1"
    );
}

#[tokio::test(start_paused = true)]
async fn requests_that_stop_waiting_for_a_connection_delay_no_others() {
    let server = Slow::quick(10);
    let (client, accepted) = memory(settings("h2c://app.test"));
    let left: Vec<_> = (0..50).map(|_| send(&client, get())).collect();
    sleep(Duration::from_millis(1)).await;
    for left in left {
        left.abort();
    }
    let waiting = send(&client, get());
    tokio::spawn(server.clone().accept(accepted));
    waiting.await.unwrap().unwrap();
    assert_eq!(server.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_goodbye_ends_its_requests_and_takes_no_more() {
    let server = Slow::new(10);
    let (client, mut accepted) = memory(settings("h2c://app.test"));
    let sent = send(&client, get());
    let goodbye = Arc::new(Notify::new());
    let serving = tokio::spawn({
        let (server, goodbye) = (server.clone(), goodbye.clone());
        let io = accepted.bytes().await;
        async move { server.serve_until(io, 1, goodbye.notified()).await }
    });
    server.until_running(1).await;
    goodbye.notify_one();
    sleep(Duration::from_millis(1)).await;
    let next = send(&client, post("x"));
    tokio::spawn(server.clone().serve(accepted.bytes().await, 2));
    server.until_running(2).await;
    server.let_go.add_permits(2);
    for (sent, number) in [(sent, "1"), (next, "2")] {
        let body = sent.await.unwrap().unwrap().into_body();
        let text = body.collect().await.unwrap().to_bytes();
        assert!(text.starts_with(number.as_bytes()), "{text:?}");
    }
    serving.await.unwrap();
}
