//! A client that asks for a report, and receives it as the response to its one request.

use http::Request;
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_poll::{PollLayer, PollUpdate};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let server = std::env::args().nth(1);
    let server = server.as_deref().unwrap_or("http://127.0.0.1:3000");
    let client = ServiceBuilder::new()
        .layer(PollLayer::new().observe(show)) // `observe` is optional
        .service(Client::builder(TokioExecutor::new()).build_http());

    let request = Request::post(format!("{server}/report")).body("tides".to_owned())?;
    let response = client.oneshot(request).await?; // polls until the report is finished
    let body = response.into_body().collect().await?.to_bytes();
    println!("{}", String::from_utf8_lossy(&body));
    Ok(())
}

fn show(update: &PollUpdate) {
    if let Some(progress) = update.progress() {
        eprintln!("{progress}");
    }
}
