//! A sealed store keeps the contract, and the inner store sees no plain data.

mod common;
#[cfg(feature = "encryption")]
mod encrypted;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use http_polling::JobState;
use serde_json::json;
use tower_async_job_core::{
    ClaimKind, ClaimQuery, Created, Detail, JobQuery, JobStore, MemoryStore, Outcome, Outside,
    RecordedOutcome, Release, ReplayedRequest, Report, Seal, SealContext, Sealed, StoreError,
    StoredRequest, Task,
};

use tower_async_job_testkit::{MemoryHarness, contract};

use common::*;

/// A toy key, which a node may hold or lack. It hides nothing, and detects every change.
#[derive(Clone, Debug)]
struct Toy(u8);

fn check(context: &SealContext, plain: &[u8]) -> u8 {
    let bytes = context.to_bytes();
    let all = bytes.iter().chain(plain);
    all.fold(7, |sum: u8, byte| sum.rotate_left(1).wrapping_add(*byte))
}

impl Seal for Toy {
    fn overhead(&self) -> usize {
        2
    }

    fn seal(&self, context: &SealContext, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut sealed = vec![self.0, check(context, plain)];
        sealed.extend(plain.iter().map(|byte| byte ^ self.0));
        Ok(sealed)
    }

    fn open(&self, context: &SealContext, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (&[key, sum], sealed) = sealed
            .split_first_chunk()
            .ok_or(StoreError::corrupt("short"))?;
        if key != self.0 {
            return Err(StoreError::unsupported_version(key.into()));
        }
        let plain: Vec<u8> = sealed.iter().map(|byte| byte ^ key).collect();
        if check(context, &plain) != sum {
            return Err(StoreError::corrupt("the check byte is wrong"));
        }
        Ok(plain)
    }
}

/// Returns one store as seen by two nodes with these keys, and without a seal.
fn sealed(keys: [u8; 2]) -> ([Store; 2], Store, Pass) {
    let (store, pass) = memory();
    let nodes = keys.map(|key| Arc::new(Sealed::new(Arc::clone(&store), Toy(key))) as Store);
    (nodes, store, pass)
}

contract!(MemoryHarness::wrapping(|store| Arc::new(Sealed::new(
    store,
    Toy(90)
))));

const SECRET: &str = "a secret of a client";

#[tokio::test]
async fn nothing_plain_reaches_the_store_beneath() {
    let ([store, _], beneath, _) = sealed([90, 90]);
    let mut request = ReplayedRequest::default();
    request.body = SECRET.into();
    let request = StoredRequest::encode(&request);
    let job = offered().with_request(request.clone()).with_notify(SECRET);
    let id = offer(&store, job).await;

    let hidden = |bytes: &[u8]| {
        assert!(
            !bytes
                .windows(SECRET.len())
                .any(|part| part == SECRET.as_bytes())
        );
    };
    // The inner store can read the format, so it filters claims: a node without a seal gets none.
    assert!(claim(&beneath).await.is_none());
    let query = ClaimQuery::new(1).with_newest_format(u8::MAX);
    let raw = beneath.claim(&query).await.unwrap().jobs.remove(0);
    let Task::Run(stored) = &raw.task else {
        panic!()
    };
    hidden(stored.as_bytes());
    assert_eq!(stored.format(), request.format().map(|format| format | 128));
    release(&beneath, &raw.lease, Release::default()).await;

    let lease = claim(&store).await.unwrap().lease;
    let report = Report::default()
        .with_partial(json!([SECRET]))
        .with_metadata(json!({ "a": SECRET }).as_object().unwrap().clone())
        .with_checkpoint(SECRET);
    store.report(&lease, report).await.unwrap();
    let record = read(&beneath, &id).await.unwrap();
    hidden(record.partial.unwrap().as_bytes());
    hidden(record.metadata.unwrap().as_bytes());
    let record = read(&store, &id).await.unwrap();
    assert_eq!(record.partial, Some(json!([SECRET]).into()));

    release(
        &store,
        &lease,
        Release::default().with_outside(Outside::new("t", LEASE)),
    )
    .await;
    let token = Outside::digest("t");
    hidden(
        &beneath
            .resume(&id, &token)
            .await
            .unwrap()
            .unwrap()
            .checkpoint,
    );
    let claim = store.resume(&id, &token).await.unwrap().unwrap();
    assert_eq!(claim.checkpoint, SECRET);

    store
        .finish(&claim.lease, done(SECRET.as_bytes()))
        .await
        .unwrap();
    let record = read(&beneath, &id).await.unwrap();
    let Some(RecordedOutcome::Response(stored)) = record.outcome else {
        panic!()
    };
    hidden(stored.as_bytes());
    assert_eq!(record.result.unwrap().len, SECRET.len() as u64);
    let record = read(&store, &id).await.unwrap();
    assert_eq!(
        record.outcome,
        Some(RecordedOutcome::Response(response(SECRET.as_bytes())))
    );

    let chunk = Bytes::from_static(SECRET.as_bytes());
    let other = offer(&store, offered()).await;
    let lease = self::claim(&store).await.unwrap().lease;
    store.write_chunk(&lease, 0, chunk.clone()).await.unwrap();
    let streamed = Outcome::Streamed {
        head: response(b""),
        chunks: 1,
        len: chunk.len() as u64,
    };
    store.finish(&lease, streamed.into()).await.unwrap();
    let result = read(&beneath, &other).await.unwrap().result.unwrap();
    hidden(&beneath.read_chunk(&result, 0).await.unwrap().unwrap());
    assert_eq!(store.read_chunk(&result, 0).await.unwrap(), Some(chunk));

    let notice = claim_all(&beneath, ClaimKind::Notify).await.remove(0);
    let Task::Notify { notify, .. } = &notice.task else {
        panic!()
    };
    hidden(notify);
}

#[tokio::test]
async fn s42_job_that_cannot_be_opened_ends_as_failed_once() {
    let ([store, _], beneath, _) = sealed([90, 90]);
    let job = offered();
    let handle = job.handle;
    // Not sealed, so it cannot be opened.
    let id = offer(&beneath, job).await;
    let claims = store.claim(&ClaimQuery::new(9)).await.unwrap();
    // Its first byte is the format, which is no key of this node.
    assert!(claims.jobs.is_empty() && claims.unreadable.is_empty());
    assert_eq!(state(&store, &id).await, Some(JobState::Queued));

    let forged = StoredRequest::from_bytes(Bytes::from_static(&[129, 90, 0, 1]));
    let job = offered().with_request(forged).with_handle(handle);
    let id = offer(&beneath, job).await;
    let claims = store.claim(&ClaimQuery::new(9)).await.unwrap();
    assert_eq!(claims.unreadable, [handle]);
    assert_eq!(state(&store, &id).await, Some(JobState::Failed));
    let again = store.claim(&ClaimQuery::new(9)).await.unwrap();
    assert!(again.unreadable.is_empty());
}

#[tokio::test]
async fn s41_job_of_an_unknown_key_is_left_to_other_nodes() {
    let ([old, new], _, pass) = sealed([90, 91]);
    let id = offer(&new, offered().with_max_attempts(1)).await;
    for _ in 0..5 {
        assert!(claim(&old).await.is_none());
        pass.by(HOUR / 60);
    }
    let claim = claim(&new).await.unwrap();
    assert_eq!((claim.lease.id, claim.attempt), (id, 1));
    new.finish(&claim.lease, done(b"x")).await.unwrap();
    let error = old.read(&id, Detail::Full).await.unwrap_err();
    assert!(error.is_unsupported_version());
    assert!(old.read(&id, Detail::Status).await.is_ok());
}

#[tokio::test]
async fn list_leaves_out_what_cannot_be_opened() {
    let ([old, new], _, _) = sealed([90, 91]);
    for store in [&old, &new] {
        let lease = create(store, job()).await;
        let report = Report::default().with_partial(json!(1));
        store.report(&lease, report).await.unwrap();
    }
    let page = old.list(&JobQuery::default()).await.unwrap();
    assert_eq!((page.jobs.len(), page.unreadable), (1, 1));
}

/// A seal that counts its uses.
#[derive(Debug)]
struct Counting(Arc<AtomicUsize>);

impl Seal for Counting {
    fn overhead(&self) -> usize {
        Toy(90).overhead()
    }

    fn seal(&self, context: &SealContext, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Toy(90).seal(context, plain)
    }

    fn open(&self, context: &SealContext, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        Toy(90).open(context, sealed)
    }
}

#[tokio::test]
async fn job_is_sealed_once_and_not_for_an_immediate_create() {
    let seals = Arc::new(AtomicUsize::new(0));
    let store = Sealed::new(MemoryStore::new(), Counting(Arc::clone(&seals)));
    let job = store.create_now(replayable()).unwrap_err();
    assert_eq!(job.request, Some(request()));
    let created = store.create(job).await.unwrap();
    assert!(matches!(created, Created::New { .. }));
    assert_eq!(seals.load(Ordering::SeqCst), 1);
}
