//! Many requests at once on several threads, some of which are dropped at any point.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    task::{JoinSet, yield_now},
    time::{sleep, timeout},
};

use super::support::{Server, get, memory, post, settings};
use crate::upstream::Client;

const LANES: usize = 24;

/// The numbers of connections that have been made, and that have not ended.
#[derive(Clone, Default)]
struct Connections {
    made: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

/// Starts a server that takes ten requests at once on a connection of HTTP/2.
async fn serve(mut server: Server, connections: Connections) {
    loop {
        let io = TokioIo::new(server.bytes().await);
        let connections = connections.clone();
        tokio::spawn(async move {
            connections.made.fetch_add(1, Ordering::SeqCst);
            connections.open.fetch_add(1, Ordering::SeqCst);
            let service = service_fn(|request: Request<Incoming>| async {
                let body = request.into_body().collect().await;
                let body = body.map(|body| body.to_bytes()).unwrap_or_default();
                if fastrand::bool() {
                    yield_now().await;
                }
                Ok::<_, Infallible>(Response::new(Full::new(body)))
            });
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http2().max_concurrent_streams(10);
            let _ = builder.serve_connection(io, service).await;
            connections.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Sends requests one after the other, and drops some of them.
async fn lane(client: Client, drops: bool) {
    for number in 0..150 {
        let (request, expected) = match number % 2 {
            0 => (get(), ""),
            _ => (post("some bytes"), "some bytes"),
        };
        let sending = async {
            let response = client.send(request).await.unwrap();
            if drops && fastrand::u8(0..10) == 0 {
                return None;
            }
            Some(response.into_body().collect().await.unwrap().to_bytes())
        };
        let patience = match drops && fastrand::u8(0..10) == 0 {
            true => Duration::from_micros(fastrand::u64(0..200)),
            false => Duration::from_secs(20),
        };
        match timeout(patience, sending).await {
            Ok(body) => assert_eq!(body.unwrap_or(Bytes::from(expected)), expected),
            Err(_) => assert!(drops, "a request hangs"),
        }
    }
}

/// Returns the number of connections that were made.
async fn run(url: &str, drops: bool) -> usize {
    let mut settings = settings(url);
    settings.idle_timeout = Duration::from_millis(200);
    let (client, server) = memory(settings);
    let connections = Connections::default();
    let server = tokio::spawn(serve(server, connections.clone()));
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        lanes.spawn(lane(client.clone(), drops));
    }
    while let Some(lane) = lanes.join_next().await {
        lane.unwrap();
    }
    let idle = async {
        while connections.open.load(Ordering::SeqCst) > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let closed = timeout(Duration::from_secs(10), idle).await;
    closed.unwrap_or_else(|_| panic!("{:?} connections stay", connections.open));
    server.abort();
    connections.made.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_of_http1_are_used_again() {
    let made = run("http://app.test", false).await;
    // A lane may come back before the connection of its last response does.
    assert!(made <= 2 * LANES, "{made} connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_connection_of_http1_is_lost_when_requests_are_dropped() {
    run("http://app.test", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn streams_of_http2_are_counted() {
    let made = run("h2c://app.test", false).await;
    // Nine requests each.
    assert!(made <= LANES.div_ceil(9), "{made} connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_stream_of_http2_is_lost_when_requests_are_dropped() {
    let made = run("h2c://app.test", true).await;
    assert!(made <= LANES.div_ceil(9), "{made} connections");
}
