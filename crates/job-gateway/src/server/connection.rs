//! The connections of clients.

use std::{convert::Infallible, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    listener::{Listener, Stream},
    terms::Terms,
};
use crate::{
    config::Clients,
    gateway::{Connection, Gateway},
};

/// The parts that the connections of all clients share.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) gateway: Gateway,
    pub(super) terms: Arc<ArcSwap<Terms>>,
    pub(super) places: Arc<Semaphore>,
    /// Set once no connection takes further requests.
    pub(super) closing: CancellationToken,
}

impl Serving {
    /// Accepts connections for ever. Beyond the limit of connections, clients wait in the queue of
    /// the system.
    pub(super) async fn accept(self, listener: Listener, connections: TaskTracker) {
        loop {
            let Ok(place) = self.places.clone().acquire_owned().await else {
                return;
            };
            let Ok((stream, address)) = listener.accept().await else {
                // An error such as too many open files passes once other connections are closed.
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let serving = self.clone();
            connections.spawn(async move {
                serving.serve(stream, address).await;
                drop(place);
            });
        }
    }

    /// Serves a connection until it is closed.
    async fn serve(self, stream: Stream, address: Option<IpAddr>) {
        let terms = self.terms.load_full();
        let tls = terms.tls.as_ref().filter(|_| address.is_some());
        let connection = Connection {
            address,
            secure: tls.is_some(),
        };
        let stream = match tls {
            None => stream,
            Some(tls) => {
                let accepting = TlsAcceptor::from(tls.clone()).accept(stream);
                match timeout(terms.clients.header_timeout, accepting).await {
                    Ok(Ok(stream)) => Box::new(stream),
                    // Probes of ports, and clients that do not trust the certificate.
                    _ => return,
                }
            }
        };
        let gateway = self.gateway;
        let service = service_fn(move |request| {
            let gateway = gateway.clone();
            async move { Ok::<_, Infallible>(gateway.respond(request, connection).await) }
        });
        let builder = builder(&terms.clients);
        let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let mut serving = pin!(serving);
        let ended = tokio::select! {
            ended = serving.as_mut() => ended,
            () = self.closing.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "the connection of a client failed");
        }
    }
}

/// Returns the settings of connections.
fn builder(clients: &Clients) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(clients.header_timeout)
        .max_headers(clients.headers)
        .max_buf_size(clients.header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(clients.header_bytes.try_into().unwrap_or(u32::MAX));
    builder
}
