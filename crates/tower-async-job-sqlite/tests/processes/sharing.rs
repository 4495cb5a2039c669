//! Processes that share a file.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use http_polling::JobState;
use tower_async_job_core::{JobId, JobStore, NewJob};

use crate::{add, child::Child, claim, done, offer, open, state};

#[tokio::test]
async fn processes_that_open_a_new_file_at_once_create_it_once() {
    for _ in 0..3 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jobs.db");
        let children: Vec<_> = (0..5).map(|_| Child::start("open", &path)).collect();
        let store = open(&path).await;
        for child in children {
            assert_eq!(child.rest(), ["opened"]);
        }
        let lease = add(&store, NewJob::new(JobId::random())).await;
        assert_eq!(state(&store, &lease.id).await, Some(JobState::Running));
    }
}

#[cfg(unix)]
#[test]
fn files_are_for_their_owner_alone_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let mut child = Child::start_open("offer", &path);
    child.send("");
    assert!(child.next().is_some() && child.next().is_some());
    let files = std::fs::read_dir(directory.path()).unwrap();
    let modes = files.map(|file| file.unwrap().metadata().unwrap().permissions().mode());
    let modes: Vec<_> = modes.map(|mode| mode & 0o777).collect();
    assert_eq!(modes, [0o600; 3]);
}

#[tokio::test]
async fn s03_claims_of_two_processes_are_one_each() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = open(&path).await;
    let mut left = HashSet::new();
    for _ in 0..300 {
        left.insert(offer(&store).await);
    }
    let children = [Child::start("claim", &path), Child::start("claim", &path)];
    let mut claimed = Vec::new();
    loop {
        let claims = claim(&store, 3).await;
        if claims.is_empty() {
            break;
        }
        for claim in claims {
            store.finish(&claim.lease, done().into()).await.unwrap();
            claimed.push(claim.lease.id);
        }
    }
    for child in children {
        claimed.extend(child.rest().iter().map(|id| id.parse::<JobId>().unwrap()));
    }
    for id in claimed {
        assert!(left.remove(&id), "{id:?} was claimed twice");
    }
    assert!(left.is_empty(), "{} jobs were not claimed", left.len());
}

#[tokio::test]
async fn s13_a_cancel_by_another_process_is_seen_at_once_and_wakes() {
    const ROUNDS: u32 = 10;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = open(&path).await;
    let mut child = Child::start("cancel", &path);
    assert_eq!(child.next().as_deref(), Some("ready"));
    let began = Instant::now();
    for _ in 0..ROUNDS {
        let lease = add(&store, NewJob::new(JobId::random())).await;
        let ended = store.subscribe(&lease.id);
        child.send(lease.id.encode().as_str());
        assert_eq!(child.next().as_deref(), Some("cancelled"));
        assert_eq!(state(&store, &lease.id).await, Some(JobState::Cancelled));
        ended.await;
    }
    // Sooner than by the fallback, which would take half a second on average.
    assert!(
        began.elapsed() < ROUNDS * Duration::from_millis(400),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn work_offered_by_another_process_wakes_workers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let store = open(&path).await;
    let mut child = Child::start("offer", &path);
    assert_eq!(child.next().as_deref(), Some("ready"));
    for _ in 0..3 {
        let work = store.work();
        child.send("");
        work.await;
        let claims = claim(&store, 9).await;
        let ids: Vec<_> = claims
            .iter()
            .map(|claim| claim.lease.id.encode().to_string())
            .collect();
        assert_eq!(ids, [child.next().unwrap()]);
    }
}
