//! The memory of a server while large results go through it.

use std::fs;

use crate::{
    client::{Download, Framing, ended},
    process::Process,
};

const MIB: u64 = 1 << 20;

/// The bound of the log beside the file.
const LOG: u64 = 64 * MIB;

/// Returns a figure of a process, in bytes.
fn figure(process: &Process, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.unwrap().trim_matches([':', '\t', ' ', 'k', 'B']);
    1024 * kib.parse::<u64>().unwrap()
}

/// Lets a result go in and out, and checks that the memory of the server grows by less than this,
/// compared with its memory after a first result.
async fn goes_through([first, length]: [u64; 2], bound: u64) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jobs.db");
    let server = Process::start(&file);
    let job = ended(server.address, first).await;
    let download = Download::begin(server.address, Framing::Length, &job, first).await;
    assert_eq!(download.finish().await.unwrap(), first);
    let before = figure(&server, "VmRSS");

    let log = directory.path().join("jobs.db-wal");
    let watched = tokio::spawn(async move {
        let mut largest = 0;
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(5));
        while let Ok(log) = fs::metadata(&log) {
            largest = largest.max(log.len());
            ticks.tick().await;
        }
        largest
    });
    let job = ended(server.address, length).await;
    let written = figure(&server, "VmHWM");
    let download = Download::begin(server.address, Framing::Length, &job, length).await;
    assert_eq!(download.finish().await.unwrap(), length);
    let read = figure(&server, "VmHWM");
    drop(server);
    drop(directory);
    let log = watched.await.unwrap();

    let [before, written, read] = [before, written, read].map(|bytes| bytes as f64 / MIB as f64);
    println!(
        "{} MiB in and out: {before:.1} MiB before, {written:.1} MiB once stored, {read:.1} MiB once \
         read; log of at most {:.1} MiB",
        length / MIB,
        log as f64 / MIB as f64
    );
    assert!(read - before <= (bound / MIB) as f64, "{before} to {read}");
    assert!(log <= LOG, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_result_goes_in_and_out_in_little_memory() {
    // The first fills the caches of SQLite.
    goes_through([16 * MIB, 64 * MIB], 16 * MIB).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute and 1.1 GiB of disk"]
async fn a_gibibyte_goes_in_and_out_within_64_mebibytes() {
    goes_through([1000, 1024 * MIB], 64 * MIB).await;
}
