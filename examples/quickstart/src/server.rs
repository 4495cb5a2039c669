//! The server: a slow handler beneath `AsyncJobLayer`.

use std::{
    io::{self, Write},
    path::PathBuf,
    thread,
    time::Duration,
};

use axum::{Router, extract::DefaultBodyLimit, routing::post};
use bytes::Bytes;
use http::StatusCode;
use liblzma::{
    stream::{Check, PRESET_EXTREME, Stream},
    write::XzEncoder,
};
use tower_async_job::{
    AsyncJobLayer, HalfElapsed, JobContext,
    store::{MemoryStore, Retention},
};
use tower_async_job_sqlite::SqliteStore;

/// The way in which the server works.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    /// The time within which it answers without a job.
    pub(crate) inline_wait: Duration,
    /// The number of input bytes between two progress reports.
    chunk: usize,
    /// The pause before each chunk.
    pause: Duration,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            inline_wait: Duration::from_secs(1),
            chunk: 64 << 10,
            pause: Duration::ZERO,
        }
    }
}

impl Work {
    /// Creates one that takes `seconds` for a small input of this size.
    pub(crate) fn in_seconds(seconds: usize, size: usize) -> Self {
        const CHUNKS_PER_SECOND: usize = 10;
        Self {
            chunk: size.div_ceil(seconds * CHUNKS_PER_SECOND).max(1),
            pause: Duration::from_secs(1) / CHUNKS_PER_SECOND as u32,
            ..Self::default()
        }
    }
}

/// The time after which a run that was killed is missed, and its job is run again. Default 30 s.
const LEASE: Duration = Duration::from_secs(3);

/// Creates a server for uploads of up to `size` bytes.
///
/// It answers within the inline wait, and otherwise with a job, which is kept in the file `store` or
/// in memory.
pub(crate) async fn app(size: usize, work: Work, store: Option<PathBuf>) -> anyhow::Result<Router> {
    // Incompressible input becomes slightly larger.
    let result = size + size / 1024 + 1024;
    let jobs = AsyncJobLayer::builder()
        .inline_wait(work.inline_wait)
        .request_spool(size)
        .result_limit(result)
        // The progress bar needs a poll per second. The default delay is up to a minute.
        .estimator(HalfElapsed::between(
            Duration::from_millis(200),
            Duration::from_secs(1),
        ));
    let routes = Router::new()
        .route(
            "/compress",
            post(move |job: JobContext, input: Bytes| compress(job, input, work)),
        )
        .layer(DefaultBodyLimit::disable());

    let Some(file) = store else {
        let store = MemoryStore::builder()
            .max_bytes(2 * result + (1 << 20))
            .build();
        return Ok(routes.layer(jobs.store(store).build()?));
    };
    let store = SqliteStore::builder().lease_duration(LEASE).open(file);
    let jobs = jobs
        .store(store.await?)
        // Requests are stored with their jobs, and the worker runs them again.
        .replay_when(|_| true)
        .max_attempts(1000)
        // The files of earlier runs may be larger.
        .result_limit(1 << 30)
        // A result that has expired is forgotten, so that its file can be sent again.
        .retention(Retention::new(Duration::from_secs(3600), Duration::ZERO))
        .build()?;
    tokio::spawn(jobs.worker(routes.clone()).run());
    Ok(routes.layer(jobs))
}

async fn compress(
    job: JobContext,
    input: Bytes,
    work: Work,
) -> Result<Vec<u8>, (StatusCode, String)> {
    // The work would block the runtime's thread, so that it runs on a separate one.
    tokio::task::spawn_blocking(move || xz(&input, &job, work))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn xz(input: &[u8], job: &JobContext, work: Work) -> io::Result<Vec<u8>> {
    job.message("compressing");
    let slowest = Stream::new_easy_encoder(9 | PRESET_EXTREME, Check::Crc64)?;
    let mut encoder = XzEncoder::new_stream(Vec::new(), slowest);
    for chunk in input.chunks(work.chunk) {
        thread::sleep(work.pause);
        // A thread cannot be stopped from outside, so that the work checks for cancellation.
        if job.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        encoder.write_all(chunk)?;
        job.progress_of(encoder.total_in(), input.len() as u64);
    }
    encoder.finish()
}
