//! A server that answers by a script and records its requests.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
}

/// An answer of the script.
pub(crate) enum Answer {
    Reply(Response<Bytes>),
    /// The head and the beginning of the body, before the connection breaks.
    Truncated(Response<Bytes>),
    /// The head, and a body that never ends.
    Endless(Response<Bytes>),
    /// A closed connection.
    Close,
    /// No answer.
    Hang,
}

type Play = dyn Fn(usize, &Seen) -> Answer + Send + Sync;
type Body = UnsyncBoxBody<Bytes, io::Error>;

pub(crate) struct Server {
    origin: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Starts a server that answers request number `n`, counted from 0, with
    /// `play`'s result.
    pub(crate) async fn start(
        play: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::serve(None, play).await
    }

    pub(crate) async fn serve(
        tls: Option<TlsAcceptor>,
        play: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let origin = match tls {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        };
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let server = Self {
            origin,
            seen: Arc::clone(&seen),
        };
        let play: Arc<Play> = Arc::new(play);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (play, seen, tls) = (Arc::clone(&play), Arc::clone(&seen), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => connection(stream, play, seen).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                connection(stream, play, seen).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Returns the requests as `METHOD path`.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen()
            .iter()
            .map(|seen| format!("{} {}", seen.method, seen.uri.path()))
            .collect()
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    play: Arc<Play>,
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        answer(request, Arc::clone(&play), Arc::clone(&seen))
    });
    let _ = Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    play: Arc<Play>,
    all: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<Body>, io::Error> {
    let (head, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Err(io::Error::other(error)),
    };
    let seen = Seen {
        method: head.method,
        uri: head.uri,
        version: head.version,
        headers: head.headers,
        body,
        at: Instant::now(),
    };
    let number = {
        let mut all = all.lock().unwrap();
        all.push(seen.clone());
        all.len() - 1
    };
    match play(number, &seen) {
        Answer::Reply(response) => Ok(response.map(|body| {
            Full::new(body)
                .map_err(|never: Infallible| match never {})
                .boxed_unsync()
        })),
        Answer::Truncated(response) => Ok(response.map(truncated)),
        Answer::Endless(response) => {
            let (parts, body) = response.into_parts();
            let chunks = stream::repeat_with(move || Ok(Frame::data(body.clone())));
            let body = StreamBody::new(chunks).boxed_unsync();
            Ok(Response::from_parts(parts, body))
        }
        Answer::Close => Err(io::ErrorKind::ConnectionAborted.into()),
        Answer::Hang => {
            sleep(Duration::from_secs(600)).await;
            Err(io::ErrorKind::TimedOut.into())
        }
    }
}

fn truncated(first: Bytes) -> Body {
    let first = stream::iter([Ok(Frame::data(first))]);
    let then = stream::once(async {
        // Waits until the preceding data has been sent.
        sleep(Duration::from_millis(100)).await;
        Err(io::ErrorKind::BrokenPipe.into())
    });
    StreamBody::new(first.chain(then)).boxed_unsync()
}

/// Creates a final answer.
pub(crate) fn reply(status: u16, body: &'static str) -> Answer {
    with(status, &[], body)
}

/// Creates a pending answer: 303 to `location`, with a short delay.
pub(crate) fn pending(location: &str) -> Answer {
    let headers = [
        ("location", location),
        ("retry-after-ms", "5"),
        ("retry-after", "1"),
    ];
    with(303, &headers, "")
}

/// Creates an answer with these headers.
pub(crate) fn with(status: u16, headers: &[(&str, &str)], body: &'static str) -> Answer {
    Answer::Reply(response(status, headers, body))
}

pub(crate) fn response(
    status: u16,
    headers: &[(&str, &str)],
    body: &'static str,
) -> Response<Bytes> {
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Bytes::from_static(body.as_bytes())).unwrap()
}
