//! The server: a slow handler beneath `AsyncJobLayer`.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use axum::{Router, extract::DefaultBodyLimit, routing::post};
use bytes::Bytes;
use http::StatusCode;
use liblzma::{
    stream::{Check, PRESET_EXTREME, Stream},
    write::XzEncoder,
};
use tower_async_job::{AsyncJobLayer, ConfigError, HalfElapsed, JobContext, store::MemoryStore};

/// The number of input bytes between two progress reports.
const CHUNK: usize = 64 << 10;

/// Creates a server for uploads of up to `size` bytes.
///
/// It answers inline within `inline_wait`, and otherwise with a job.
pub(crate) fn app(size: usize, inline_wait: Duration) -> Result<Router, ConfigError> {
    // Incompressible input becomes slightly larger.
    let result = size + size / 1024 + 1024;
    let store = MemoryStore::builder()
        .max_bytes(2 * result + (1 << 20))
        .build();
    let jobs = AsyncJobLayer::builder()
        .inline_wait(inline_wait)
        .request_spool(size)
        .result_limit(result)
        .store(Arc::new(store))
        // The progress bar needs a poll per second. The default delay is up to a minute.
        .estimator(HalfElapsed::between(
            Duration::from_millis(200),
            Duration::from_secs(1),
        ))
        .build()?;
    Ok(Router::new()
        .route("/compress", post(compress))
        .layer(DefaultBodyLimit::disable())
        .layer(jobs))
}

async fn compress(job: JobContext, input: Bytes) -> Result<Vec<u8>, (StatusCode, String)> {
    // The work would block the runtime's thread, so that it runs on a separate one.
    let work = tokio::task::spawn_blocking(move || xz(&input, &job));
    work.await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn xz(input: &[u8], job: &JobContext) -> io::Result<Vec<u8>> {
    job.message("compressing");
    let slowest = Stream::new_easy_encoder(9 | PRESET_EXTREME, Check::Crc64)?;
    let mut encoder = XzEncoder::new_stream(Vec::new(), slowest);
    for chunk in input.chunks(CHUNK) {
        // A thread cannot be stopped from outside, so that the work checks for cancellation.
        if job.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        encoder.write_all(chunk)?;
        job.progress_of(encoder.total_in(), input.len() as u64);
    }
    encoder.finish()
}
