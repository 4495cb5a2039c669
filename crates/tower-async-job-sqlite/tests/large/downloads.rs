//! Results that are read slowly, while their job goes away.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Method, StatusCode};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;
use tower_async_job_core::{CHUNKS_LINGER, JobStore, SweepQuery};

use crate::{
    client::{Download, Framing, ended, send, state},
    process::Process,
    server::{KEPT, Server},
};

/// The length of a result: some tens of chunks, far more than sockets and connections buffer.
const LENGTH: u64 = 8 << 20;

/// A slow reader reads this much at a time.
const STEP: u64 = 1 << 20;

/// The seconds for which chunks are kept without their job.
const LINGER: u64 = CHUNKS_LINGER.as_secs();

/// The ways in which a result goes away.
#[derive(Clone, Copy, Debug)]
enum Ends {
    Expires,
    IsRemoved,
}

/// A server on a store whose time is that of the test.
struct Timed {
    server: Server,
    passed: Arc<AtomicU64>,
    directory: TempDir,
}

impl Timed {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let passed = Arc::new(AtomicU64::new(0));
        let clock = {
            let (start, passed) = (Instant::now(), passed.clone());
            move || start + Duration::from_secs(passed.load(Ordering::SeqCst))
        };
        Self {
            server: Server::start(&directory.path().join("jobs.db"), clock).await,
            passed,
            directory,
        }
    }

    /// Lets time pass, and the store do what is due.
    async fn advance(&self, seconds: u64) {
        self.passed.fetch_add(seconds, Ordering::SeqCst);
        self.server
            .store
            .sweep(&SweepQuery::default())
            .await
            .unwrap();
    }

    /// Starts to read a new result, and lets it go away.
    async fn begin(&self, framing: Framing, how: Ends) -> Download {
        let address = self.server.address;
        let job = ended(address, LENGTH).await;
        let mut download = Download::begin(address, framing, &job, LENGTH).await;
        download.read_to(1).await.unwrap();
        match how {
            Ends::Expires => self.advance(KEPT + 1).await,
            Ends::IsRemoved => {
                let removed = send(address, framing, Method::DELETE, &job).await;
                assert_eq!(removed.status(), StatusCode::NO_CONTENT);
            }
        }
        assert_ne!(state(address, &job).await, "done");
        download
    }

    fn rows(&self, table: &str) -> i64 {
        rows(&self.directory.path().join("jobs.db"), table)
    }
}

fn rows(file: &Path, table: &str) -> i64 {
    let file = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let sql = format!("SELECT count(*) FROM {table}");
    file.query_row(&sql, [], |row| row.get(0)).unwrap()
}

/// All ways of framing, for all ways of going away.
fn cases() -> impl Iterator<Item = (Framing, Ends)> {
    let ends = [Ends::Expires, Ends::IsRemoved];
    let cases = Framing::ALL.map(|framing| ends.map(|ends| (framing, ends)));
    cases.into_iter().flatten()
}

#[tokio::test]
async fn s50_slow_reader_gets_all_of_a_result_that_expires_or_is_removed() {
    for (framing, how) in cases() {
        let timed = Timed::start().await;
        let mut download = timed.begin(framing, how).await;
        while download.read < LENGTH - STEP {
            // More in total than chunks linger without being read.
            timed.advance(LINGER / 2).await;
            let next = download.read + STEP;
            download.read_to(next).await.unwrap();
        }
        assert_eq!(
            download.finish().await.unwrap(),
            LENGTH,
            "{framing:?} {how:?}"
        );

        timed.advance(LINGER - 2).await;
        assert!(timed.rows("chunks") > 0 && timed.rows("bodies") == 1);
        timed.advance(4).await;
        for table in ["jobs", "parts", "chunks", "bodies"] {
            assert_eq!(timed.rows(table), 0, "{table} {framing:?} {how:?}");
        }
    }
}

#[tokio::test]
async fn s50_reader_that_comes_too_late_gets_an_error_and_nothing_is_left() {
    for (framing, how) in cases() {
        let timed = Timed::start().await;
        let download = timed.begin(framing, how).await;
        timed.advance(LINGER + 2).await;
        for table in ["jobs", "parts", "chunks", "bodies"] {
            assert_eq!(timed.rows(table), 0, "{table} {framing:?} {how:?}");
        }
        let error = download.finish().await.expect_err("cut off");
        assert!(!error.is_timeout(), "{error} {framing:?} {how:?}");
    }
}

#[tokio::test]
async fn s50_reader_whose_server_is_killed_gets_an_error_and_then_all_from_the_next() {
    for framing in Framing::ALL {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("jobs.db");
        let first = Process::start(&file);
        let job = ended(first.address, LENGTH).await;
        let mut download = Download::begin(first.address, framing, &job, LENGTH).await;
        download.read_to(STEP).await.unwrap();
        drop(first);
        download.finish().await.expect_err("cut off");

        let second = Process::start(&file);
        let download = Download::begin(second.address, framing, &job, LENGTH).await;
        assert_eq!(download.finish().await.unwrap(), LENGTH, "{framing:?}");
    }
}
