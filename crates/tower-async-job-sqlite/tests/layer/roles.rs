//! The roles of other processes.

use std::{
    future::pending,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};
use tower_async_job::JobContext;
use tower_async_job_sqlite::SqliteStoreBuilder;
use tower_async_job_testkit::{Call, Fault};

use crate::{Node, child, child::say, endless, routes, slow, until};

/// The time for which the short job of a process runs.
const SHORT: Duration = Duration::from_millis(300);

/// The bytes of a result in many chunks, and of each chunk.
pub(crate) const RESULT: usize = 100_000;
pub(crate) const CHUNK: usize = 10_000;

/// Plays the role of a child; without one, it is a test that passes.
#[test]
fn role() {
    child::play(play);
}

async fn play(role: String, file: PathBuf) {
    match role.as_str() {
        "run" => run(&file).await,
        "watch" => watch(&file).await,
        "end" => end(&file).await,
        "record" => record(&file).await,
        "die" => die(&file).await,
        "stop" => stop(&file).await,
        other => panic!("no role is called {other}"),
    }
}

/// Submits a job that may run again and one that may not, which never end.
async fn run(file: &Path) {
    let node = Node::new(file, endless()).await;
    for path in ["/again", "/once"] {
        say(node.submit(path).await);
    }
    pending().await
}

/// Submits a job that never ends, and says when its handler is dropped.
async fn watch(file: &Path) {
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
    let node = Node::new(file, routes(handler)).await;
    say(node.submit("/again").await);
    pending().await
}

/// Submits jobs whose handlers end, but whose ends never reach the store.
async fn end(file: &Path) {
    let node = Node::new(file, slow(SHORT)).await;
    let _gates = [(); 2].map(|()| node.faults.hold(Call::Finish));
    for path in ["/again", "/once"] {
        say(node.submit(path).await);
    }
    until("both end", || node.faults.calls(Call::Finish) == 2).await;
    say("ended");
    pending().await
}

/// Submits a job whose result never reaches the store as a whole.
async fn record(file: &Path) {
    let handler = async || {
        sleep(SHORT).await;
        "x".repeat(RESULT)
    };
    let chunks = |store: SqliteStoreBuilder| store.chunk_size(CHUNK);
    let node = Node::with(file, routes(handler), |layer| layer, chunks).await;
    node.faults.plan(Call::WriteChunk, Fault::None, 3);
    let _gate = node.faults.hold(Call::WriteChunk);
    say(node.submit("/again").await);
    until("it is written", || node.faults.calls(Call::WriteChunk) == 4).await;
    say("writing");
    pending().await
}

/// Works, and dies of each job.
async fn die(file: &Path) {
    let handler = async |job: JobContext| -> String {
        say(job.attempt());
        // Without any farewell.
        process::exit(1)
    };
    let node = Node::new(file, routes(handler)).await;
    node.work();
    pending().await
}

/// Submits a short job and two long ones, and shuts down at the first signal, with a grace. It ends
/// at once at the second.
async fn stop(file: &Path) {
    let mut terminated: Signal = signal(SignalKind::terminate()).unwrap();
    let handler = async |job: JobContext, uri: http::Uri| {
        match uri.query() {
            Some("short") => sleep(SHORT).await,
            _ => pending().await,
        }
        format!("attempt {} before the end", job.attempt())
    };
    let node = Node::new(file, routes(handler)).await;
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
