//! The connections of clients: listeners, limits, and the end of the process.

mod connection;
mod listener;
mod signals;

use std::sync::Arc;

use anyhow::Context;
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::listener::Listener;
pub(crate) use self::signals::Signals;
use crate::{config::Config, gateway::Gateway};

/// Listens on the addresses of clients.
///
/// # Errors
///
/// Fails if an address is taken, or may not be used.
pub(crate) async fn bind(config: &Config) -> anyhow::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for address in &config.listen {
        let bound = Listener::bind(address).await;
        listeners.extend(bound.with_context(|| format!("cannot listen on {address}"))?);
    }
    Ok(listeners)
}

/// Serves clients until the process is told to end. A second signal ends it at once.
pub(crate) async fn run(
    config: &Config,
    listeners: Vec<Listener>,
    gateway: Gateway,
    mut signals: Signals,
) {
    for listener in &listeners {
        println!("listening on {listener}");
    }
    println!("ready");
    let clients = Arc::new(config.clients.clone());
    let places = Arc::new(Semaphore::new(clients.connections));
    let (closing, connections) = (CancellationToken::new(), TaskTracker::new());
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let serving = connection::Serving {
            gateway: gateway.clone(),
            clients: clients.clone(),
            places: places.clone(),
            closing: closing.clone(),
        };
        accepting.spawn(serving.accept(listener, connections.clone()));
    }
    signals.next().await;
    let ending = async {
        tokio::time::sleep(config.drain_delay).await;
        gateway.shutdown(config.grace).await;
        accepting.shutdown().await;
        closing.cancel();
        connections.close();
        connections.wait().await;
    };
    tokio::select! {
        () = ending => {}
        () = signals.next() => gateway.shutdown(std::time::Duration::ZERO).await,
    }
}
