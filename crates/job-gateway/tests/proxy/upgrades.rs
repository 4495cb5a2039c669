//! Websockets, and other upgrades.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Gateway, Upstream, soon, talk};

pub(crate) const ASKS: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\n\
    upgrade: WebSocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    sec-websocket-version: 13\r\n\r\n";

const SWITCHES: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Reads the head of a message.
pub(crate) async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = soon(stream.read_u8()).await;
        head.push(byte.expect("a whole head"));
    }
    String::from_utf8(head).unwrap()
}

async fn exactly(stream: &mut TcpStream, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    soon(stream.read_exact(&mut read)).await.unwrap();
    assert_eq!(read, bytes);
}

/// Returns a server that switches, and then sends back what it receives, and which the bytes of the
/// client follow at once.
pub(crate) async fn websockets() -> Upstream {
    Upstream::of_connections(|mut stream| async move {
        let asked = head(&mut stream).await.to_lowercase();
        for line in [
            "\r\nconnection: upgrade\r\n",
            "\r\nupgrade: websocket\r\n",
            "\r\nsec-websocket-key: dghlihnhbxbszsbub25jzq==\r\n",
            "\r\njob-handle: ",
        ] {
            assert!(asked.contains(line), "{line:?} in {asked}");
        }
        // Bytes that follow the head at once belong to the websocket.
        let first = [SWITCHES.as_bytes(), b"hello"].concat();
        stream.write_all(&first).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await
}

#[tokio::test]
async fn a_websocket_passes_bytes_both_ways_until_either_side_ends() {
    let upstream = websockets().await;
    let gateway = Gateway::before(&upstream.url(), &["--inline-wait", "100ms"]).await;
    let mut client = TcpStream::connect(gateway.address()).await.unwrap();
    client.write_all(ASKS.as_bytes()).await.unwrap();
    let switched = head(&mut client).await;
    assert!(switched.starts_with("HTTP/1.1 101"), "{switched}");
    assert!(
        switched.contains("\r\nupgrade: websocket\r\n"),
        "{switched}"
    );
    assert!(switched.contains("\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    exactly(&mut client, b"hello").await;
    for said in [&b"\x81\x02hi"[..], b"GET / HTTP/1.1\r\n\r\n"] {
        client.write_all(said).await.unwrap();
        exactly(&mut client, said).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    client.shutdown().await.unwrap();
    assert_eq!(soon(client.read(&mut [0; 8])).await.unwrap(), 0);
}

#[tokio::test]
async fn bytes_before_the_servers_consent_are_not_sent_to_it() {
    const REFUSED: &[u8] = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno";
    let upstream = Upstream::of_connections(|mut stream| async move {
        if !head(&mut stream).await.starts_with("GET /chat ") {
            // A request of its own, since the client has not switched.
            stream.write_all(REFUSED).await.unwrap();
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut early = [0; 64];
        let early = stream.try_read(&mut early);
        assert!(early.is_err(), "{early:?}");
        stream.write_all(REFUSED).await.unwrap();
        // The connection is not used again, even though the server would allow it.
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap_or(0), 0);
    });
    let upstream = upstream.await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    let smuggled = format!("{ASKS}GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut client = TcpStream::connect(gateway.address()).await.unwrap();
    client.write_all(smuggled.as_bytes()).await.unwrap();
    for _ in 0..2 {
        let answer = head(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        assert!(!answer.contains("upgrade"), "{answer}");
        exactly(&mut client, b"no").await;
    }
    drop(client);
    upstream.left().await;
}

#[tokio::test]
async fn only_websockets_of_http_1_1_without_a_body_are_upgraded() {
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    let asks = [
        ASKS.replace("WebSocket", "h2c"),
        ASKS.replace("WebSocket", "websocket, h2c"),
        ASKS.replace("HTTP/1.1", "HTTP/1.0"),
        ASKS.replace("keep-alive, Upgrade", "keep-alive"),
        ASKS.replace("GET", "POST")
            .replace("\r\n\r\n", "\r\ncontent-length: 1\r\n\r\nx"),
    ];
    for ask in asks {
        let ask = ask
            .replace("keep-alive, ", "")
            .replace("keep-alive", "close");
        let (upstream, seen) = Upstream::of_bytes(OK).await;
        let gateway = Gateway::before(&upstream.url(), &[]).await;
        let mut client = TcpStream::connect(gateway.address()).await.unwrap();
        client.write_all(ask.as_bytes()).await.unwrap();
        let answer = head(&mut client).await;
        assert!(answer.contains(" 200 OK\r\n"), "{ask}: {answer}");
        let upgrades = |line: &String| line.to_lowercase().contains("upgrade");
        assert!(!seen.only().iter().any(upgrades), "{ask}");
    }
}

#[tokio::test]
async fn a_switch_that_was_not_asked_for_is_an_error() {
    for (asked, switches) in [
        (
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            SWITCHES.to_owned(),
        ),
        (ASKS, SWITCHES.replace("websocket", "h2c")),
    ] {
        let upstream = Upstream::of_connections(move |mut stream| {
            let switches = switches.clone();
            async move {
                head(&mut stream).await;
                stream.write_all(switches.as_bytes()).await.unwrap();
                let _ = stream.read(&mut [0; 64]).await;
            }
        });
        let upstream = upstream.await;
        let gateway = Gateway::before(&upstream.url(), &[]).await;
        let mut client = TcpStream::connect(gateway.address()).await.unwrap();
        client.write_all(asked.as_bytes()).await.unwrap();
        let answer = head(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
        assert!(answer.contains("error=http_protocol_error"), "{answer}");
    }
}

#[tokio::test]
async fn a_websocket_that_cannot_be_opened_is_an_error() {
    let gateway = Gateway::before("http://127.0.0.1:9", &[]).await;
    let answer = talk(
        gateway.address(),
        ASKS.replace("keep-alive", "close").as_bytes(),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
}
