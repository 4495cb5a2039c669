//! The connections of clients: listeners, limits, and the end of the process.

mod activity;
mod connection;
mod listener;
mod places;
mod protocol;
mod reload;
mod signals;
mod stream;
mod terms;

use std::time::Duration;

use anyhow::Context;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{listener::Listener, signals::Told};
pub(crate) use self::{reload::Reload, signals::Signals, terms::Terms};
use crate::config::Config;

/// The least time for the answers that are on their way at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

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
pub(crate) async fn run(listeners: Vec<Listener>, mut reload: Reload, mut signals: Signals) {
    let is_secure = reload.config.tls.is_some();
    for listener in &listeners {
        println!("listening on {}", listener.url(is_secure));
    }
    println!("ready");
    let (terms, places) = reload.terms();
    let gateway = reload.gateway().clone();
    let (closing, connections) = (CancellationToken::new(), TaskTracker::new());
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let serving = connection::Serving {
            gateway: gateway.clone(),
            terms: terms.clone(),
            places: places.clone(),
            closing: closing.clone(),
        };
        accepting.spawn(serving.accept(listener, connections.clone()));
    }
    while let Told::Reload = signals.next().await {
        reload.reload();
    }
    let config = reload.config;
    let ending = async {
        sleep(config.drain_delay).await;
        let end = Instant::now() + config.grace.max(LAST_ANSWERS);
        gateway.shutdown(config.grace).await;
        accepting.shutdown().await;
        closing.cancel();
        connections.close();
        let _ = timeout_at(end, connections.wait()).await;
    };
    tokio::select! {
        () = ending => {}
        () = signals.end() => gateway.shutdown(Duration::ZERO).await,
    }
}
