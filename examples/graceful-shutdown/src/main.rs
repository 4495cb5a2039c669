//! Servers that end without losing what their clients wait for: on axum, on hyper and on tonic.
//!
//! ```text
//! $ cargo run -p graceful-shutdown -- --stack axum
//! $ curl -L -d '' 'http://127.0.0.1:3000/report?seconds=8' &
//! $ kill -TERM "$(pidof graceful-shutdown)"     # the report comes all the same
//! ```
//!
//! The order is the same everywhere:
//!
//! 1. at SIGTERM, [`AsyncJobLayer::shutdown`] begins, while the listener stays open: clients poll by
//!    new connections too;
//! 2. when it resolves, the server's own shutdown begins, which closes the listener and lets the
//!    requests under way end;
//! 3. a second SIGTERM ends all of that at once.

mod hyper;
mod signals;

use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
    time::Duration,
};

use ::axum::{Router, extract::Query, routing::post};
use clap::{Parser, ValueEnum};
use serde::Deserialize;
use tokio::{net::TcpListener, time::sleep};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{service::Routes, transport::Server};
use tower_async_job::{AsyncJobLayer, ObservedJob};

/// Serves POST /report?seconds=N, which takes its time, until SIGTERM.
#[derive(Parser)]
struct Args {
    /// The server that serves it.
    #[arg(long, value_enum, default_value = "axum")]
    stack: Stack,
    /// The address and port to listen on; port 0 takes any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// The seconds that a shutdown may take. Less than what the process is given: 30 s by Docker's
    /// and Kubernetes' defaults, or less.
    #[arg(long, value_name = "SECONDS", default_value = "25")]
    grace: u64,
    /// The seconds after which clients are told to poll, in place of what the layer learns.
    #[arg(long, value_name = "SECONDS")]
    retry_after: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stack {
    Axum,
    Hyper,
    Tonic,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let mut jobs = AsyncJobLayer::builder();
    if let Some(seconds) = args.retry_after {
        jobs = jobs.estimator(move |_: &ObservedJob<'_>| Duration::from_secs(seconds));
    }
    let jobs = jobs.build()?;
    let listener = TcpListener::bind(args.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);

    let grace = Duration::from_secs(args.grace);
    let ended = {
        let jobs = jobs.clone();
        async move {
            signals::terminated(1).await;
            jobs.shutdown(grace).await;
        }
    };
    let app = Router::new().route("/report", post(report));
    let served = async {
        match args.stack {
            Stack::Axum => {
                let app = app.layer(jobs.clone());
                let server = axum::serve(listener, app);
                server.with_graceful_shutdown(ended).await?;
            }
            Stack::Hyper => hyper::serve(listener, app.layer(jobs.clone()), ended).await?,
            Stack::Tonic => {
                // A service that tonic has generated is added in the same way.
                let mut server = Server::builder().accept_http1(true).layer(jobs.clone());
                let incoming = TcpListenerStream::new(listener);
                server
                    .add_routes(Routes::from(app))
                    .serve_with_incoming_shutdown(incoming, ended)
                    .await?;
            }
        }
        anyhow::Ok(())
    };
    tokio::select! {
        served = served => served,
        () = signals::terminated(2) => {
            // What still runs is handed back to the store.
            jobs.shutdown(Duration::ZERO).await;
            Ok(())
        }
    }
}

#[derive(Deserialize)]
struct Parameters {
    seconds: u64,
}

async fn report(Query(parameters): Query<Parameters>) -> &'static str {
    sleep(Duration::from_secs(parameters.seconds)).await;
    "the report\n"
}
