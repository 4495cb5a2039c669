//! Clients of HTTP/2 that begin more than they wait for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::Response;
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::TcpStream,
    time::sleep,
};

use crate::support::{
    Gateway, Upstream, full, get,
    http2::{
        END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, block,
        frame,
    },
    soon,
};

/// The code of a peer that is asked to do less.
const ENHANCE_YOUR_CALM: u32 = 11;

/// Returns a server that takes its time, and the number of its requests.
async fn counting() -> (Upstream, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let upstream = Upstream::of_requests(move |request| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            if request.uri().path() != "/quick" {
                sleep(Duration::from_millis(200)).await;
            }
            Response::new(full("done"))
        }
    });
    (upstream.await, count)
}

/// Sends streams, each made of these frames, and demands that the gateway ends the connection with all
/// of its work, while others are served.
async fn is_refused(streams: u32, of_one: impl Fn(u32) -> Vec<u8>) {
    let (upstream, count) = counting().await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    let (read, mut write) = TcpStream::connect(gateway.address())
        .await
        .unwrap()
        .into_split();
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, []));
    bytes.extend((0..streams).flat_map(|number| of_one(2 * number + 1)));
    let writing = tokio::spawn(async move {
        // The gateway may close the connection amid it.
        let _ = write.write_all(&bytes).await;
        write
    });
    let begun = Instant::now();
    let other = get(gateway.url("/quick")).await;
    assert_eq!(other.text(), "done");
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "another client waits"
    );
    let mut read = BufReader::new(read);
    let error = soon(async {
        while let Some(received) = Frame::read(&mut read).await {
            if received.kind == GOAWAY {
                return received.error();
            }
        }
        None
    });
    assert_eq!(error.await, Some(ENHANCE_YOUR_CALM));
    drop(soon(writing).await);
    let count = count.load(Ordering::Relaxed);
    assert!(
        count < streams as usize / 4,
        "{count} requests were sent on"
    );
}

fn request(fields: &[(&str, &str)]) -> Vec<u8> {
    let asked = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "/slow"),
    ];
    block(&[&asked, fields].concat())
}

#[tokio::test]
async fn requests_that_are_reset_at_once_end_their_connection() {
    let request = request(&[]);
    is_refused(10_000, |stream| {
        let begun = frame(HEADERS, END_HEADERS | END_STREAM, stream, &request);
        [begun, frame(RST_STREAM, 0, stream, [0, 0, 0, 8])].concat()
    })
    .await;
}

#[tokio::test]
async fn requests_that_the_gateway_must_reset_end_their_connection() {
    let request = request(&[("connection", "close")]);
    is_refused(2000, |stream| {
        frame(HEADERS, END_HEADERS | END_STREAM, stream, &request)
    })
    .await;
}
