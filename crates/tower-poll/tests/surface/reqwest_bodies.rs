//! Bodies through reqwest and the layer, over loopback: they stream both
//! ways, one chunk at a time.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};
use tower::{BoxError, Layer, ServiceExt};
use tower_poll::{PollLayer, PollService, StandardPolicy, reqwest::ReqwestService};

const CHECKSUM: HeaderName = HeaderName::from_static("x-checksum");

type Frames = UnboundedReceiver<Frame<Bytes>>;

/// Echoes what is posted to `/echo`, answers `/report` by a job whose
/// result is `frames`, and redirects `/loop` to itself.
#[derive(Clone, Debug)]
struct Server {
    frames: Arc<Mutex<Option<Frames>>>,
}

impl Server {
    async fn start() -> (SocketAddr, UnboundedSender<Frame<Bytes>>) {
        let (sender, frames) = unbounded_channel();
        let server = Self {
            frames: Arc::new(Mutex::new(Some(frames))),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                let service = service_fn(move |request| {
                    let response = server.answer(request);
                    async { Ok::<_, Infallible>(response) }
                });
                tokio::spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let connection = builder.serve_connection(TokioIo::new(stream), service);
                    let _ = connection.await;
                });
            }
        });
        (address, sender)
    }

    fn answer(&self, request: Request<Incoming>) -> Response<UnsyncBoxBody<Bytes, BoxError>> {
        let mut response = Response::new(UnsyncBoxBody::default());
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/echo") => {
                *response.body_mut() = request.into_body().map_err(Into::into).boxed_unsync();
            }
            (&Method::POST, "/report") => {
                *response.status_mut() = StatusCode::SEE_OTHER;
                let headers = response.headers_mut();
                headers.insert(header::LOCATION, HeaderValue::from_static("/work/1"));
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                headers.insert("retry-after-ms", HeaderValue::from_static("10"));
            }
            (_, "/loop") => {
                *response.status_mut() = StatusCode::SEE_OTHER;
                let location = HeaderValue::from_static("/loop");
                response.headers_mut().insert(header::LOCATION, location);
            }
            (&Method::GET, "/work/1") => {
                let frames = self.frames.lock().unwrap().take().unwrap();
                let body = StreamBody::new(stream_of(frames).map(Ok));
                *response.body_mut() = body.boxed_unsync();
                // HTTP/1.1 sends no trailers that were not announced.
                let announced = HeaderValue::from_name(CHECKSUM);
                response.headers_mut().insert(header::TRAILER, announced);
            }
            _ => *response.status_mut() = StatusCode::BAD_REQUEST,
        }
        response
    }
}

fn stream_of<T>(mut receiver: UnboundedReceiver<T>) -> impl Stream<Item = T> {
    stream::poll_fn(move |cx| receiver.poll_recv(cx))
}

fn client(builder: reqwest::ClientBuilder) -> PollService<ReqwestService> {
    let policy = StandardPolicy::new().min_delay(Duration::from_millis(1));
    PollLayer::with_policy(policy).layer(ReqwestService::build(builder).unwrap())
}

fn http_1() -> PollService<ReqwestService> {
    client(reqwest::Client::builder())
}

fn http_2() -> PollService<ReqwestService> {
    client(reqwest::Client::builder().http2_prior_knowledge())
}

fn post(address: SocketAddr, path: &str, body: reqwest::Body) -> Request<reqwest::Body> {
    Request::post(format!("http://{address}{path}"))
        // Without it, HTTP/1.1 has no trailers.
        .header(header::TE, "trailers")
        .body(body)
        .unwrap()
}

/// The next frame, of which something is wrong if it takes long.
async fn next(body: &mut reqwest::Body) -> Option<Frame<Bytes>> {
    let next = timeout(Duration::from_secs(20), body.frame());
    next.await
        .expect("the body does not stream")
        .map(|frame| frame.unwrap())
}

async fn next_data(body: &mut reqwest::Body) -> Bytes {
    next(body).await.unwrap().into_data().unwrap()
}

fn checksum() -> HeaderMap {
    HeaderMap::from_iter([(CHECKSUM, HeaderValue::from_static("abc"))])
}

/// Sends the second chunk only after the first was echoed.
async fn assert_echoes(
    client: PollService<ReqwestService>,
    body: reqwest::Body,
    chunks: UnboundedSender<Bytes>,
    address: SocketAddr,
) {
    let call = client.oneshot(post(address, "/echo", body));
    let call = timeout(Duration::from_secs(20), call);
    let response = call.await.expect("the head does not come").unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!response.headers().contains_key(header::CONTENT_LENGTH));
    let mut echoed = response.into_body();
    for chunk in ["one", "two", "three"] {
        chunks.send(Bytes::from(chunk)).unwrap();
        assert_eq!(next_data(&mut echoed).await, chunk);
    }
    drop(chunks);
    // HTTP/2 may end by an empty frame.
    while let Some(frame) = next(&mut echoed).await {
        assert!(frame.data_ref().is_some_and(Bytes::is_empty), "{frame:?}");
    }
}

/// A body of the chunks that are sent.
fn wrapped() -> (reqwest::Body, UnboundedSender<Bytes>) {
    let (sender, chunks) = unbounded_channel();
    let frames = stream_of(chunks).map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)));
    (reqwest::Body::wrap(StreamBody::new(frames)), sender)
}

fn wrapped_stream() -> (reqwest::Body, UnboundedSender<Bytes>) {
    let (sender, chunks) = unbounded_channel();
    let chunks = stream_of(chunks).map(Ok::<_, Infallible>);
    (reqwest::Body::wrap_stream(chunks), sender)
}

#[tokio::test]
async fn bodies_are_echoed_over_http_1() {
    let (address, _frames) = Server::start().await;
    for (body, chunks) in [wrapped(), wrapped_stream()] {
        assert_echoes(http_1(), body, chunks, address).await;
    }
}

#[tokio::test]
async fn bodies_are_echoed_over_http_2() {
    let (address, _frames) = Server::start().await;
    for (body, chunks) in [wrapped(), wrapped_stream()] {
        assert_echoes(http_2(), body, chunks, address).await;
    }
}

#[tokio::test]
async fn request_trailers_are_sent_over_http_2() {
    let (address, _frames) = Server::start().await;
    let frames = [Frame::data(Bytes::from("one")), Frame::trailers(checksum())];
    let frames = stream::iter(frames.map(Ok::<_, Infallible>));
    let body = reqwest::Body::wrap(StreamBody::new(frames));
    let response = http_2().oneshot(post(address, "/echo", body)).await;
    let echoed = response.unwrap().into_body().collect().await.unwrap();
    assert_eq!(echoed.trailers(), Some(&checksum()));
}

/// The server sends the second chunk only after the first was read, and then
/// trailers.
async fn assert_result_streams(client: PollService<ReqwestService>) {
    let (address, frames) = Server::start().await;
    let body = reqwest::Body::from("the work");
    let response = client
        .oneshot(post(address, "/report", body))
        .await
        .unwrap();
    let mut result = response.into_body();
    for chunk in ["one", "two"] {
        frames.send(Frame::data(Bytes::from(chunk))).unwrap();
        assert_eq!(next_data(&mut result).await, chunk);
    }
    frames.send(Frame::trailers(checksum())).unwrap();
    let trailers = next(&mut result).await.unwrap().into_trailers();
    assert_eq!(trailers.unwrap(), checksum());
    drop(frames);
    assert!(next(&mut result).await.is_none());
}

#[tokio::test]
async fn result_of_a_job_streams_with_its_trailers_over_http_1() {
    assert_result_streams(http_1()).await;
}

#[tokio::test]
async fn result_of_a_job_streams_with_its_trailers_over_http_2() {
    assert_result_streams(http_2()).await;
}

#[tokio::test]
async fn response_made_one_of_reqwest_again_has_the_url_of_the_result() {
    let (address, _frames) = Server::start().await;
    let body = reqwest::Body::from("the work");
    let response = http_1().oneshot(post(address, "/report", body)).await;
    let response = reqwest::Response::from(response.unwrap());
    assert_eq!(response.url().as_str(), format!("http://{address}/work/1"));
}

#[tokio::test]
async fn client_that_redirects_until_it_gives_up_is_found_out() {
    let (address, _frames) = Server::start().await;
    let client = ReqwestService::around(reqwest::Client::new());
    let body = reqwest::Body::default();
    let error = client.oneshot(post(address, "/loop", body)).await;
    assert!(error.unwrap_err().is_redirected());
}
