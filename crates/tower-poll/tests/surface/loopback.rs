//! Real clients against a real server, over loopback.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_poll::{PollLayer, StandardPolicy};

/// Answers `POST /report` and the first poll by 303, and then by 200.
#[derive(Clone, Debug, Default)]
struct Server {
    connections: Arc<AtomicUsize>,
    polls: Arc<AtomicUsize>,
}

impl Server {
    async fn start() -> (Self, SocketAddr) {
        let server = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(server.clone().accept(listener));
        (server, address)
    }

    async fn accept(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            self.connections.fetch_add(1, Ordering::Relaxed);
            let server = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| server.clone().answer(request));
                let builder = auto::Builder::new(TokioExecutor::new());
                let connection = builder.serve_connection(TokioIo::new(stream), service);
                let _ = connection.await;
            });
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let path = request.uri().path().to_owned();
        let method = request.method().clone();
        let version = request.version();
        let read = request.into_body().collect().await.unwrap().to_bytes();
        let mut response = Response::new(Full::from(format!("{version:?}")));
        match path.as_str() {
            "/old" => go(&mut response, StatusCode::FOUND, "/report"),
            "/report" | "/work/1" => {
                let location = if path == "/report" {
                    assert!(method == Method::GET || &read[..] == b"the work");
                    "/work/1"
                } else {
                    assert_eq!((method, read.len()), (Method::GET, 0));
                    self.polls.fetch_add(1, Ordering::Relaxed);
                    "/work/2"
                };
                // With a body, which must be out of the way on HTTP/1.
                *response.body_mut() = Full::from(r#"{"state":"running"}"#);
                go(&mut response, StatusCode::SEE_OTHER, location);
                let headers = response.headers_mut();
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                headers.insert("retry-after-ms", HeaderValue::from_static("10"));
            }
            "/work/2" => {
                self.polls.fetch_add(1, Ordering::Relaxed);
            }
            _ => *response.status_mut() = StatusCode::BAD_REQUEST,
        }
        Ok(response)
    }

    fn assert_polled(&self, connections: usize) {
        assert_eq!(self.polls.load(Ordering::Relaxed), 2);
        assert_eq!(self.connections.load(Ordering::Relaxed), connections);
    }
}

fn go(response: &mut Response<Full<Bytes>>, status: StatusCode, location: &'static str) {
    *response.status_mut() = status;
    let location = HeaderValue::from_static(location);
    response.headers_mut().insert(header::LOCATION, location);
}

fn layer() -> PollLayer {
    PollLayer::with_policy(StandardPolicy::new().min_delay(Duration::from_millis(1)))
        .deadline(Duration::from_secs(60))
}

fn request(address: SocketAddr, path: &str) -> Request<Full<Bytes>> {
    Request::post(format!("http://{address}{path}"))
        .body(Full::from("the work"))
        .unwrap()
}

async fn text<B: http_body::Body<Error: std::fmt::Debug>>(response: Response<B>) -> String {
    assert_eq!(response.status(), StatusCode::OK);
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn hyper_polls_over_one_http_1_connection() {
    let (server, address) = Server::start().await;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let service = layer().layer(client);
    let response = service.oneshot(request(address, "/report")).await.unwrap();
    assert_eq!(text(response).await, "HTTP/1.1");
    server.assert_polled(1);
}

#[tokio::test]
async fn hyper_polls_over_one_http_2_connection() {
    let (server, address) = Server::start().await;
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let service = layer().layer(client);
    let mut request = request(address, "/report");
    *request.version_mut() = http::Version::HTTP_2;
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(text(response).await, "HTTP/2.0");
    server.assert_polled(1);
}

#[tokio::test]
async fn plain_redirect_is_followed_outside_and_polls_inside() {
    let (server, address) = Server::start().await;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let service = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(layer())
        .service(client);
    let response = service.oneshot(request(address, "/old")).await.unwrap();
    assert_eq!(text(response).await, "HTTP/1.1");
    server.assert_polled(1);
}

#[tokio::test]
async fn poll_of_a_path_only_request_has_the_host_of_the_submission() {
    let (server, address) = Server::start().await;
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    // A bare connection serves one request at a time and is not cloned.
    let sender = Arc::new(tokio::sync::Mutex::new(sender));
    let client = tower::service_fn(move |request: Request<Full<Bytes>>| {
        let sender = Arc::clone(&sender);
        async move {
            assert!(request.headers().contains_key(header::HOST));
            let mut sender = sender.lock().await;
            sender.ready().await?;
            sender.send_request(request).await
        }
    });
    let request = Request::post("/report")
        .header(header::HOST, address.to_string())
        .body(Full::from("the work"))
        .unwrap();
    let response = layer().layer(client).oneshot(request).await.unwrap();
    assert_eq!(text(response).await, "HTTP/1.1");
    server.assert_polled(1);
}

#[cfg(feature = "reqwest")]
mod reqwest_client {
    use tower_poll::reqwest::{ReqwestError, ReqwestService};

    use super::*;

    fn request(address: SocketAddr, path: &str) -> Request<reqwest::Body> {
        super::request(address, path).map(|_| reqwest::Body::from("the work"))
    }

    #[tokio::test]
    async fn reqwest_polls_over_one_connection() {
        let (server, address) = Server::start().await;
        let client = ReqwestService::build(reqwest::Client::builder()).unwrap();
        let service = layer().layer(client);
        let response = service.oneshot(request(address, "/report")).await.unwrap();
        let response = reqwest::Response::from(response);
        assert_eq!(response.text().await.unwrap(), "HTTP/1.1");
        server.assert_polled(1);
    }

    #[tokio::test]
    async fn finished_client_that_does_not_redirect_is_as_good() {
        let (server, address) = Server::start().await;
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let service = layer().layer(ReqwestService::around(client));
        let response = service.oneshot(request(address, "/report")).await.unwrap();
        assert_eq!(text(response).await, "HTTP/1.1");
        server.assert_polled(1);
    }

    #[tokio::test]
    async fn finished_client_that_redirects_by_itself_is_found_out() {
        let (_, address) = Server::start().await;
        let service = layer().layer(ReqwestService::around(reqwest::Client::new()));
        let error = service.oneshot(request(address, "/report")).await;
        let inner = error.unwrap_err().into_inner().unwrap();
        let error = inner.downcast::<ReqwestError>().unwrap();
        assert!(error.is_redirected() && error.as_reqwest().is_none());
        assert!(error.to_string().contains("redirect::Policy::none()"));
    }

    #[tokio::test]
    async fn path_only_request_is_an_error() {
        let client = ReqwestService::build(reqwest::Client::builder()).unwrap();
        let request = Request::post("/report").body(reqwest::Body::default());
        let error = client.oneshot(request.unwrap()).await.unwrap_err();
        assert!(error.as_reqwest().is_some_and(reqwest::Error::is_builder));
    }
}

/// Answers each connection with the next of `answers`, as it is written.
async fn raw_server(answers: Vec<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                stream.read_buf(&mut head).await.unwrap();
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

/// As the README has it.
#[tokio::test]
async fn c31_odd_headers_are_read_with_options_of_hyper() {
    let many: String = (0..300).map(|n| format!("x-{n}: {n}\r\n")).collect();
    let end = "content-length: 0\r\nconnection: close\r\n\r\n";
    let odd = "location : /work/1\r\nx-folded: a\r\n b\r\nretry-after: 0\r\n";
    let address = raw_server(vec![
        format!("HTTP/1.1 303 See Other\r\n{many}{odd}{end}"),
        format!("HTTP/1.1 200 OK\r\n{many}{end}"),
    ])
    .await;
    let client = Client::builder(TokioExecutor::new())
        .http1_max_headers(1000)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .build_http();
    let request = Request::post(format!("http://{address}/report"))
        .body(Full::<Bytes>::default())
        .unwrap();
    let response = PollLayer::new().layer(client).oneshot(request).await;
    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-299"], "299");
}
