//! The limits of clients' connections.

use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode};
use http_body_util::StreamBody;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use crate::support::{Answer, Body, Gateway, Upstream, client, command, full, get, soon, talk};

async fn quick() -> Upstream {
    Upstream::of_requests(|_| async { Response::new(full("ok")) }).await
}

/// Returns a gateway with these limits of clients.
async fn limited(upstream: &Upstream, limits: &str) -> Gateway {
    let url = upstream.url();
    Gateway::with(&format!(
        "[clients]\n{limits}\n[upstreams.app]\nurl = \"{url}\"\n"
    ))
    .await
}

/// Returns the time until a connection is closed, and what came before.
async fn until_closed(mut stream: TcpStream) -> (Duration, String) {
    let begun = Instant::now();
    let mut read = Vec::new();
    let _ = soon(stream.read_to_end(&mut read)).await;
    let read = String::from_utf8_lossy(&read).into_owned();
    (begun.elapsed(), read)
}

#[tokio::test]
async fn a_head_has_16_kib_and_100_fields() {
    // A server with the limits of the gateway has no room for the gateway's own fields.
    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    let (upstream, _) = Upstream::of_bytes(ok).await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    let head =
        |fields: &str| format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{fields}\r\n");
    let long = |bytes| format!("x: {}\r\n", "a".repeat(bytes));
    let many = |count| "x: a\r\n".repeat(count);
    for (fields, status) in [
        (long(16_000), "200"),
        (long(17_000), "431"),
        (many(98), "200"),
        (many(99), "431"),
    ] {
        let answer = talk(gateway.address(), head(&fields).as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{} bytes: {answer}",
            fields.len()
        );
    }
    for (bytes, count, status) in [
        (15_000, 1, 200),
        (17_000, 1, 431),
        (1, 90, 200),
        (1, 101, 431),
    ] {
        let mut request = Request::get(gateway.url("/"));
        for _ in 0..count {
            request = request.header("x", "a".repeat(bytes));
        }
        let request = request.body(full("")).unwrap();
        let answer = soon(client(true).request(request)).await.unwrap();
        assert_eq!(answer.status(), status, "{count} fields of {bytes} bytes");
    }
}

#[tokio::test]
async fn a_head_that_drips_in_is_cut_off() {
    let upstream = quick().await;
    let gateway = limited(&upstream, "header_timeout = \"400ms\"").await;
    let stream = TcpStream::connect(gateway.address()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let dripping = tokio::spawn(async move {
        for byte in b"GET / HTTP/1.1\r\nhost: a\r\nx: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
            if write.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the head is taken for ever");
    });
    let begun = Instant::now();
    let _ = soon(read.read_to_end(&mut Vec::new())).await;
    assert!(begun.elapsed() > Duration::from_millis(350));
    soon(dripping).await.unwrap();

    let (after, _) = until_closed(TcpStream::connect(gateway.address()).await.unwrap()).await;
    assert!(
        after < Duration::from_secs(2),
        "nothing is sent at all: {after:?}"
    );
}

#[tokio::test]
async fn an_idle_connection_is_closed_later_than_a_head_that_stalls() {
    let upstream = quick().await;
    let limits = "header_timeout = \"200ms\"\nidle_timeout = \"900ms\"";
    let gateway = limited(&upstream, limits).await;
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let (after, answer) = until_closed(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!((800..2000).contains(&after.as_millis()), "{after:?}");
}

#[tokio::test]
async fn a_connection_whose_request_takes_long_is_not_idle() {
    let upstream = Upstream::of_requests(|_| async {
        sleep(Duration::from_millis(900)).await;
        Response::new(full("late"))
    });
    let upstream = upstream.await;
    let limits = "header_timeout = \"200ms\"\nidle_timeout = \"200ms\"\nbody_timeout = \"200ms\"\n\
        [defaults]\ndefer = false";
    let gateway = limited(&upstream, limits).await;
    for http2 in [false, true] {
        let request = Request::get(gateway.url("/")).body(full("")).unwrap();
        let answer = Answer::read(soon(client(http2).request(request)).await.unwrap()).await;
        assert_eq!(answer.text(), "late");
    }
}

#[tokio::test]
async fn an_upload_that_stalls_is_refused() {
    let upstream = Upstream::of_requests(|request| async {
        use http_body_util::BodyExt;
        let _ = request.into_body().collect().await;
        Response::new(full("ok"))
    });
    let upstream = upstream.await;
    for defer in [true, false] {
        let limits = format!("body_timeout = \"300ms\"\n[defaults]\ndefer = {defer}");
        let gateway = limited(&upstream, &limits).await;
        let half = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf";
        let begun = Instant::now();
        let answer = talk(gateway.address(), half).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{defer}: {answer}");
        assert!(begun.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn an_upload_that_stalls_ends_its_stream_alone() {
    let upstream = Upstream::of_requests(|request| async {
        use http_body_util::BodyExt;
        let _ = request.into_body().collect().await;
        sleep(Duration::from_secs(1)).await;
        Response::new(full("ok"))
    });
    let upstream = upstream.await;
    for defer in [true, false] {
        let limits =
            format!("body_timeout = \"300ms\"\n[defaults]\ndefer = {defer}\ninline_wait = \"5s\"");
        let gateway = limited(&upstream, &limits).await;
        let client = client(true);
        let ask = |body: Body| {
            let request = Request::post(gateway.url("/")).body(body);
            client.request(request.unwrap())
        };
        // A connection of which both are streams.
        soon(ask(full(""))).await.unwrap();
        let never = futures_util::stream::pending::<Result<http_body::Frame<_>, _>>();
        let stalled = ask(http_body_util::BodyExt::boxed_unsync(StreamBody::new(
            never,
        )));
        let other = tokio::spawn(ask(full("whole")));
        let stalled = soon(stalled).await.unwrap();
        assert_eq!(stalled.status(), StatusCode::REQUEST_TIMEOUT, "{defer}");
        let other = soon(other).await.unwrap().unwrap();
        assert_eq!(Answer::read(other).await.text(), "ok", "{defer}");
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() {
    let upstream = Upstream::of_connections(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        while stream.write_all(&[0; 64 << 10]).await.is_ok() {}
        *CUT.lock().await += 1;
    });
    static CUT: tokio::sync::Mutex<u32> = tokio::sync::Mutex::const_new(0);
    let upstream = upstream.await;
    let gateway = limited(&upstream, "body_timeout = \"300ms\"").await;
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let cut = async {
        while *CUT.lock().await == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    soon(cut).await;
}

#[tokio::test]
async fn beyond_the_limit_of_connections_clients_wait() {
    let upstream = quick().await;
    let gateway = limited(&upstream, "connections = 2").await;
    let first = TcpStream::connect(gateway.address()).await.unwrap();
    let _second = TcpStream::connect(gateway.address()).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let third = tokio::spawn(get(gateway.url("/")));
    sleep(Duration::from_millis(400)).await;
    assert!(!third.is_finished());
    drop(first);
    assert_eq!(soon(third).await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn a_websocket_keeps_the_place_of_its_connection() {
    let upstream = Upstream::of_connections(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let switches = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
            upgrade: websocket\r\n\r\n";
        stream.write_all(switches).await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
    });
    let upstream = upstream.await;
    let limits = "connections = 1\nidle_timeout = \"200ms\"\nheader_timeout = \"200ms\"";
    let gateway = limited(&upstream, limits).await;
    let mut websocket = TcpStream::connect(gateway.address()).await.unwrap();
    let asks = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    websocket.write_all(asks).await.unwrap();
    let mut head = [0; 12];
    soon(websocket.read_exact(&mut head)).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    let other = TcpStream::connect(gateway.address()).await.unwrap();
    // It is not closed for being silent either, since it waits to be accepted.
    let other = tokio::spawn(until_closed(other));
    sleep(Duration::from_millis(700)).await;
    assert!(!other.is_finished());
    drop(websocket);
    soon(other).await.unwrap();
}

#[tokio::test]
async fn one_address_does_not_take_the_places_of_another() {
    let upstream = quick().await;
    let url = upstream.url();
    let settings = format!("[clients]\nconnections = 1\n[upstreams.app]\nurl = \"{url}\"\n");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, settings).unwrap();
    let path = file.path().to_str().unwrap();
    let listen = ["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"];
    let arguments = [&["--config", path][..], &listen].concat();
    let gateway = Gateway::start(command(arguments)).await;
    assert_eq!(gateway.listening.len(), 2);
    for address in &gateway.listening {
        for _ in 0..2 {
            assert_eq!(get(format!("{address}/")).await.status, StatusCode::OK);
        }
    }
}
