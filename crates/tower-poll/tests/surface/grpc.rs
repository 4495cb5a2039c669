//! gRPC by a tonic channel beneath the layer, against a server that defers
//! each call: nothing else is needed.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, uri::PathAndQuery,
};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};
use tonic::{Code, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;
use tower::Layer;
use tower_poll::{PollLayer, PollService, StandardPolicy};

/// The longest that anything takes, unless it hangs.
const LONG: Duration = Duration::from_secs(20);

/// Accepts a call as a job, is asked twice, and then answers by what the
/// test sends.
#[derive(Clone, Debug)]
struct Server {
    frames: Arc<Mutex<Option<UnboundedReceiver<Frame<Bytes>>>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start() -> (Self, Client, UnboundedSender<Frame<Bytes>>) {
        let (sender, frames) = unbounded_channel();
        let server = Self {
            frames: Arc::new(Mutex::new(Some(frames))),
            seen: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = accepting.clone();
                let service = service_fn(move |request| server.clone().answer(request));
                let builder = http2::Builder::new(TokioExecutor::new());
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }
        });
        let channel = Channel::from_shared(format!("http://{address}")).unwrap();
        let policy = StandardPolicy::new().min_delay(Duration::from_millis(1));
        let service = PollLayer::with_policy(policy).layer(channel.connect_lazy());
        (server, Grpc::new(service), sender)
    }

    async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
        let (parts, body) = request.into_parts();
        let read = body.collect().await.unwrap().to_bytes();
        let seen = format!("{} {}", parts.method, parts.uri.path());
        self.seen.lock().unwrap().push(seen);
        assert_eq!(parts.headers[header::TE], "trailers");
        let mut response = Response::new(UnsyncBoxBody::default());
        let headers = response.headers_mut();
        let location = match (parts.method, parts.uri.path()) {
            (Method::POST, "/greeter/hello") => {
                assert_eq!(read, message("Ada"));
                Some("/work/1")
            }
            (Method::GET, "/work/1") => Some("/work/2"),
            (Method::GET, "/work/2") => None,
            other => panic!("{other:?}"),
        };
        if let Some(location) = location {
            headers.insert(header::LOCATION, HeaderValue::from_static(location));
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            headers.insert("retry-after-ms", HeaderValue::from_static("10"));
            *response.status_mut() = StatusCode::SEE_OTHER;
        } else {
            let grpc = HeaderValue::from_static("application/grpc");
            headers.insert(header::CONTENT_TYPE, grpc);
            headers.insert("job-status", HeaderValue::from_static("done"));
            let mut frames = self.frames.lock().unwrap().take().unwrap();
            let frames = stream::poll_fn(move |cx| frames.poll_recv(cx).map(|next| next.map(Ok)));
            *response.body_mut() = StreamBody::new(frames).boxed_unsync();
        }
        Ok(response)
    }

    fn assert_polled(&self) {
        let seen = self.seen.lock().unwrap();
        let polled = ["POST /greeter/hello", "GET /work/1", "GET /work/2"];
        assert_eq!(*seen, polled);
    }
}

type Client = Grpc<PollService<Channel>>;

/// A `google.protobuf.StringValue`, framed.
fn message(value: &str) -> Bytes {
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(2 + value.len() as u32);
    framed.put_slice(&[0x0a, value.len() as u8]);
    framed.put_slice(value.as_bytes());
    framed.freeze()
}

fn trailers(status: &'static str) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    trailers.insert("grpc-message", HeaderValue::from_static("it%20is%20so"));
    trailers.insert("x-cost", HeaderValue::from_static("7"));
    Frame::trailers(trailers)
}

fn codec() -> ProstCodec<String, String> {
    ProstCodec::default()
}

fn hello() -> (tonic::Request<String>, PathAndQuery) {
    let path = PathAndQuery::from_static("/greeter/hello");
    (tonic::Request::new("Ada".to_owned()), path)
}

#[tokio::test]
async fn unary_call_is_polled() {
    let (server, mut client, frames) = Server::start().await;
    frames.send(Frame::data(message("Hello, Ada!"))).unwrap();
    frames.send(trailers("0")).unwrap();
    client.ready().await.unwrap();
    let (request, path) = hello();
    let call = timeout(LONG, client.unary(request, path, codec()));
    let response = call.await.unwrap().unwrap();
    assert_eq!(response.metadata().get("x-cost").unwrap(), "7");
    assert_eq!(response.into_inner(), "Hello, Ada!");
    server.assert_polled();
}

#[tokio::test]
async fn status_of_a_polled_call_is_that_of_the_trailers() {
    let (server, mut client, frames) = Server::start().await;
    frames.send(trailers("9")).unwrap();
    client.ready().await.unwrap();
    let (request, path) = hello();
    let call = timeout(LONG, client.unary(request, path, codec()));
    let status = call.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), "it is so");
    server.assert_polled();
}

#[tokio::test]
async fn server_streaming_call_is_polled_and_streams() {
    let (server, mut client, frames) = Server::start().await;
    client.ready().await.unwrap();
    let (request, path) = hello();
    let call = timeout(LONG, client.server_streaming(request, path, codec()));
    let mut messages = call.await.unwrap().unwrap().into_inner();
    server.assert_polled();
    // Each is sent only after the one before it was read.
    for value in ["one", "two"] {
        frames.send(Frame::data(message(value))).unwrap();
        let next = timeout(LONG, messages.message());
        let next = next.await.expect("the answer does not stream");
        assert_eq!(next.unwrap().unwrap(), value);
    }
    frames.send(trailers("0")).unwrap();
    drop(frames);
    assert_eq!(messages.message().await.unwrap(), None);
    let trailers = messages.trailers().await.unwrap().unwrap();
    assert_eq!(trailers.get("x-cost").unwrap(), "7");
}

/// Without the feature, tonic knows nothing of the layer's errors.
#[cfg(feature = "tonic")]
mod statuses {
    use std::error::Error as _;

    use bytes::Bytes;
    use http_body_util::Full;
    use tonic::body::Body;
    use tower::service_fn;
    use tower_poll::{Error, Refusal, policy::policy_fn};

    use super::*;

    /// The status with which a call ends whose answers are these, over and
    /// over.
    async fn status(
        layer: PollLayer,
        answer: (u16, &'static [(&'static str, &'static str)]),
        timeout: Option<Duration>,
    ) -> tonic::Status {
        let service = service_fn(move |_: Request<Body>| async move {
            let (status, headers) = answer;
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
        });
        let mut client = Grpc::new(layer.layer(service));
        client.ready().await.unwrap();
        let (mut request, path) = hello();
        if let Some(timeout) = timeout {
            request.set_timeout(timeout);
        }
        client.unary(request, path, codec()).await.unwrap_err()
    }

    const PENDING: (u16, &[(&str, &str)]) = (303, &[("location", "/work/1"), ("retry-after", "1")]);

    #[tokio::test(start_paused = true)]
    async fn deadline_is_deadline_exceeded() {
        let layer = PollLayer::new().deadline(Duration::from_secs(5));
        let found = status(layer, PENDING, None).await;
        assert_eq!(found.code(), Code::DeadlineExceeded);
        let error = found.source().unwrap().downcast_ref::<Error>().unwrap();
        assert!(error.is_deadline() && error.pending_job().is_some());

        let timeout = Some(Duration::from_secs(5));
        let found = status(PollLayer::new(), PENDING, timeout).await;
        assert_eq!(found.code(), Code::DeadlineExceeded);

        // The first wait is too long already.
        let timeout = Some(Duration::from_millis(500));
        let found = status(PollLayer::new(), PENDING, timeout).await;
        assert_eq!(found.code(), Code::DeadlineExceeded);
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_what_they_are() {
        for (answer, expected) in [
            (
                (303, &[("location", "file:///x"), ("retry-after", "1")][..]),
                Code::Internal,
            ),
            (
                (
                    303,
                    &[("location", "https://a.test/"), ("retry-after", "1")],
                ),
                Code::PermissionDenied,
            ),
        ] {
            let found = status(PollLayer::new(), answer, None).await;
            assert_eq!(found.code(), expected, "{answer:?} {found}");
        }
        let found = status(PollLayer::new().max_polls(2), PENDING, None).await;
        assert_eq!(found.code(), Code::ResourceExhausted);
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_of_the_policy_stays_in_the_chain() {
        let policy = policy_fn(|_| Err(Refusal::new("not today")));
        let service = service_fn(|_: Request<Body>| async {
            let response = Response::builder()
                .status(303)
                .header("location", "/work/1");
            let response = response.header("retry-after", "1");
            Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
        });
        let mut client = Grpc::new(PollLayer::with_policy(policy).layer(service));
        client.ready().await.unwrap();
        let (request, path) = hello();
        let found = client.unary(request, path, codec()).await.unwrap_err();
        assert_eq!(found.code(), Code::PermissionDenied);
        assert_eq!(
            found.message(),
            "the policy refused the next poll (303 See Other): not today"
        );
        let error = found.source().unwrap();
        let status = error.source().unwrap();
        assert!(status.is::<tonic::Status>() && status.source().unwrap().is::<Refusal>());
    }
}
