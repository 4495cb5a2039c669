//! reqwest's client beneath a layer that polls.
//!
//! ```text
//! cargo run -p axum-server
//! cargo run -p reqwest-client -- 'http://127.0.0.1:3000/report?seconds=5'
//! ```

use anyhow::{Context, ensure};
use clap::Parser;
use reqwest::Response;
use tower::{ServiceBuilder, ServiceExt};
use tower_poll::{PollLayer, reqwest::ReqwestService};

/// Sends a POST and prints the final answer.
#[derive(Parser)]
struct Args {
    /// The URL of the request, such as http://127.0.0.1:3000/report?seconds=5
    url: http::Uri,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Args { url } = Args::parse();

    // Takes the builder instead of the client, to disable reqwest's own redirects.
    let builder = reqwest::Client::builder().user_agent("reqwest-client");
    let client = ServiceBuilder::new()
        .layer(PollLayer::new())
        .service(ReqwestService::build(builder)?);

    let request = http::Request::post(&url).body(reqwest::Body::default())?;
    let response = client
        .oneshot(request)
        .await
        .with_context(|| format!("no answer from {url}"))?;

    // The response is reqwest's own type.
    let response = Response::from(response);
    let status = response.status();
    print!("{}", response.text().await?);
    ensure!(status.is_success(), "the server answered {status}");
    Ok(())
}
