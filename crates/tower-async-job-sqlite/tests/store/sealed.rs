//! Data of clients that is sealed before it is stored.

use std::{fs, path::Path};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tower_async_job_core::{
    Detail, EncryptionKeys, End, JobId, JobStore, Lease, NewJob, Outcome, RecordedOutcome,
    ReplayedRequest, Report, Sealed, StoredRequest, StoredResponse,
};
use tower_async_job_sqlite::SqliteStore;

const SECRET: &str = "what only the client may know";

/// Stores jobs with the secret in every part that clients determine.
async fn fill(store: &dyn JobStore) -> JobId {
    let mut request = ReplayedRequest::default();
    request.body = SECRET.into();
    request.headers.insert("x-secret", SECRET.parse().unwrap());
    let job = NewJob::new(JobId::random())
        .with_request(StoredRequest::encode(&request))
        .with_notify(SECRET);
    let lease: Lease = job.first_lease();
    store.create(job).await.unwrap();
    let mut metadata = serde_json::Map::new();
    metadata.insert("secret".to_owned(), SECRET.into());
    let report = Report::default()
        .with_partial(serde_json::json!(SECRET))
        .with_metadata(metadata)
        .with_checkpoint(SECRET);
    store.report(&lease, report).await.unwrap();
    let chunk = Bytes::from_static(SECRET.as_bytes());
    store.write_chunk(&lease, 0, chunk).await.unwrap();
    let mut recorder = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 1000);
    recorder.push(SECRET.as_bytes()).unwrap();
    let end = End::from(Outcome::Done(recorder.finish(None)));
    store.finish(&lease, end).await.unwrap();
    lease.id
}

/// Returns whether the secret is in the file, its log or its shared memory.
fn is_found(path: &Path) -> bool {
    ["", "-wal", "-shm"].iter().any(|suffix| {
        let data = fs::read(format!("{}{suffix}", path.display())).unwrap();
        let mut windows = data.windows(SECRET.len());
        windows.any(|window| window == SECRET.as_bytes())
    })
}

#[tokio::test]
async fn encrypted_data_is_nowhere_in_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name| directory.path().join(name);
    let open = async |name| SqliteStore::open(path(name)).await.unwrap();
    let plain = open("plain.db").await;
    fill(&plain).await;
    assert!(is_found(&path("plain.db")));

    let keys = EncryptionKeys::new("2026", [7; 32]).unwrap();
    let sealed = Sealed::new(open("sealed.db").await, keys);
    let id = fill(&sealed).await;
    assert!(!is_found(&path("sealed.db")));
    let record = sealed.read(&id, Detail::Full).await.unwrap().unwrap();
    let Some(RecordedOutcome::Response(response)) = record.outcome else {
        panic!("{record:?}");
    };
    assert_eq!(response.decode().unwrap().body, SECRET);
}
