//! The connections of clients.

use std::{net::IpAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    listener::{Listener, Stream},
    places::Places,
    protocol,
    stream::Place,
    terms::Terms,
};
use crate::gateway::{Connection, Gateway};

/// The parts that the connections of all clients share.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) gateway: Gateway,
    pub(super) terms: Arc<ArcSwap<Terms>>,
    pub(super) places: Arc<Places>,
    /// Set once no connection takes further requests.
    pub(super) closing: CancellationToken,
}

impl Serving {
    /// Accepts connections for ever. Beyond the limit of connections, clients wait: one as it is
    /// accepted, and others in the queue of the system.
    pub(super) async fn accept(self, listener: Listener, connections: TaskTracker) {
        loop {
            let Ok((stream, address)) = listener.accept().await else {
                // An error such as too many open files passes once other connections are closed.
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            // Waited for here, so that a listener without clients takes no place.
            let place = (self.places.take().await, connections.token());
            let serving = self.clone();
            tokio::spawn(async move {
                serving.serve(stream, address, place).await;
            });
        }
    }

    /// Serves a connection until it is closed.
    async fn serve(self, stream: Stream, address: Option<IpAddr>, place: Place) {
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
        let (gateway, closing) = (self.gateway, self.closing);
        protocol::serve(stream, connection, place, gateway, &terms.clients, closing).await;
    }
}
