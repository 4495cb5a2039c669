//! A server with one slow route, to be polled by anything that speaks HTTP.
//!
//! ```text
//! cargo run -p axum-server
//! cargo run -p hyper-client -- 'http://127.0.0.1:3000/report?seconds=5'
//! ```
//!
//! Or with curl, whose polls are held, since it does not wait between redirects:
//!
//! ```text
//! $ curl -L -d '' 'http://127.0.0.1:3000/report?seconds=20'
//! ```
//!
//! Or by hand, step by step:
//!
//! ```text
//! $ curl -i -d '' 'http://127.0.0.1:3000/report?seconds=20'
//! HTTP/1.1 303 See Other
//! job-status: running
//! retry-after: 1
//! location: /work/dd259e72581d5a677ba55a4191f03918?poll=1&due=1000
//!
//! $ job=http://127.0.0.1:3000/work/dd259e72581d5a677ba55a4191f03918
//! $ curl -i $job           # the same again, and in the end the report
//! $ curl $job/status       # how far it is
//! $ curl -X DELETE $job    # cancels it
//! ```
//!
//! Ctrl-C ends the server once its clients have their reports, and a second one at once. The example
//! `graceful-shutdown` does so with the signals that services are ended by.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::Query, http::StatusCode, routing::post};
use clap::Parser;
use serde::Deserialize;
use tokio::{net::TcpListener, signal::ctrl_c, time::sleep};
use tower_async_job::{AsyncJobLayer, JobContext};

/// Serves POST /report?seconds=N, which takes its time.
#[derive(Parser)]
struct Args {
    /// The address and port to listen on; port 0 takes any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let jobs = AsyncJobLayer::new();
    let app = Router::new()
        .route("/report", post(report))
        // Everything above is slow on its own account; from here on, what takes longer than a
        // second is answered with the URL of a job.
        .layer(jobs.clone())
        // The jobs, as a route: no fallback comes before it.
        .nest_service("/work", jobs.resource());
    let listener = TcpListener::bind(args.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            let _ = ctrl_c().await;
            // Clients come back for their reports meanwhile, so the server still listens.
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

/// The extractor [`JobContext`] is all that a handler needs to be watched at work, and needs it
/// only if it wants to be.
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
