//! An ordinary axum application whose jobs outlive its process.
//!
//! ```text
//! $ cargo run -p durable -- --store jobs.db &    # wait until it listens
//! $ curl -i --json '{"pages": 300}' http://127.0.0.1:3000/reports/2026      # Location: /work/…
//! $ kill -9 "$(pidof durable)"; cargo run -p durable -- --store jobs.db &
//! $ curl -L 'http://127.0.0.1:3000/work/…'                                  # "attempt":2
//! ```
//!
//! The job runs again once the lease of the killed process has ended, up to 30 s later. Its client
//! waits meanwhile.
//!
//! The application and its server are in the library. The three lines below that are marked make it
//! durable: accepted jobs are in the file, and run again if the process dies. Several processes may
//! share the file, each with an address of its own (`--listen`).

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Parser;
use durable::{Archive, routes, serve};
use tokio::net::TcpListener;
use tower_async_job::AsyncJobLayer;
use tower_async_job_sqlite::SqliteStore;

/// Serves POST /reports/YEAR, with the JSON {"pages": N}, until SIGTERM. A report takes 100 ms per
/// page, and is written again if the process dies.
#[derive(Parser)]
struct Args {
    /// The file of the jobs, which is created if it does not exist.
    #[arg(long, value_name = "FILE")]
    store: PathBuf,
    /// The address and port to listen on; port 0 selects a free port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// The time for which running jobs may continue after SIGTERM, in seconds. A second SIGTERM
    /// ends it.
    #[arg(long, value_name = "SECONDS", default_value = "25")]
    grace: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let routes = routes(Archive::default());

    let jobs = AsyncJobLayer::builder()
        .store(SqliteStore::open(&args.store).await?) //                    1: jobs outlive the process
        .replay_when(|request| request.uri.path().starts_with("/reports/")) // 2: their requests too
        .build()?;
    tokio::spawn(jobs.worker(routes.clone()).run()); //                     3: and are run again

    let app = routes.layer(jobs.clone());
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener, app, jobs, Duration::from_secs(args.grace)).await?;
    Ok(())
}
