//! A job that one process submits and another process waits for.
//!
//! ```text
//! cargo run -p axum-server
//! cargo run -p pending-job -- submit 'http://127.0.0.1:3000/report?seconds=20' > job.json
//! cargo run -p pending-job -- resume job.json
//! ```
//!
//! The client needs no process in the meantime. The job's URL may be sufficient to read its result,
//! so that `job.json` must be protected like a password.

use std::{fs, path::PathBuf};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Parser;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::Layer;
use tower_poll::{PendingJob, PollLayer, PollService, PreferAsync, Submitted, Update};

/// Submits a job without waiting, or resumes a job.
#[derive(Parser)]
enum Args {
    /// Sends a POST and prints its job as JSON
    Submit {
        /// The URL of the request, such as http://127.0.0.1:3000/report?seconds=20
        url: Uri,
    },
    /// Polls a job until it ends, and prints the answer
    Resume {
        /// The file with the job's JSON
        job: PathBuf,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Args::parse() {
        Args::Submit { url } => submit(url).await,
        Args::Resume { job } => resume(job).await,
    }
}

fn client() -> PollService<Client<HttpConnector, Full<Bytes>>> {
    PollLayer::new().layer(Client::builder(TokioExecutor::new()).build_http())
}

async fn submit(url: Uri) -> anyhow::Result<()> {
    let request = Request::post(&url)
        // Otherwise the server waits up to a second for the answer.
        .extension(PreferAsync)
        .body(Full::default())?;
    let submitted = client().submit(request).await;
    match submitted.with_context(|| format!("no answer from {url}"))? {
        Submitted::Pending(job) => println!("{}", serde_json::to_string(&job.pending())?),
        Submitted::Final(response) => print(response).await?,
    }
    Ok(())
}

async fn resume(file: PathBuf) -> anyhow::Result<()> {
    let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let job: PendingJob = serde_json::from_slice(&text)?;
    // The handle contains no headers, so that credentials must be given again.
    let mut job = client().resume(&job, &HeaderMap::new())?;
    while let Some(update) = job.next().await {
        match update? {
            Update::Pending(update) => {
                if let Some(progress) = update.progress() {
                    eprintln!("{progress}; next poll in {:?}", update.delay());
                }
            }
            Update::Final(response) => print(response).await?,
        }
    }
    Ok(())
}

async fn print(response: Response<Incoming>) -> anyhow::Result<()> {
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    print!("{}", String::from_utf8_lossy(&body));
    ensure!(status.is_success(), "the server answered {status}");
    Ok(())
}
