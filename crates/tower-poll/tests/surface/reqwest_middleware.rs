//! The layer as a middleware of reqwest's client, over loopback.

use std::{
    convert::Infallible,
    error::Error,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use http::{Extensions, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use tokio::{net::TcpListener, sync::mpsc::UnboundedReceiver, time::timeout};
use tower_poll::{
    PollLayer, PollPolicyExt, PreferAsync, StandardPolicy,
    reqwest_middleware::{PollMiddleware, RedirectedError},
};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Answers `/report` and the first poll by 303, and the second by 200.
#[derive(Clone, Debug, Default)]
struct Server {
    /// Method, path and marks of each request.
    seen: Arc<Mutex<Vec<String>>>,
    /// The rest of a result that streams.
    rest: Arc<Mutex<Option<UnboundedReceiver<Bytes>>>>,
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
            let server = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| server.clone().answer(request));
                let builder = auto::Builder::new(TokioExecutor::new());
                let connection = builder.serve_connection(TokioIo::new(stream), service);
                let _ = connection.await;
            });
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        let read = body.collect().await.unwrap().to_bytes();
        let path = parts.uri.path();
        let marks = [MARK, HeaderName::from_static("prefer")];
        let marks = marks.map(|name| match parts.headers.get(name) {
            Some(value) => format!(" {}", value.to_str().unwrap()),
            None => String::new(),
        });
        let seen = format!("{} {path}{}", parts.method, marks.concat());
        self.seen.lock().unwrap().push(seen);
        let (status, location) = match path {
            "/report" => {
                assert_eq!((parts.method, &read[..]), (Method::POST, &b"the work"[..]));
                (StatusCode::SEE_OTHER, Some("/work/1"))
            }
            "/work/1" => (StatusCode::SEE_OTHER, Some("/work/2")),
            "/late" => (StatusCode::SEE_OTHER, Some("/late")),
            "/work/2" => (StatusCode::OK, None),
            "/broken" if parts.method == Method::POST => (StatusCode::SEE_OTHER, Some("/broken")),
            "/broken" => (StatusCode::BAD_GATEWAY, None),
            _ => (StatusCode::BAD_REQUEST, None),
        };
        let body = match self.rest.lock().unwrap().take_if(|_| location.is_none()) {
            Some(mut rest) => {
                let chunks = stream::poll_fn(move |cx| {
                    rest.poll_recv(cx)
                        .map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
                });
                StreamBody::new(chunks).boxed_unsync()
            }
            None => Full::from("the answer").boxed_unsync(),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        if let Some(location) = location {
            let headers = response.headers_mut();
            headers.insert(header::LOCATION, HeaderValue::from_static(location));
            let (seconds, millis) = if path == "/late" {
                (60, 60_000)
            } else {
                (1, 10)
            };
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            headers.insert("retry-after-ms", HeaderValue::from(millis));
        }
        Ok(response)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

const MARK: HeaderName = HeaderName::from_static("x-mark");

/// An extension that middleware beneath puts into a header, and counts.
#[derive(Clone, Debug)]
struct Mark(u32);

#[derive(Debug)]
struct Marking;

#[async_trait]
impl Middleware for Marking {
    async fn handle(
        &self,
        mut request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let mark = extensions.get_mut::<Mark>().expect("a mark is given");
        mark.0 += 1;
        let value = HeaderValue::from(mark.0);
        request.headers_mut().insert(MARK, value);
        next.run(request, extensions).await
    }
}

/// Adds to the query of every request.
#[derive(Debug)]
struct Signing;

#[async_trait]
impl Middleware for Signing {
    async fn handle(
        &self,
        mut request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        request.url_mut().set_query(Some("key=secret"));
        next.run(request, extensions).await
    }
}

fn layer() -> PollLayer {
    PollLayer::with_policy(StandardPolicy::new().min_delay(Duration::from_millis(1)))
}

fn plain() -> reqwest::Client {
    let policy = reqwest::redirect::Policy::none();
    let builder = reqwest::Client::builder().redirect(policy);
    builder.build().unwrap()
}

fn client(layer: PollLayer) -> ClientWithMiddleware {
    ClientBuilder::new(plain())
        .with(PollMiddleware::new(layer))
        .build()
}

fn report(address: SocketAddr) -> String {
    format!("http://{address}/report")
}

/// The error in the chain that is a `T`.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut chain = std::iter::successors(Some(error), |&error| error.source());
    chain.find_map(|error| error.downcast_ref())
}

#[tokio::test]
async fn call_is_polled_until_its_answer_is_there() {
    let (server, address) = Server::start().await;
    let request = client(layer()).post(report(address)).body("the work");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.url().path(), "/work/2");
    assert_eq!(response.remote_addr(), Some(address));
    assert_eq!(response.text().await.unwrap(), "the answer");
    let seen = ["POST /report", "GET /work/1", "GET /work/2"];
    assert_eq!(server.seen(), seen);
}

#[tokio::test]
async fn deadline_is_found_in_the_error_with_the_job() {
    let (_, address) = Server::start().await;
    let client = client(layer().deadline(Duration::from_secs(5)));
    let error = client.get(format!("http://{address}/late")).send().await;
    let error = error.unwrap_err();
    let reqwest_middleware::Error::Middleware(inner) = &error else {
        panic!("{error:?}");
    };
    for polling in [inner.downcast_ref(), find::<tower_poll::Error>(&error)] {
        let polling = polling.expect("it is an error of the layer");
        assert!(polling.is_deadline());
        assert_eq!(polling.pending_job().unwrap().url().path(), "/late");
    }
}

#[tokio::test]
async fn result_streams() {
    let (server, address) = Server::start().await;
    let (sender, rest) = tokio::sync::mpsc::unbounded_channel();
    *server.rest.lock().unwrap() = Some(rest);
    let request = client(layer()).post(report(address)).body("the work");
    let mut response = request.send().await.unwrap();
    for chunk in ["one", "two"] {
        sender.send(Bytes::from(chunk)).unwrap();
        let read = timeout(Duration::from_secs(20), response.chunk());
        let read = read.await.expect("the result does not stream");
        assert_eq!(read.unwrap().unwrap(), chunk);
    }
    drop(sender);
    assert_eq!(response.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn extensions_are_those_of_each_request() {
    let (server, address) = Server::start().await;
    let client = ClientBuilder::new(plain())
        .with(PollMiddleware::new(layer()))
        .with(Marking)
        .build();
    let request = client.post(report(address)).body("the work").build();
    let mut extensions = Extensions::new();
    extensions.insert(Mark(0));
    client
        .execute_with_extensions(request.unwrap(), &mut extensions)
        .await
        .unwrap();
    let seen = ["POST /report 1", "GET /work/1 2", "GET /work/2 3"];
    assert_eq!(server.seen(), seen);
    assert_eq!(extensions.get::<Mark>().unwrap().0, 3);
}

#[tokio::test]
async fn extensions_that_the_policy_puts_on_a_poll_are_given_on() {
    let (server, address) = Server::start().await;
    let policy = StandardPolicy::new().prepare(|parts, hop| {
        parts.extensions.insert(Mark(100 * hop.poll()));
    });
    let client = ClientBuilder::new(plain())
        .with(PollMiddleware::new(PollLayer::with_policy(policy)))
        .with(Marking)
        .build();
    let request = client.post(report(address)).body("the work");
    request.with_extension(Mark(0)).send().await.unwrap();
    let seen = ["POST /report 1", "GET /work/1 101", "GET /work/2 201"];
    assert_eq!(server.seen(), seen);
}

#[tokio::test]
async fn deferred_answer_is_asked_for_by_an_extension() {
    let (server, address) = Server::start().await;
    let request = client(layer()).post(report(address)).body("the work");
    request.with_extension(PreferAsync).send().await.unwrap();
    assert_eq!(server.seen()[0], "POST /report respond-async");
    assert_eq!(server.seen()[1], "GET /work/1");
}

#[tokio::test]
async fn client_that_redirects_by_itself_is_found_out() {
    let (_, address) = Server::start().await;
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(PollMiddleware::new(layer()))
        .build();
    // The one ends elsewhere, the other in too many redirects.
    for path in ["report", "late"] {
        let url = format!("http://{address}/{path}");
        let error = client.post(url).body("the work").send().await.unwrap_err();
        let reqwest_middleware::Error::Middleware(inner) = &error else {
            panic!("{error:?}");
        };
        assert!(inner.is::<RedirectedError>());
        assert!(error.to_string().contains("redirect::Policy::none()"));
    }
}

#[tokio::test]
async fn urls_may_change_beneath_where_that_is_said() {
    let (_, address) = Server::start().await;
    let middleware = PollMiddleware::new(layer());
    for (middleware, is_taken) in [
        (middleware.clone(), false),
        (middleware.redirect_check(false), true),
    ] {
        let client = ClientBuilder::new(plain()).with(middleware).with(Signing);
        let request = client.build().post(report(address)).body("the work");
        assert_eq!(request.send().await.is_ok(), is_taken);
    }
}

#[tokio::test]
async fn all_calls_share_one_budget_of_repeats() {
    let (server, address) = Server::start().await;
    let policy = StandardPolicy::new().min_delay(Duration::ZERO);
    let policy = policy.max_delay(Duration::ZERO);
    let client = client(PollLayer::with_policy(policy).poll_retries(150));
    let mut repeats = Vec::new();
    for _ in 0..2 {
        let before = server.seen().len();
        let request = client.post(format!("http://{address}/broken"));
        assert_eq!(request.send().await.unwrap().status(), 502);
        repeats.push(server.seen().len() - before - 2);
    }
    // Ten a second are in it, kept over ten seconds.
    assert!(repeats[0] >= 100 && repeats[1] < 50, "{repeats:?}");
}

#[tokio::test]
async fn error_of_the_submission_comes_through_as_it_is() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let request = client(layer()).post(report(address)).body("the work");
    let error = request.send().await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    assert!(find::<io::Error>(&error).is_some());
}

#[tokio::test]
async fn timeout_of_the_request_is_that_of_each_poll() {
    let (server, address) = Server::start().await;
    let (_sender, rest) = tokio::sync::mpsc::unbounded_channel();
    *server.rest.lock().unwrap() = Some(rest);
    let request = client(layer()).post(report(address)).body("the work");
    let request = request.timeout(Duration::from_millis(500));
    // The result's head comes, and then nothing.
    let response = request.send().await.unwrap();
    assert_eq!(response.url().path(), "/work/2");
    let text = timeout(Duration::from_secs(20), response.text());
    let text = text.await.expect("the poll has no timeout");
    assert!(text.unwrap_err().is_timeout());
}
