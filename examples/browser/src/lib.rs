//! A server of reports, and the page that orders them.

mod page;
mod reports;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Parser;
use tokio::net::TcpListener;
use tower_async_job::{AsyncJobLayer, PendingStatus};
use tower_async_job_sqlite::SqliteStore;

/// Serves a page that orders reports, and follows them across reloads and restarts.
#[derive(Debug, Parser)]
pub struct Args {
    /// The file of the jobs, which is created if it does not exist. Without one, the jobs are in
    /// memory, and end with the process.
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
    /// The address and port to listen on; port 0 selects a free port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,
}

/// Serves the page and its reports until the process ends.
///
/// # Errors
///
/// Fails if the file cannot be opened, or if the address is in use.
pub async fn serve(args: Args) -> anyhow::Result<()> {
    let mut builder = AsyncJobLayer::builder()
        // With 303, `fetch` follows the redirects by itself, and the page sees no progress.
        .pending_status(PendingStatus::Accepted)
        // The page listens to its job, and polls where it cannot.
        .events(true)
        .replay_when(|request| request.uri.path() == "/reports");
    if let Some(file) = &args.store {
        // The jobs of a process that was killed run again when its lease has ended.
        let store = SqliteStore::builder().lease_duration(Duration::from_secs(3));
        builder = builder.store(store.open(file).await?);
    }
    let jobs = builder.build()?;
    tokio::spawn(jobs.worker(reports::routes()).run());

    let app = reports::routes()
        .layer(jobs.clone())
        .nest_service("/work", jobs.resource())
        .merge(page::routes());
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
