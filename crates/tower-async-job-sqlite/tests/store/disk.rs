//! A disk that is full. It is a file system in memory, which only the administrator can mount.

use std::{fs, io::Write, path::PathBuf, process::Command};

use http_polling::{JobState, Problem, ProblemType};
use tower_async_job_core::{Detail, JobStore, Outcome};
use tower_async_job_sqlite::SqliteStore;

use crate::{add, done, job, replayable, state};

/// A small disk. Dropping it unmounts it.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]);
        match mount.arg(directory.path()).output() {
            Ok(output) if output.status.success() => Some(Self(directory)),
            _ => {
                // Bypasses the capture of the test runner.
                let _ = writeln!(std::io::stderr(), "not run: no disk can be mounted");
                None
            }
        }
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("jobs.db")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Files may still be open.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn s20_on_a_full_disk_jobs_stay_readable_and_all_is_well_once_there_is_space() {
    let Some(disk) = Disk::mount() else { return };
    let others = disk.0.path().join("file of another program");
    fs::write(&others, vec![0; 2 << 20]).unwrap();
    let store = SqliteStore::open(disk.file()).await.unwrap();
    let running = [add(&store, job()).await, add(&store, job()).await];
    let mut ended = Vec::new();
    let full = loop {
        let new = job();
        let lease = new.first_lease();
        if let Err(error) = store.create(new).await {
            break error;
        }
        match store.finish(&lease, done(50_000).into()).await {
            Ok(()) => ended.push(lease),
            Err(error) => break error,
        }
    };
    assert!(full.is_full(), "{full:?}");
    assert!(ended.len() > 10, "{}", ended.len());
    let refused = store.create(replayable(100_000)).await.unwrap_err();
    assert!(refused.is_full(), "{refused:?}");
    // A change that needs little room may find some, or not.
    if let Err(error) = store.cancel(&running[1].id).await {
        assert!(error.is_unavailable(), "{error:?}");
    }
    for lease in &ended {
        let record = store.read(&lease.id, Detail::Full).await.unwrap().unwrap();
        assert!(record.outcome.is_some());
    }
    fs::remove_file(&others).unwrap();
    let problem = Outcome::Failed(Problem::new(ProblemType::JobFailed));
    store.finish(&running[0], problem.into()).await.unwrap();
    store.cancel(&running[1].id).await.unwrap();
    add(&store, replayable(50_000)).await;
    assert_eq!(state(&store, &running[0].id).await, Some(JobState::Failed));
    drop(store);
    let store = SqliteStore::open(disk.file()).await.unwrap();
    let cancelled = state(&store, &running[1].id).await;
    assert_eq!(cancelled, Some(JobState::Cancelled));
}

#[tokio::test]
async fn s20_a_store_that_finds_no_room_for_its_file_says_so() {
    let Some(disk) = Disk::mount() else { return };
    // It writes as much as fits.
    let filler = disk.0.path().join("filler");
    assert!(fs::write(filler, vec![0; 7 << 20]).is_err());
    let error = SqliteStore::open(disk.file()).await.unwrap_err();
    assert!(error.is_full(), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("is full: free some space"), "{text}");
}
