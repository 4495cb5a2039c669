//! A server that handles one request at a time.

use std::{net::Ipv4Addr, time::Duration};

use axum::{Router, routing::post};
use tokio::{net::TcpListener, time::sleep};
use tower_async_job::{AsyncJobLayer, HalfElapsed};

/// Starts the server and returns the URL of its slow route.
pub(crate) async fn start() -> anyhow::Result<String> {
    let jobs = AsyncJobLayer::builder()
        .inline_wait(Duration::ZERO)
        .limits(1, 10)
        .estimator(HalfElapsed::between(
            Duration::from_millis(50),
            Duration::from_secs(10),
        ))
        .build()?;
    let app = Router::new().route("/report", post(report)).layer(jobs);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/report", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, app).into_future());
    Ok(url)
}

async fn report() -> &'static str {
    sleep(Duration::from_millis(150)).await;
    "a report"
}
