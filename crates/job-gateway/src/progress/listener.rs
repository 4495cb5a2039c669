//! The listener for reports.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::sleep,
};

use super::{answer::answer, parties::Parties, runs::Runs};

/// The number of connections. Beyond it, servers wait in the queue of the system.
const CONNECTIONS: usize = 4096;

/// The time for the head of a request, from the end of the one before.
const IDLE: Duration = Duration::from_secs(15);

/// The listener for reports.
pub(crate) struct Listener {
    listener: TcpListener,
    runs: Runs,
}

impl Listener {
    /// Listens on an address.
    ///
    /// # Errors
    ///
    /// Fails if the address is taken, or may not be used.
    pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener
            .with_context(|| format!("cannot listen on {address} for reports of progress"))?;
        let runs = Runs::new(listener.local_addr()?);
        Ok(Self { listener, runs })
    }

    /// Returns the runs whose servers may report here.
    pub(crate) fn runs(&self) -> &Runs {
        &self.runs
    }

    /// Answers servers for ever: those of its runs, and those that deliver their results later.
    pub(crate) async fn serve(self, parties: Parties) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else {
                return;
            };
            let Ok((stream, _)) = self.listener.accept().await else {
                // An error such as too many open files passes once other connections are closed.
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let (runs, parties) = (self.runs.clone(), parties.clone());
            tokio::spawn(async move {
                serve_connection(stream, runs, parties).await;
                drop(place);
            });
        }
    }
}

async fn serve_connection(stream: TcpStream, runs: Runs, parties: Parties) {
    // Answers are written whole, so that waiting for more only delays them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let (runs, parties) = (runs.clone(), parties.clone());
        async move { Ok::<_, Infallible>(answer(&runs, &parties, request).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(16 << 10);
    // A server may end its connections as it likes.
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
