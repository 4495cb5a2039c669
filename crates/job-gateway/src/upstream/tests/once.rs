//! Each request reaches the server once: requests that meet the end of an idle connection, and those
//! that hyper gives back.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Method, Request};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::support::{Peer, get, http1, post, send, settings, text};
use crate::upstream::{Body, Client, Kind};

type Received = Arc<Mutex<HashMap<String, usize>>>;

/// A server that closes idle connections.
#[derive(Clone)]
struct Closing {
    after: Duration,
    fields: &'static str,
    /// The time until the client notices: what it sends meanwhile is lost.
    latency: Duration,
    received: Received,
}

impl Closing {
    fn new(after: u64, fields: &'static str, latency: u64) -> Self {
        Self {
            after: Duration::from_secs(after),
            fields,
            latency: Duration::from_millis(latency),
            received: Received::default(),
        }
    }

    async fn serve(self, io: impl AsyncRead + AsyncWrite + Unpin) {
        let mut peer = Peer::new(io);
        while let Ok(Some(request)) = timeout(self.after, peer.read()).await {
            let (_, body) = request.split_once("\r\n\r\n").unwrap();
            *self
                .received
                .lock()
                .unwrap()
                .entry(body.to_owned())
                .or_default() += 1;
            peer.answer(self.fields, "done").await;
        }
        sleep(self.latency).await;
    }
}

fn numbered(number: usize) -> Request<Body> {
    let body = Full::new(Bytes::from(format!("request {number}")));
    let body = Body::new(body.map_err(|never| match never {}));
    let builder = Request::builder().method(Method::POST).uri("/");
    builder.header("host", "client.test").body(body).unwrap()
}

fn assert_once(received: &Received, number: usize) {
    let received = received.lock().unwrap();
    let others: Vec<_> = received.iter().filter(|(_, times)| **times != 1).collect();
    assert!(others.is_empty(), "received more than once: {others:?}");
    assert_eq!(received.len(), number);
}

/// Returns a time near one at which a connection ends, on either side.
fn near_an_end() -> Duration {
    let ends = [0, 900, 1_000, 1_900, 2_000, 3_000, 3_900, 4_900, 5_000];
    let end = ends[fastrand::usize(..ends.len())];
    Duration::from_millis(end + fastrand::u64(0..150))
}

/// Sends 10,000 requests, one after the other, to a server that closes idle connections.
async fn ten_thousand(closing: Closing) {
    let (client, mut server) = http1();
    let received = closing.received.clone();
    tokio::spawn(async move {
        loop {
            let io = server.bytes().await;
            tokio::spawn(closing.clone().serve(io));
        }
    });
    for number in 0..10_000 {
        let sent = text(&client, numbered(number)).await;
        assert_eq!(
            sent.unwrap_or_else(|error| panic!("request {number}: {error:?}")),
            "done"
        );
        sleep(near_an_end()).await;
    }
    assert_once(&received, 10_000);
}

#[tokio::test(start_paused = true)]
async fn gunicorn_which_closes_after_two_seconds_receives_each_request_once() {
    ten_thousand(Closing::new(2, "", 100)).await;
}

#[tokio::test(start_paused = true)]
async fn node_which_closes_after_five_seconds_receives_each_request_once() {
    ten_thousand(Closing::new(5, "Keep-Alive: timeout=5\r\n", 100)).await;
}

#[tokio::test]
async fn a_server_that_closes_sockets_after_two_seconds_receives_each_request_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let closing = Closing::new(2, "", 0);
    let received = closing.received.clone();
    tokio::spawn(async move {
        loop {
            let (io, _) = listener.accept().await.unwrap();
            tokio::spawn(closing.clone().serve(io));
        }
    });
    let mut lanes = JoinSet::new();
    for lane in 0..200 {
        let client = Client::new(&Arc::new(settings(&url))).unwrap();
        lanes.spawn(async move {
            text(&client, numbered(2 * lane)).await.unwrap();
            sleep(Duration::from_millis(1_950 + fastrand::u64(0..100))).await;
            text(&client, numbered(2 * lane + 1)).await.unwrap();
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane.unwrap();
    }
    assert_once(&received, 400);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hyper_gives_back_is_sent_again() {
    let (client, mut server) = http1();
    let sent = send(&client, get());
    let mut first = server.accept().await;
    first.read().await.unwrap();
    first.answer("", "").await;
    sent.await.unwrap().unwrap();
    // The task of the connection has no turn between its end and the next request.
    drop(first);
    let mut sending = Box::pin(client.send(post("again")));
    let mut second = tokio::select! {
        biased;
        _ = &mut sending => panic!("the server has not answered"),
        second = server.accept() => second,
    };
    let serving = async {
        assert!(second.read().await.unwrap().ends_with("again"));
        second.answer("", "").await;
    };
    let (sent, ()) = tokio::join!(sending, serving);
    assert_eq!(sent.unwrap().status(), 200);
    assert!(!server.has_another());
}

#[tokio::test(start_paused = true)]
async fn a_request_is_not_sent_again_after_the_server_has_received_it() {
    let (client, mut server) = http1();
    // On a new connection, and on one that has served a request before.
    for is_used in [false, true] {
        let mut peer = match is_used {
            false => None,
            true => {
                let sent = send(&client, get());
                let mut peer = server.accept().await;
                peer.read().await.unwrap();
                peer.answer("", "").await;
                sent.await.unwrap().unwrap();
                Some(peer)
            }
        };
        for request in [post("once"), get()] {
            let sent = send(&client, request);
            let mut peer = match peer.take() {
                Some(peer) => peer,
                None => server.accept().await,
            };
            peer.read().await.unwrap();
            drop(peer);
            assert_eq!(sent.await.unwrap().unwrap_err().kind(), Kind::Reset);
            assert!(!server.has_another());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_of_which_a_part_is_sent_is_not_sent_again() {
    let (client, mut server) = http1();
    let sent = send(&client, get());
    let mut peer = server.accept().await;
    peer.read().await.unwrap();
    peer.answer("", "").await;
    sent.await.unwrap().unwrap();

    let half = stream::iter([Ok(Frame::data(Bytes::from("half")))]);
    let body = StreamBody::new(half.chain(stream::pending()));
    let request = post("").map(|_| Body::new(body));
    let sent = send(&client, request);
    peer.read_head().await.unwrap();
    assert!(peer.read_some(100).await > 0);
    drop(peer);
    assert_eq!(sent.await.unwrap().unwrap_err().kind(), Kind::Reset);
    assert!(!server.has_another());
}
