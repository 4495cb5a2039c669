use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::sleep;

use super::support::{get, http1, post, send, settings, until_tasks};
use crate::upstream::{Body, Client, Kind};

/// Returns the failure of a request that a server answers with these bytes, and then closes.
async fn answered(bytes: &str) -> Kind {
    let (client, mut server) = http1();
    let sent = send(&client, get());
    let mut peer = server.accept().await;
    peer.read().await.unwrap();
    peer.write(bytes).await;
    drop(peer);
    let failed = sent.await.unwrap().expect_err(bytes);
    assert!(!server.has_another(), "{bytes}");
    until_tasks(0).await;
    failed.kind()
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_no_http_is_unreadable() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101));
    let long = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(64 * 1024));
    let lies = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n";
    let others = [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "<html>\r\n\r\n",
    ];
    for bytes in others.into_iter().chain([lies, &many, &long]) {
        assert_eq!(answered(bytes).await, Kind::Unreadable, "{}", bytes.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_before_the_end_of_the_head_is_reset() {
    for bytes in [
        "",
        "HTTP/1.1 2",
        "HTTP/1.1 200 OK\r\na: b\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ] {
        assert_eq!(answered(bytes).await, Kind::Reset, "{bytes}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_ends_too_early_fails_its_body() {
    let (client, mut server) = http1();
    let heads = [
        "content-length: 10\r\n\r\nhalf",
        "transfer-encoding: chunked\r\n\r\n9\r\nhalf",
    ];
    for head in heads {
        let sent = send(&client, get());
        let mut peer = server.accept().await;
        peer.read().await.unwrap();
        peer.write(&format!("HTTP/1.1 200 OK\r\n{head}")).await;
        drop(peer);
        let body = sent.await.unwrap().unwrap().into_body();
        assert!(body.collect().await.is_err(), "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn informational_responses_come_before_the_response() {
    let (client, mut server) = http1();
    let sent = send(&client, post("x"));
    let mut peer = server.accept().await;
    peer.read().await.unwrap();
    for _ in 0..100 {
        peer.write("HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n")
            .await;
    }
    peer.answer("", "").await;
    assert_eq!(sent.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_precedes_the_end_of_the_upload_arrives() {
    let (client, mut server) = http1();
    let upload = stream::repeat_with(|| Ok(Frame::data(Bytes::from(vec![b'x'; 1_000]))));
    let upload = upload.take(1_000);
    let sent = send(
        &client,
        post("").map(|_| Body::new(StreamBody::new(upload))),
    );
    let mut peer = server.accept().await;
    peer.read_head().await.unwrap();
    peer.write(
        "HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nno!",
    )
    .await;
    let response = sent.await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "no!"
    );
    drop(peer);
    // The connection is not used again, although the upload has not ended.
    let _sent = send(&client, get());
    assert!(
        server
            .accept()
            .await
            .read()
            .await
            .unwrap()
            .starts_with("GET")
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_body_fails_is_not_the_servers_failure() {
    let (client, mut server) = http1();
    let frames = [
        Ok(Frame::data(Bytes::from("half"))),
        Err("the client left".into()),
    ];
    let body = StreamBody::new(stream::iter(frames));
    let sent = send(&client, post("").map(|_| Body::new(body)));
    let mut peer = server.accept().await;
    assert_eq!(peer.read().await, None);
    let failed = sent.await.unwrap().unwrap_err();
    assert_eq!(failed.kind(), Kind::Body);
    assert_eq!(failed.to_string(), "the body of the request failed");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_closes_its_connection() {
    let (client, mut server) = http1();
    let sent = send(&client, get());
    let mut peer = server.accept().await;
    peer.read().await.unwrap();
    sent.abort();
    assert_eq!(peer.read().await, None);
    until_tasks(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_speaks_first_while_a_connection_is_idle_is_not_asked_on_it() {
    let (client, mut server) = http1();
    let sent = send(&client, get());
    let mut first = server.accept().await;
    first.read().await.unwrap();
    first.answer("", "").await;
    sent.await.unwrap().unwrap();
    // As servers do that close a connection which has been idle for too long.
    first
        .write("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        .await;
    let sent = send(&client, post(""));
    let mut second = server.accept().await;
    second.read().await.unwrap();
    second.answer("", "").await;
    assert_eq!(sent.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(first.read().await, None);
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_the_head_has_no_limit_here() {
    let (client, mut server) = http1();
    let sent = send(&client, get());
    let mut peer = server.accept().await;
    peer.read().await.unwrap();
    sleep(Duration::from_secs(86_400)).await;
    peer.answer("", "").await;
    assert_eq!(sent.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[test]
fn root_certificates_that_cannot_be_read_are_an_error_at_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (path, reason) in [
        (file.path(), "has no certificate"),
        ("/none".as_ref(), "No such file"),
    ] {
        let mut settings = settings("https://app.test");
        settings.roots = Some(path.to_owned());
        let failed = Client::new(&settings.into()).unwrap_err();
        assert!(failed.contains(reason), "{failed}");
        assert!(failed.contains(path.to_str().unwrap()), "{failed}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_have_an_origin_form_target_and_the_clients_host() {
    let (client, mut server) = http1();
    let mut request = post("x");
    *request.version_mut() = http::Version::HTTP_2;
    let _sent = send(&client, request);
    let received = server.accept().await.read().await.unwrap();
    assert!(
        received.starts_with("POST /report?x=1 HTTP/1.1\r\n"),
        "{received}"
    );
    assert!(received.contains("\r\nhost: client.test\r\n"), "{received}");
    let mut request = get();
    request.headers_mut().remove("host");
    *request.uri_mut() = "http://elsewhere.test:8080?q".parse().unwrap();
    let _sent = send(&client, request);
    let received = server.accept().await.read().await.unwrap();
    assert_eq!(
        received,
        "GET /?q HTTP/1.1\r\nhost: elsewhere.test:8080\r\n\r\n"
    );
    let mut request = get();
    request.headers_mut().remove("host");
    let _sent = send(&client, request);
    let received = server.accept().await.read().await.unwrap();
    assert!(received.contains("\r\nhost: app.test\r\n"), "{received}");
}
