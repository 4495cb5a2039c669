//! A server whose slow route answers with the URL of a job.

use std::time::Duration;

use axum::{Router, routing::post};
use tokio::{net::TcpListener, time::sleep};
use tower_async_job::{AsyncJobLayer, JobContext};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let jobs = AsyncJobLayer::new();
    let app = Router::new()
        .route("/report", post(report))
        .layer(jobs.clone())
        .nest_service("/work", jobs.resource());

    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await
}

/// Writes a report in four seconds. The parameter `job` is optional, and reports the progress.
async fn report(job: JobContext, subject: String) -> String {
    for chapter in 1..=10 {
        sleep(Duration::from_millis(400)).await;
        job.progress_of(chapter, 10);
    }
    format!("ten chapters on {subject}")
}
