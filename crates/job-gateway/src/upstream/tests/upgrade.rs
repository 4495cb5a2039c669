use http::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{get, http1, memory, send, settings};
use crate::upstream::Body;

fn websocket() -> Request<Body> {
    let mut request = get();
    let headers = request.headers_mut();
    headers.insert("connection", "upgrade".parse().unwrap());
    headers.insert("upgrade", "websocket".parse().unwrap());
    request
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_has_a_connection_of_its_own() {
    let (client, mut server) = http1();
    let sent = send(&client, get());
    let mut idle = server.accept().await;
    idle.read().await.unwrap();
    idle.answer("", "").await;
    sent.await.unwrap().unwrap();

    let sent = send(&client, websocket());
    let mut peer = server.accept().await;
    assert!(
        peer.read()
            .await
            .unwrap()
            .contains("\r\nupgrade: websocket\r\n")
    );
    let head =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    // The first bytes of the other protocol may come with the head.
    peer.write(&format!("{head}hello")).await;
    let mut response = sent.await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let upgraded = hyper::upgrade::on(&mut response).await.unwrap();
    drop(response);
    let mut upgraded = TokioIo::new(upgraded);
    let mut bytes = [0; 5];
    upgraded.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"hello");
    upgraded.write_all(b"abc").await.unwrap();
    assert_eq!(peer.read_some(3).await, 3);

    let _sent = send(&client, get());
    assert!(idle.read().await.is_some());
    assert!(!server.has_another());
    drop(upgraded);
    assert_eq!(peer.read().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_an_upgrade_was_refused_is_not_used_again() {
    let (client, mut server) = http1();
    let sent = send(&client, websocket());
    let mut peer = server.accept().await;
    peer.read().await.unwrap();
    peer.answer("", "no").await;
    assert_eq!(sent.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(peer.read().await, None);
    let _sent = send(&client, get());
    assert!(server.accept().await.read().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_server_of_http2_receives_an_upgrade_over_http1() {
    let (client, mut server) = memory(settings("h2c://app.test"));
    let _sent = send(&client, websocket());
    let received = server.accept().await.read().await.unwrap();
    assert!(
        received.starts_with("GET /report?x=1 HTTP/1.1\r\n"),
        "{received}"
    );
}
