//! A server with one slow route, which any HTTP client can poll.
//!
//! ```text
//! cargo run -p axum-server
//! cargo run -p hyper-client -- 'http://127.0.0.1:3000/report?seconds=5'
//! ```
//!
//! With curl, which does not wait between redirects, so that its polls are held:
//!
//! ```text
//! $ curl -L -d '' 'http://127.0.0.1:3000/report?seconds=20'
//! ```
//!
//! Step by step:
//!
//! ```text
//! $ curl -i -d '' 'http://127.0.0.1:3000/report?seconds=20'
//! HTTP/1.1 303 See Other
//! job-status: running
//! retry-after: 1
//! location: /work/dd259e72581d5a677ba55a4191f03918?poll=1&due=1000
//!
//! $ job=http://127.0.0.1:3000/work/dd259e72581d5a677ba55a4191f03918
//! $ curl -i $job           # another redirect, or the report if it is finished
//! $ curl $job/status       # the progress
//! $ curl -X DELETE $job    # cancels it
//! ```
//!
//! Ctrl-C ends the server after its clients have received their reports. A second Ctrl-C ends it
//! immediately. The example `graceful-shutdown` handles the signals of service managers.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::Query, http::StatusCode, routing::post};
use clap::Parser;
use serde::Deserialize;
use tokio::{net::TcpListener, signal::ctrl_c, time::sleep};
use tower_async_job::{AsyncJobLayer, JobContext};

/// Serves POST /report?seconds=N, which takes N seconds.
#[derive(Parser)]
struct Args {
    /// The address and port to listen on; port 0 selects a free port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let jobs = AsyncJobLayer::new();
    let app = Router::new()
        .route("/report", post(report))
        // The layer answers requests to the routes above with the URL of a job, if they take
        // longer than a second.
        .layer(jobs.clone())
        // A route for the jobs takes precedence over any fallback.
        .nest_service("/work", jobs.resource());
    let listener = TcpListener::bind(args.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            let _ = ctrl_c().await;
            // The server keeps listening, since clients still poll for their reports.
            tokio::select! {
                () = jobs.shutdown(Duration::from_secs(25)) => {}
                _ = ctrl_c() => jobs.shutdown(Duration::ZERO).await,
            }
        })
        .await
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    seconds: f64,
}

/// Writes a report. The extractor [`JobContext`] is optional, and reports the progress.
async fn report(
    job: JobContext,
    Query(parameters): Query<Parameters>,
) -> Result<String, (StatusCode, String)> {
    const CHAPTERS: u32 = 20;
    let duration = Duration::try_from_secs_f64(parameters.seconds)
        .map_err(|error| (StatusCode::BAD_REQUEST, format!("seconds: {error}\n")))?;
    for chapter in 1..=CHAPTERS {
        job.message(format!("writing chapter {chapter}"));
        sleep(duration / CHAPTERS).await;
        job.progress_of(chapter.into(), CHAPTERS.into());
    }
    Ok(format!(
        "a report of {CHAPTERS} chapters, written in {duration:?}\n"
    ))
}
