//! Stores whose data is sealed by encryption keys.

use std::sync::Arc;

use bytes::Bytes;
use http_polling::JobState;
use tower_async_job_core::{
    ClaimQuery, Detail, EncryptionKeys, JobId, JobStore, Outcome, RecordedOutcome, Sealed,
    StoredResponse,
};
use tower_async_job_testkit::{MemoryHarness, contract};

use super::common::*;

contract!(MemoryHarness::wrapping(|store| Arc::new(Sealed::new(
    store,
    keys()
))));

fn keys() -> EncryptionKeys {
    EncryptionKeys::new("2026", [9; 32]).unwrap()
}

fn older() -> EncryptionKeys {
    EncryptionKeys::new("2025", [7; 32]).unwrap()
}

#[tokio::test]
async fn s41_job_of_a_missing_key_waits_for_it() {
    let (beneath, pass) = memory();
    let with = |keys| Arc::new(Sealed::new(Arc::clone(&beneath), keys)) as Store;
    let (old, new) = (with(older()), with(keys()));
    let waiting = offered().with_max_attempts(1);
    let handle = waiting.handle;
    let waiting = offer(&old, waiting).await;
    let ended = create(&old, job()).await;
    old.finish(&ended, done(b"kept")).await.unwrap();

    let claims = new.claim(&ClaimQuery::new(9)).await.unwrap();
    let [(left, error)] = &claims.left[..] else {
        panic!("{claims:?}");
    };
    assert_eq!(*left, handle);
    assert!(error.to_string().contains("\"2025\""), "{error}");
    let error = new.read(&ended.id, Detail::Full).await.unwrap_err();
    assert!(error.is_unknown_key() && error.to_string().contains("\"2025\""));

    let both = keys().with_older("2025", [7; 32]).unwrap();
    let both = with(both);
    pass.by(HOUR / 60);
    assert_eq!(claim(&both).await.unwrap().lease.id, waiting);
    assert_eq!(state(&both, &ended.id).await, Some(JobState::Done));
}

#[tokio::test]
async fn s41_sealed_job_waits_for_a_node_with_a_seal() {
    let (beneath, _) = memory();
    let sealed = Arc::new(Sealed::new(Arc::clone(&beneath), keys())) as Store;
    let id = offer(&sealed, offered()).await;
    let ended = create(&sealed, job()).await;
    sealed.finish(&ended, done(b"kept")).await.unwrap();

    let claims = beneath.claim(&ClaimQuery::new(9)).await.unwrap();
    assert!(claims.jobs.is_empty() && claims.unreadable.is_empty());
    let record = read(&beneath, &ended.id).await.unwrap();
    let Some(RecordedOutcome::Response(response)) = record.outcome else {
        panic!("{record:?}");
    };
    assert!(response.decode().unwrap_err().is_unsupported_version());
    assert_eq!(claim(&sealed).await.unwrap().lease.id, id);
}

#[tokio::test]
async fn job_that_was_stored_unsealed_waits_for_a_store_without_a_seal() {
    let (beneath, pass) = memory();
    let sealed = Arc::new(Sealed::new(Arc::clone(&beneath), keys())) as Store;
    let id = offer(&beneath, offered()).await;
    let claims = sealed.claim(&ClaimQuery::new(9)).await.unwrap();
    assert!(claims.jobs.is_empty() && claims.unreadable.is_empty());
    assert!(claims.left[0].1.is_unsupported_version());
    pass.by(HOUR / 60);
    assert_eq!(claim(&beneath).await.unwrap().lease.id, id);
}

/// Stores a result with this head, number of chunks and length.
async fn stream(store: &Store, id: JobId, head: StoredResponse, chunks: u32, len: u64) {
    let mut new = job();
    new.id = id;
    let lease = create(store, new).await;
    for index in 0..chunks {
        let chunk = Bytes::from_static(b"4444");
        store.write_chunk(&lease, index, chunk).await.unwrap();
    }
    let end = Outcome::Streamed { head, chunks, len };
    store.finish(&lease, end.into()).await.unwrap();
}

#[tokio::test]
async fn result_without_its_last_chunk_or_of_another_length_is_corrupt() {
    let (beneath, _) = memory();
    let sealed = Arc::new(Sealed::new(Arc::clone(&beneath), keys())) as Store;
    let id = JobId::random();
    stream(&sealed, id, response(b""), 2, 8).await;
    let record = read(&sealed, &id).await.unwrap();
    assert_eq!(record.outcome, Some(RecordedOutcome::Head(response(b""))));

    let record = read(&beneath, &id).await.unwrap();
    let Some(RecordedOutcome::Head(head)) = record.outcome else {
        panic!("{record:?}");
    };
    for (chunks, len) in [(2, 8), (1, 4), (2, 4), (2, 0), (2, 9)] {
        let is_readable = (chunks, len) == (2, 8);
        let (beneath, _) = memory();
        stream(&beneath, id, head.clone(), chunks, len).await;
        let read = Sealed::new(beneath, keys()).read(&id, Detail::Full).await;
        assert_eq!(read.is_ok(), is_readable);
        assert!(read.is_ok() || read.unwrap_err().is_corrupt());
    }
}
