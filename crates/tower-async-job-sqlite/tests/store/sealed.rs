//! Data of clients that is sealed before it is stored.

use std::{fs, path::Path, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tower_async_job_core::{
    Detail, End, JobId, JobStore, Lease, NewJob, Outcome, RecordedOutcome, ReplayedRequest, Report,
    Seal, SealContext, Sealed, StoreError, StoredRequest, StoredResponse,
};
use tower_async_job_sqlite::SqliteStore;

const SECRET: &str = "what only the client may know";

/// Inverts all bits, which protects from a search only.
#[derive(Debug)]
struct Inverted;

impl Seal for Inverted {
    fn overhead(&self) -> usize {
        0
    }

    fn seal(&self, _: &SealContext, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(plain.iter().map(|byte| !byte).collect())
    }

    fn open(&self, context: &SealContext, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.seal(context, sealed)
    }
}

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

/// Returns whether the secret is in the file or its log.
fn is_found(path: &Path) -> bool {
    ["", "-wal"].iter().any(|suffix| {
        let data = fs::read(format!("{}{suffix}", path.display())).unwrap();
        let mut windows = data.windows(SECRET.len());
        windows.any(|window| window == SECRET.as_bytes())
    })
}

#[tokio::test]
async fn sealed_data_is_nowhere_in_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let open = async |name| {
        SqliteStore::open(directory.path().join(name))
            .await
            .unwrap()
    };
    let plain = open("plain.db").await;
    fill(&plain).await;
    assert!(is_found(&directory.path().join("plain.db")));

    let sealed: Arc<dyn JobStore> = Arc::new(Sealed::new(open("sealed.db").await, Inverted));
    let id = fill(&*sealed).await;
    assert!(!is_found(&directory.path().join("sealed.db")));
    let record = sealed.read(&id, Detail::Full).await.unwrap().unwrap();
    let Some(RecordedOutcome::Response(response)) = record.outcome else {
        panic!("{record:?}");
    };
    assert_eq!(response.decode().unwrap().body, SECRET);
}
