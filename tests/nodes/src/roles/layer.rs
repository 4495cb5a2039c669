//! Processes with the layer.

use std::{future::pending, process, time::Duration};

use http::Uri;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use tower_async_job::JobContext;
use tower_async_job_testkit::{Call, Fault};

use crate::{
    child::say,
    node::{Node, until},
    nodes::{Nodes, Settings},
    routes::{endless, routes, slow},
};

/// The time for which the short job of a process runs.
const SHORT: Duration = Duration::from_millis(300);

/// The bytes of a result in many chunks, and of each chunk.
pub(crate) const RESULT: usize = 100_000;
pub(crate) const CHUNK: usize = 10_000;

/// Submits a job that may run again and one that may not, which never end.
pub(crate) async fn run(data: &impl Nodes) {
    let node = Node::new(data, endless()).await.unwrap();
    for path in ["/again", "/once"] {
        say(node.submit(path).await);
    }
    pending().await
}

/// Submits a job that never ends, and says when its handler is dropped.
pub(crate) async fn watch(data: &impl Nodes) {
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            say("dropped");
        }
    }
    let handler = async || {
        let _guard = Guard;
        pending::<String>().await
    };
    let node = Node::new(data, routes(handler)).await.unwrap();
    say(node.submit("/again").await);
    pending().await
}

/// Submits jobs whose handlers end, but whose ends never reach the store.
pub(crate) async fn end(data: &impl Nodes) {
    let node = Node::new(data, slow(SHORT)).await.unwrap();
    let _gates = [(); 2].map(|()| node.faults.hold(Call::Finish));
    for path in ["/again", "/once"] {
        say(node.submit(path).await);
    }
    until("both end", || node.faults.calls(Call::Finish) == 2).await;
    say("ended");
    pending().await
}

/// Submits a job whose result never reaches the store as a whole.
pub(crate) async fn record(data: &impl Nodes) {
    let handler = async || {
        sleep(SHORT).await;
        "x".repeat(RESULT)
    };
    let chunks = Settings {
        chunk_size: Some(CHUNK),
        ..Settings::default()
    };
    let node = Node::with(data, routes(handler), |layer| layer, chunks)
        .await
        .unwrap();
    node.faults.plan(Call::WriteChunk, Fault::None, 3);
    let _gate = node.faults.hold(Call::WriteChunk);
    say(node.submit("/again").await);
    until("it is written", || node.faults.calls(Call::WriteChunk) == 4).await;
    say("writing");
    pending().await
}

/// Works, and dies of each job.
pub(crate) async fn die(data: &impl Nodes) {
    let handler = async |job: JobContext| -> String {
        say(job.attempt());
        // Without any farewell.
        process::exit(1)
    };
    let node = Node::new(data, routes(handler)).await.unwrap();
    node.work();
    pending().await
}

/// Submits a short job and two long ones, and shuts down at the first signal, with a grace. It ends
/// at once at the second.
pub(crate) async fn stop(data: &impl Nodes) {
    let mut terminated = signal(SignalKind::terminate()).unwrap();
    let handler = async |job: JobContext, uri: Uri| {
        match uri.query() {
            Some("short") => sleep(SHORT).await,
            _ => pending().await,
        }
        format!("attempt {} before the end", job.attempt())
    };
    let node = Node::new(data, routes(handler)).await.unwrap();
    for path in ["/again?short", "/again", "/once"] {
        say(node.submit(path).await);
    }
    terminated.recv().await;
    let grace = Duration::from_secs(2);
    tokio::select! {
        () = node.jobs.shutdown(grace) => say("stopped"),
        _ = terminated.recv() => process::exit(0),
    }
}
