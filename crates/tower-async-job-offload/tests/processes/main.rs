//! Processes that are killed while they record long results.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use futures_util::TryStreamExt;
use http::{HeaderMap, StatusCode};
use http_polling::JobState;
use tower_async_job_core::{
    ClaimQuery, Clock, Created, Detail, JobId, JobStore, Lease, NewJob, Outcome, ReplayedRequest,
    StoredRequest, StoredResponse, SweepQuery,
};
use tower_async_job_offload::{
    Offloaded,
    object_store::{ObjectStore, local::LocalFileSystem},
};
use tower_async_job_sqlite::SqliteStore;

const LEASE: Duration = Duration::from_secs(1);
const DIRECTORY: &str = "TOWER_ASYNC_JOB_OFFLOAD_DIRECTORY";
const STAGE: &str = "TOWER_ASYNC_JOB_OFFLOAD_STAGE";
const CHUNK: usize = 256 << 10;
/// The chunks of a result, of some parts.
const CHUNKS: u32 = 44;

/// A clock three days ahead, by which the objects of today are old.
struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn system_time(&self) -> SystemTime {
        SystemTime::now() + Duration::from_secs(3 * 86_400)
    }
}

fn objects(directory: &Path) -> LocalFileSystem {
    let path = directory.join("objects");
    std::fs::create_dir_all(&path).unwrap();
    LocalFileSystem::new_with_prefix(path).unwrap()
}

async fn open(directory: &Path) -> SqliteStore {
    let builder = SqliteStore::builder().lease_duration(LEASE).readers(2);
    builder.open(directory.join("jobs.db")).await.unwrap()
}

async fn write(store: &impl JobStore, lease: &Lease) {
    for index in 0..CHUNKS {
        let data = vec![index as u8; CHUNK].into();
        store.write_chunk(lease, index, data).await.unwrap();
    }
}

fn streamed() -> Outcome {
    Outcome::Streamed {
        head: StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 0).finish(None),
        chunks: CHUNKS,
        len: u64::from(CHUNKS) * CHUNK as u64,
    }
}

fn say(word: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "say {word}").unwrap();
    out.flush().unwrap();
}

/// Plays the process; without a directory, it is a test that passes.
#[tokio::test]
async fn role() {
    let (Some(directory), Ok(stage)) = (env::var_os(DIRECTORY), env::var(STAGE)) else {
        return;
    };
    let directory = Path::new(&directory);
    let faulty =
        tower_async_job_testkit::FaultyStore::new(std::sync::Arc::new(open(directory).await));
    let store = Offloaded::new(faulty.store(), objects(directory)).unwrap();
    let request = StoredRequest::encode(&ReplayedRequest::default());
    let job = NewJob::new(JobId::random())
        .with_request(request)
        .with_max_attempts(9);
    let Created::New { lease, .. } = store.create(job).await.unwrap() else {
        panic!("it is new")
    };
    say(lease.id.encode());
    write(&store, &lease).await;
    if stage != "upload" {
        if stage == "finish" {
            // The object is complete, and the job store never learns of it.
            faulty.next(
                tower_async_job_testkit::Call::Finish,
                tower_async_job_testkit::Fault::Unavailable,
            );
            store.finish(&lease, streamed().into()).await.unwrap_err();
        } else {
            store.finish(&lease, streamed().into()).await.unwrap();
            store.remove(&lease.id).await.unwrap();
        }
    }
    say("ready");
    std::future::pending::<()>().await;
}

/// Lets a process come to a stage, and kills it there.
fn kill_at(stage: &str, directory: &Path) -> JobId {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "role", "--nocapture", "--quiet"])
        .env(DIRECTORY, directory)
        .env(STAGE, stage)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut words = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.split_once("say ").map(|(_, word)| word.to_owned()));
    let id = words.next().unwrap().parse().unwrap();
    assert_eq!(words.next().as_deref(), Some("ready"));
    child.kill().unwrap();
    child.wait().unwrap();
    id
}

async fn names(objects: &LocalFileSystem) -> Vec<String> {
    let listed: Vec<_> = objects.list(None).try_collect().await.unwrap();
    listed
        .into_iter()
        .map(|object| object.location.to_string())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s06_of_a_process_killed_at_any_stage_no_object_stays_and_no_job_is_lost() {
    for (stage, left) in [("upload", 0), ("finish", 1), ("sweep", 1)] {
        let directory = tempfile::tempdir().unwrap();
        let id = kill_at(stage, directory.path());
        let files = objects(directory.path());
        assert_eq!(names(&files).await.len(), left, "{stage}");

        let store = open(directory.path()).await;
        let store = Offloaded::new(store, objects(directory.path())).unwrap();
        tokio::time::sleep(LEASE * 3 / 2).await;
        store.sweep(&SweepQuery::default()).await.unwrap();
        if stage != "sweep" {
            // Its lease has ended, and it is run again.
            let lease = store.claim(&ClaimQuery::new(1)).await.unwrap().jobs[0].lease;
            assert_eq!(lease.id, id, "{stage}");
            write(&store, &lease).await;
            store.finish(&lease, streamed().into()).await.unwrap();
            let record = store.read(&id, Detail::Status).await.unwrap().unwrap();
            assert_eq!(record.state, JobState::Done, "{stage}");
            let result = record.result.unwrap();
            for index in 0..CHUNKS {
                let data = store.read_chunk(&result, index).await.unwrap().unwrap();
                assert_eq!(data, vec![index as u8; CHUNK], "{stage}");
            }
            store.remove(&id).await.unwrap();
        }
        drop(store);

        // Once the chunks of the job store are gone, the next comparison deletes the objects.
        let later = SqliteStore::builder().lease_duration(LEASE).clock(Ahead);
        let later = later.open(directory.path().join("jobs.db")).await.unwrap();
        later.sweep(&SweepQuery::default()).await.unwrap();
        let store = Offloaded::builder().clock(Ahead);
        let store = store.build(later, objects(directory.path())).unwrap();
        let began = Instant::now();
        store.sweep(&SweepQuery::default()).await.unwrap();
        while !names(&files).await.is_empty() {
            assert!(began.elapsed() < Duration::from_secs(20), "{stage}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
