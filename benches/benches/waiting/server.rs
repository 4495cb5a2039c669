//! The server process.

use std::{
    convert::Infallible,
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use benches::Body;
use bytes::Bytes;
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;
use tower::{BoxError, Layer, Service, service_fn};
use tower_async_job::AsyncJobLayer;

use crate::{Outcome, tls};

/// The delay from which the layer closes connections.
const CLOSED_FROM: Duration = Duration::from_secs(5);

/// The way in which clients get their answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answering {
    /// On the held connection of the request.
    Held,
    /// From jobs that they poll.
    Jobs,
}

impl Answering {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Jobs => "jobs",
        }
    }
}

/// Serves until the process is killed. Prints its address, and a line once it works for all clients.
#[tokio::main]
pub(crate) async fn run(answering: &str, transport: &str, work: &str, all: &str) -> Outcome<()> {
    let handler = Handler {
        work: Duration::from_millis(work.parse()?),
        all: all.parse()?,
        running: Arc::default(),
    };
    let tls = match transport {
        "tls" => Some(TlsAcceptor::from(tls::server()?)),
        _ => None,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    if answering == Answering::Held.name() {
        let handle = move |_: Request<Incoming>| handler.clone().handle();
        serve(listener, tls, service_fn(handle)).await
    } else {
        let layer = AsyncJobLayer::builder()
            .close_connections_from(CLOSED_FROM)
            .build()?;
        let handle = service_fn(move |_| handler.clone().handle());
        serve(listener, tls, layer.layer(handle)).await
    }
}

/// Slow work.
#[derive(Debug, Clone)]
struct Handler {
    work: Duration,
    /// The number of clients.
    all: usize,
    running: Arc<AtomicUsize>,
}

impl Handler {
    /// Answers with the time of the end of the work, in nanoseconds since the epoch.
    async fn handle(self) -> Result<Response<Body>, Infallible> {
        if self.running.fetch_add(1, Ordering::Relaxed) + 1 == self.all {
            println!("all");
        }
        sleep(self.work).await;
        self.running.fetch_sub(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = now.unwrap_or_default().as_nanos().to_string();
        Ok(Response::new(Body::from(nanos)))
    }
}

async fn serve<S, B>(listener: TcpListener, tls: Option<TlsAcceptor>, service: S) -> Outcome<()>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let service = TowerToHyperService::new(service);
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        let service = service.clone();
        match tls.clone() {
            None => drop(tokio::spawn(answer(connection, service))),
            Some(tls) => drop(tokio::spawn(async move {
                if let Ok(connection) = tls.accept(connection).await {
                    answer(connection, service).await;
                }
            })),
        }
    }
}

async fn answer<T, S, B>(connection: T, service: TowerToHyperService<S>)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
    B::Data: Send + Debug,
{
    let connection = TokioIo::new(connection);
    // A client that disconnects is not a failure of the server.
    let _ = http1::Builder::new()
        .serve_connection(connection, service)
        .await;
}
