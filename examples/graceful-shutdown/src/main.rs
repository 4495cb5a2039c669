//! Servers on axum, hyper and tonic that shut down without losing the answers that clients wait for.
//!
//! ```text
//! $ cargo run -p graceful-shutdown -- --stack axum
//! $ curl -L -d '' 'http://127.0.0.1:3000/report?seconds=8' &
//! $ kill -TERM "$(pidof graceful-shutdown)"     # the client still receives the report
//! ```
//!
//! The order is the same for all servers:
//!
//! 1. At SIGTERM, [`AsyncJobLayer::shutdown`] begins. The listener stays open, since clients poll on
//!    new connections too.
//! 2. When it resolves, the server's own shutdown begins: it closes the listener and finishes the
//!    current requests.
//! 3. A second SIGTERM ends the server immediately.

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

/// Serves POST /report?seconds=N, which takes N seconds, until SIGTERM.
#[derive(Parser)]
struct Args {
    /// The server to use.
    #[arg(long, value_enum, default_value = "axum")]
    stack: Stack,
    /// The address and port to listen on; port 0 selects a free port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// The time limit of a shutdown, in seconds. It must be shorter than that of the process
    /// manager, whose default is 10 s for Docker and 30 s for Kubernetes.
    #[arg(long, value_name = "SECONDS", default_value = "25")]
    grace: u64,
    /// The delay between polls, in seconds, instead of the one that the layer learns.
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
            // Hands running jobs back to the store.
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
