//! Conversations: event streams, and calls of gRPC.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Incoming;
use tokio::sync::mpsc;

use crate::support::{Body, Gateway, Upstream, client, soon};

/// Returns a body to which frames are sent.
fn channel() -> (mpsc::Sender<Frame<Bytes>>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    let frames = stream::unfold(receiver, |mut receiver| async {
        let frame = receiver.recv().await?;
        Some((Ok::<_, Infallible>(frame), receiver))
    });
    (sender, StreamBody::new(frames).boxed_unsync())
}

async fn next(body: &mut Incoming) -> Bytes {
    let frame = soon(body.frame()).await.expect("a frame").unwrap();
    frame.into_data().expect("data")
}

#[tokio::test]
async fn events_arrive_as_they_happen() {
    let (events, body) = channel();
    let body = std::sync::Mutex::new(Some(body));
    let body = std::sync::Arc::new(body);
    let upstream = Upstream::of_requests(move |_| {
        let body = body.lock().unwrap().take().unwrap();
        async {
            let response = Response::builder().header("content-type", "text/event-stream");
            response.body(body).unwrap()
        }
    });
    let upstream = upstream.await;
    let gateway = Gateway::before(&upstream.url(), &["--inline-wait", "100ms"]).await;
    let request = Request::get(gateway.url("/events"))
        .header("accept", "text/event-stream")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = soon(client(false).request(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        events.send(Frame::data(event.into())).await.unwrap();
        assert_eq!(next(&mut body).await, event);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    drop(events);
    assert!(soon(body.frame()).await.is_none());
}

#[tokio::test]
async fn a_server_learns_that_a_client_has_left_a_stream() {
    let (events, body) = channel();
    let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
    let upstream = Upstream::of_requests(move |_| {
        let body = body.lock().unwrap().take().unwrap();
        async { Response::new(body) }
    });
    let upstream = upstream.await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    let request = Request::get(gateway.url("/"))
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = soon(client(false).request(request)).await.unwrap();
    events.send(Frame::data("1".into())).await.unwrap();
    drop(response);
    soon(events.closed()).await;
}

#[tokio::test]
async fn a_conversation_of_grpc_passes_both_ways() {
    let upstream = Upstream::of_requests(|request| async move {
        assert_eq!(request.version(), http::Version::HTTP_2);
        assert_eq!(request.headers()["te"], "trailers");
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.insert("grpc-message", HeaderValue::from_static("all%20said"));
        let said = request.into_body().into_data_stream();
        let said = said.map(|data| Frame::data(data.unwrap()));
        let frames = said.chain(stream::iter([Frame::trailers(trailers)]));
        let mut response = Response::new(StreamBody::new(frames.map(Ok::<_, Infallible>)));
        let kind = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", kind);
        response
    });
    let upstream = upstream.await;
    let url = upstream.url().replace("http:", "h2c:");
    let gateway = Gateway::before(&url, &["--inline-wait", "100ms"]).await;
    let (say, body) = channel();
    let request = Request::post(gateway.url("/chat.Chat/Talk"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap();
    let response = soon(client(true).request(request)).await.unwrap();
    let mut body = response.into_body();
    for word in ["one", "two"] {
        say.send(Frame::data(word.into())).await.unwrap();
        assert_eq!(next(&mut body).await, word);
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
    drop(say);
    let trailers = soon(body.frame()).await.unwrap().unwrap();
    let trailers = trailers.into_trailers().expect("trailers");
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers["grpc-message"], "all%20said");
}
