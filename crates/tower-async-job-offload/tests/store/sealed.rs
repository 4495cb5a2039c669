//! Results that are encrypted, in both orders.

use std::sync::Arc;

use tower_async_job_core::{
    Created, EncryptionKeys, JobStore, MemoryStore, Outcome, RecordedOutcome, Sealed,
};
use tower_async_job_offload::Offloaded;

use crate::{common::*, objects::Objects};

const SECRET: &[u8] = b"known to one client alone";

/// Stores a long result, and returns whether its object contains the secret.
async fn is_plain(store: Arc<dyn JobStore>, objects: &Objects) -> bool {
    let created = store.create(job()).await.unwrap();
    let Created::New { lease, .. } = created else {
        panic!("{created:?}")
    };
    let size = store.properties().chunk.unwrap();
    let body = SECRET.repeat(200);
    let chunks: Vec<_> = body.chunks(size).collect();
    for (index, data) in chunks.iter().enumerate() {
        store
            .write_chunk(&lease, index as u32, data.to_vec().into())
            .await
            .unwrap();
    }
    let outcome = Outcome::Streamed {
        head: head(),
        chunks: chunks.len() as u32,
        len: body.len() as u64,
    };
    store.finish(&lease, outcome.into()).await.unwrap();
    let record = record(&*store, &lease.id).await.unwrap();
    assert_eq!(record.outcome, Some(RecordedOutcome::Head(head())));
    assert_eq!(read(&*store, &record).await.unwrap(), body);
    let object = objects.bytes(&objects.only().await).await;
    object.windows(SECRET.len()).any(|part| part == SECRET)
}

#[tokio::test]
async fn objects_are_encrypted_if_the_seal_is_outermost() {
    let memory = || {
        MemoryStore::builder()
            .chunk_size(CHUNK)
            .lease_duration(LEASE)
            .build()
    };
    let keys = || EncryptionKeys::new("2026", [7; 32]).unwrap();
    let builder = || Offloaded::builder().threshold(0);

    let objects = Objects::default();
    let offloaded = builder().build(memory(), objects.clone()).unwrap();
    assert!(!is_plain(Arc::new(Sealed::new(offloaded, keys())), &objects).await);

    let objects = Objects::default();
    let sealed = Sealed::new(memory(), keys());
    let offloaded = builder().build(sealed, objects.clone()).unwrap();
    assert!(is_plain(Arc::new(offloaded), &objects).await);
}
