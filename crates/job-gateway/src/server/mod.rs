//! The connections of clients: listeners, limits, and the end of the process.

mod activity;
mod admin;
mod answer;
mod connection;
mod listener;
mod notify;
mod places;
mod protocol;
mod reload;
mod signals;
mod stream;
mod terms;

use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{admin::Admin, listener::Listener, signals::Told};
pub(crate) use self::{reload::Reload, signals::Signals, terms::Terms};
use crate::config::{Config, Listen};

/// The least time for the answers that are on their way at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The addresses on which the gateway listens.
pub(crate) struct Listeners {
    clients: Vec<Listener>,
    operators: Vec<Listener>,
}

/// Listens on the addresses of clients and operators.
///
/// # Errors
///
/// Fails if an address is taken, or may not be used.
pub(crate) async fn bind(config: &Config) -> anyhow::Result<Listeners> {
    let mut clients = Vec::new();
    for address in &config.listen {
        clients.extend(listen(address).await?);
    }
    let operators = match &config.admin {
        Some(address) => listen(address).await?,
        None => Vec::new(),
    };
    Ok(Listeners { clients, operators })
}

async fn listen(address: &Listen) -> anyhow::Result<Vec<Listener>> {
    let bound = Listener::bind(address).await;
    bound.with_context(|| format!("cannot listen on {address}"))
}

/// Serves clients until the process is told to end. A second signal ends it at once.
pub(crate) async fn run(
    listeners: Listeners,
    mut reload: Reload,
    metrics: Option<PrometheusHandle>,
    mut signals: Signals,
) {
    let is_secure = reload.config.tls.is_some();
    for listener in &listeners.clients {
        println!("listening on {}", listener.url(is_secure));
    }
    for listener in &listeners.operators {
        println!("operators on {}", listener.url(false));
    }
    println!("ready");
    let (terms, places) = reload.terms();
    let gateway = reload.gateway().clone();
    let (closing, connections) = (CancellationToken::new(), TaskTracker::new());
    let mut accepting = JoinSet::new();
    let mut operators = JoinSet::new();
    if let Some(metrics) = metrics {
        for listener in listeners.operators {
            let (gateway, metrics) = (gateway.clone(), metrics.clone());
            operators.spawn(Admin { gateway, metrics }.serve(listener));
        }
    }
    for listener in listeners.clients {
        let serving = connection::Serving {
            gateway: gateway.clone(),
            terms: terms.clone(),
            places: places.clone(),
            closing: closing.clone(),
        };
        accepting.spawn(serving.accept(listener, connections.clone()));
    }
    notify::ready();
    while let Told::Reload = signals.next().await {
        notify::reloading();
        notify::reloaded(reload.reload());
    }
    let config = reload.config;
    notify::stopping(&config);
    let ending = async {
        gateway.drain();
        sleep(config.drain_delay).await;
        let end = Instant::now() + config.grace;
        gateway.shutdown(config.grace).await;
        let end = end.max(Instant::now() + LAST_ANSWERS);
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
