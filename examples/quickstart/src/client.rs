//! The client: hyper-util's, beneath `PollLayer`.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::ensure;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use http_polling::IDEMPOTENCY_KEY;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use sha2::{Digest, Sha256};
use tower::{ServiceBuilder, ServiceExt};
use tower_poll::PollLayer;

use crate::{
    display::ProgressDisplay,
    watch::{Exchange, WatchLayer},
};

/// Sends `input` to the compressor at `url`. Returns the result and all exchanges.
pub(crate) async fn compress(url: &str, input: Bytes) -> anyhow::Result<(Bytes, Vec<Exchange>)> {
    let display = ProgressDisplay::new();
    let exchanges = Arc::new(Mutex::new(Vec::new()));
    let watch = WatchLayer::new({
        let display = display.clone();
        let exchanges = exchanges.clone();
        move |exchange: Exchange| {
            display.show(&exchange);
            exchanges
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(exchange);
        }
    });

    let client = ServiceBuilder::new()
        // One poll per second during the layer's deadline of an hour.
        .layer(PollLayer::new().max_polls(3600))
        .layer(watch)
        .service(Client::builder(TokioExecutor::new()).build_http());

    // A repeat of the request gets the job of the first one, even if another process sends it.
    let key: String = Sha256::digest(&input)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let request = Request::post(url)
        .header(IDEMPOTENCY_KEY, format!("\"{key}\""))
        .body(Full::new(input))?;
    let response = client.oneshot(request).await;
    display.finish();
    let response = response?;
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(anyhow::Error::from_boxed)?
        .to_bytes();
    ensure!(
        status.is_success(),
        "the server answered {status}: {}",
        String::from_utf8_lossy(&body),
    );
    let exchanges = std::mem::take(&mut *exchanges.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((body, exchanges))
}
