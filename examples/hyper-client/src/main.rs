//! hyper's client beneath a layer that polls.
//!
//! ```text
//! cargo run -p axum-server
//! cargo run -p hyper-client -- 'http://127.0.0.1:3000/report?seconds=5' --verbose
//! ```

use std::io::{self, IsTerminal};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Parser;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{ServiceBuilder, ServiceExt};
use tower_poll::PollLayer;
use tracing::Level;
use tracing_subscriber::{filter::Targets, prelude::*};

/// Sends a POST and prints the final answer.
#[derive(Parser)]
struct Args {
    /// The URL of the request, such as http://127.0.0.1:3000/report?seconds=5
    url: Uri,
    /// Logs every poll to standard error.
    #[arg(short, long)]
    verbose: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if args.verbose {
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal());
        tracing_subscriber::registry()
            .with(lines)
            .with(Targets::new().with_target("tower_poll", Level::DEBUG))
            .init();
    }

    let client = ServiceBuilder::new()
        .layer(PollLayer::new())
        .service(Client::builder(TokioExecutor::new()).build_http());

    let request = Request::post(&args.url).body(Full::<Bytes>::default())?;
    let response = client
        .oneshot(request)
        .await
        .with_context(|| format!("no answer from {}", args.url))?;

    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    print!("{}", String::from_utf8_lossy(&body));
    ensure!(status.is_success(), "the server answered {status}");
    Ok(())
}
