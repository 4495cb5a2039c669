//! The answers of the gateway's own.

use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use serde_json::Value;
use tokio::{net::TcpListener, sync::mpsc, time::sleep};

use crate::support::{Answer, Gateway, Upstream, client, full, get, send, soon, talk};

/// Demands a problem document, and the error in `Proxy-Status`.
#[track_caller]
pub(crate) fn failed(answer: &Answer, status: u16, error: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(
        answer.header("proxy-status"),
        format!("job-gateway; error={error}")
    );
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(problem["status"], status);
    assert!(
        problem["detail"].is_string() && problem["title"].is_string(),
        "{problem}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_listen_is_named_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let gateway = Gateway::before(&format!("http://{address}"), &[]).await;
    failed(&get(gateway.url("/")).await, 502, "connection_refused");
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_named_so() {
    // No connection is accepted, and the queue of the system is full.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    for _ in 0..4 {
        let connecting = tokio::net::TcpStream::connect(address);
        filling.push(tokio::time::timeout(Duration::from_millis(50), connecting).await);
    }
    let settings =
        format!("[upstreams.app]\nurl = \"http://{address}\"\nconnect_timeout = \"200ms\"\n");
    let gateway = Gateway::with(&settings).await;
    failed(&get(gateway.url("/")).await, 504, "connection_timeout");
}

#[tokio::test]
async fn a_server_that_hangs_up_or_talks_nonsense_is_named_so() {
    for (bytes, error) in [
        (&b""[..], "connection_terminated"),
        (b"HTTP/1.1 20", "connection_terminated"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "http_protocol_error"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            "http_protocol_error",
        ),
    ] {
        let (upstream, _) = Upstream::of_bytes(bytes).await;
        let gateway = Gateway::before(&upstream.url(), &[]).await;
        failed(&get(gateway.url("/")).await, 502, error);
    }
}

#[tokio::test]
async fn an_answer_that_cannot_become_a_job_has_its_own_limit() {
    let upstream = Upstream::of_requests(|_| async {
        sleep(Duration::from_secs(20)).await;
        http::Response::new(full("late"))
    });
    let upstream = upstream.await;
    let settings = format!(
        "[upstreams.app]\nurl = \"{}\"\nresponse_timeout = \"300ms\"\n\
        [[routes]]\nmatch = \"/static/{{*rest}}\"\ndefer = false\n[[routes]]\nmatch = \"/{{*rest}}\"\n",
        upstream.url()
    );
    let gateway = Gateway::with(&settings).await;
    failed(
        &get(gateway.url("/static/a")).await,
        504,
        "http_response_timeout",
    );
    let events = Request::get(gateway.url("/events")).header("accept", "text/event-stream");
    let late = send(events.body("".into()).unwrap()).await;
    failed(&late, 504, "http_response_timeout");
    assert_eq!(
        get(gateway.url("/slow")).await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn the_limit_of_an_answer_begins_after_the_upload() {
    let upstream = Upstream::of_requests(|request| async {
        use http_body_util::BodyExt;
        let read = request.into_body().collect().await.unwrap().to_bytes();
        http::Response::new(full(read))
    });
    let upstream = upstream.await;
    let settings = format!(
        "[upstreams.app]\nurl = \"{}\"\nresponse_timeout = \"400ms\"\n\
        [[routes]]\nmatch = \"/{{*rest}}\"\ndefer = false\n",
        upstream.url()
    );
    let gateway = Gateway::with(&settings).await;
    let (sender, receiver) = mpsc::channel::<&'static str>(1);
    let pieces = futures_util::stream::unfold(receiver, |mut receiver| async {
        let piece = receiver.recv().await?;
        let frame = http_body::Frame::data(bytes::Bytes::from(piece));
        Some((Ok::<_, std::convert::Infallible>(frame), receiver))
    });
    let body = http_body_util::StreamBody::new(Box::pin(pieces));
    let request = Request::post(gateway.url("/a")).body(body).unwrap();
    let sending = tokio::spawn(client(false).request(request));
    for piece in ["a", "b", "c", "d"] {
        sender.send(piece).await.unwrap();
        sleep(Duration::from_millis(200)).await;
    }
    drop(sender);
    let answer = Answer::read(soon(sending).await.unwrap().unwrap()).await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "abcd"));
}

#[tokio::test]
async fn a_request_that_comes_back_is_a_loop() {
    let upstream = Upstream::of_requests(|_| async { http::Response::new(full("")) }).await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    let back = Request::get(gateway.url("/")).header("via", "1.1 a, 1.1 job-gateway");
    failed(
        &send(back.body("".into()).unwrap()).await,
        508,
        "proxy_loop_detected",
    );
}

#[tokio::test]
async fn a_gateway_before_itself_ends_the_loop() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    drop(taken);
    let url = format!("http://{address}");
    let gateway = Gateway::before(&url, &["--listen", &address]).await;
    let begun = Instant::now();
    failed(&get(gateway.url("/")).await, 508, "proxy_loop_detected");
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn requests_that_cannot_be_sent_on_are_refused() {
    let (upstream, seen) = Upstream::of_bytes(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    for (line, status, error) in [
        ("CONNECT a:443", "501", "http_request_denied"),
        ("GET /a/../b", "400", "http_request_error"),
        ("GET /a/%2e%2E/b", "400", "http_request_error"),
        ("GET /./work", "400", "http_request_error"),
    ] {
        let request = format!("{line} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = talk(gateway.address(), request.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains(&format!("error={error}\r\n")), "{answer}");
    }
    assert_eq!(seen.count(), 0);
}

#[tokio::test]
async fn a_request_without_a_route_is_not_found() {
    let settings = "[upstreams.a]\nurl = \"http://127.0.0.1:9\"\n\
        [upstreams.b]\nurl = \"http://127.0.0.1:9\"\n\
        [[routes]]\nmatch = \"POST /a\"\nupstream = \"a\"\n";
    let gateway = Gateway::with(settings).await;
    failed(&get(gateway.url("/a")).await, 404, "destination_not_found");
}

#[tokio::test]
async fn errors_of_a_server_are_its_own() {
    let (upstream, _) = Upstream::of_bytes(
        b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nbusy",
    )
    .await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    let answer = get(gateway.url("/")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((answer.text(), answer.header("retry-after")), ("busy", "7"));
    assert!(!answer.headers.contains_key("proxy-status"));
}

/// Returns a server that tells when a request begins, and when it is cancelled.
async fn watched() -> (Upstream, mpsc::Receiver<&'static str>) {
    struct Dropped(mpsc::Sender<&'static str>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.try_send("cancelled");
        }
    }
    let (sender, receiver) = mpsc::channel(8);
    let upstream = Upstream::of_requests(move |_| {
        let dropped = Dropped(sender.clone());
        async move {
            dropped.0.try_send("begun").unwrap();
            sleep(Duration::from_secs(1)).await;
            dropped.0.try_send("done").unwrap();
            std::mem::forget(dropped);
            http::Response::new(full("done"))
        }
    });
    (upstream.await, receiver)
}

#[tokio::test]
async fn a_client_that_leaves_before_acceptance_cancels() {
    let (upstream, mut events) = watched().await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    for http2 in [false, true] {
        let request = Request::post(gateway.url("/")).body(full("")).unwrap();
        let client = client(http2);
        let sending = tokio::spawn(client.request(request));
        assert_eq!(soon(events.recv()).await, Some("begun"));
        // Over HTTP/2, the stream is reset, and the connection stays.
        sending.abort();
        assert_eq!(soon(events.recv()).await, Some("cancelled"), "{http2}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_after_acceptance_does_not_cancel() {
    let (upstream, mut events) = watched().await;
    let gateway = Gateway::before(&upstream.url(), &["--inline-wait", "100ms"]).await;
    for http2 in [false, true] {
        let request = Request::post(gateway.url("/")).body(full("")).unwrap();
        let client = client(http2);
        let accepted = soon(client.request(request)).await.unwrap();
        assert_eq!(accepted.status(), StatusCode::SEE_OTHER);
        drop((accepted, client));
        assert_eq!(soon(events.recv()).await, Some("begun"));
        assert_eq!(soon(events.recv()).await, Some("done"), "{http2}");
    }
}

#[tokio::test]
async fn a_job_that_is_cancelled_closes_its_connection() {
    let (upstream, mut events) = watched().await;
    let gateway = Gateway::before(&upstream.url(), &["--inline-wait", "100ms"]).await;
    let pending = send(Request::post(gateway.url("/")).body("".into()).unwrap()).await;
    let job = pending
        .header("location")
        .split('?')
        .next()
        .unwrap()
        .to_owned();
    let cancelled = send(Request::delete(gateway.url(&job)).body("".into()).unwrap()).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    assert_eq!(soon(events.recv()).await, Some("begun"));
    assert_ne!(soon(events.recv()).await, Some("begun"));
}
