//! Results that are stored in chunks.

use bytes::Bytes;
use http_polling::JobState;
use tower_async_job_core::{
    CHUNKS_LINGER, Detail, End, Lease, Outcome, RecordedOutcome, ResultRef, Retention,
};

use crate::common::*;

async fn write(store: &Store, lease: &Lease, chunks: &[&'static str]) {
    for (index, chunk) in chunks.iter().enumerate() {
        let data = Bytes::from_static(chunk.as_bytes());
        store.write_chunk(lease, index as u32, data).await.unwrap();
    }
}

fn streamed(chunks: u32, len: u64) -> End {
    let head = response(b"");
    Outcome::Streamed { head, chunks, len }.into()
}

/// Reads all chunks of a result.
async fn body(store: &Store, result: &ResultRef) -> Option<String> {
    let mut body = String::new();
    for index in 0..result.chunks.unwrap() {
        let chunk = store.read_chunk(result, index).await.unwrap()?;
        body.push_str(str::from_utf8(&chunk).unwrap());
    }
    Some(body)
}

pub(crate) async fn chunks_are_read_once_the_run_has_finished(store: Store, _: &Pass) {
    assert!(store.properties().chunk.is_some());
    let lease = create(&store, job()).await;
    write(&store, &lease, &["hell", "o wo", "rld"]).await;
    write(&store, &lease, &["Hell"]).await;
    assert_eq!(read(&store, &lease.id).await.unwrap().result, None);
    store.finish(&lease, streamed(3, 11)).await.unwrap();
    store.finish(&lease, streamed(3, 11)).await.unwrap();
    let result = ResultRef::new(lease, 11).with_chunks(3);
    for detail in [Detail::Head, Detail::Full] {
        let record = store.read(&lease.id, detail).await.unwrap().unwrap();
        assert_eq!(
            (record.state, record.result),
            (JobState::Done, Some(result))
        );
        assert_eq!(record.outcome, Some(RecordedOutcome::Head(response(b""))));
    }
    assert_eq!(body(&store, &result).await.as_deref(), Some("Hello world"));
    assert_eq!(store.read_chunk(&result, 3).await.unwrap(), None);
    let late = store.write_chunk(&lease, 0, Bytes::new()).await;
    assert!(late.unwrap_err().is_lease_lost());
}

pub(crate) async fn s07_chunks_of_a_stale_run_are_not_read(store: Store, pass: &Pass) {
    let stale = create(&store, replayable()).await;
    write(&store, &stale, &["old ", "olds"]).await;
    pass.by(LEASE);
    let claim = claim(&store).await.unwrap();
    let refused = store
        .write_chunk(&stale, 0, Bytes::from_static(b"evil"))
        .await;
    assert!(refused.unwrap_err().is_lease_lost());
    write(&store, &claim.lease, &["new"]).await;
    store.finish(&claim.lease, streamed(1, 3)).await.unwrap();
    let result = read(&store, &stale.id).await.unwrap().result.unwrap();
    assert_eq!(body(&store, &result).await.as_deref(), Some("new"));
}

pub(crate) async fn s50_chunks_outlive_removal_and_expiry_while_they_are_read(
    store: Store,
    pass: &Pass,
) {
    let before = store.usage().map(|usage| usage.bytes);
    for remove in [true, false] {
        let retention = Retention::new(HOUR, MOMENT);
        let lease = create(&store, job().with_retention(retention)).await;
        write(&store, &lease, &["slow"]).await;
        store.finish(&lease, streamed(1, 4)).await.unwrap();
        let result = read(&store, &lease.id).await.unwrap().result.unwrap();
        if remove {
            store.remove(&lease.id).await.unwrap();
        } else {
            pass.by(HOUR);
        }
        for _ in 0..30 {
            store.sweep().await.unwrap();
            pass.by(CHUNKS_LINGER - MOMENT);
            assert_eq!(
                body(&store, &result).await.as_deref(),
                Some("slow"),
                "{remove}"
            );
        }
        assert!(store.sweep().await.unwrap().next.is_some());
        pass.by(CHUNKS_LINGER);
        store.sweep().await.unwrap();
        assert_eq!(body(&store, &result).await, None, "{remove}");
        pass.by(LEASE);
        store.sweep().await.unwrap();
        assert_eq!(store.usage().map(|usage| usage.bytes), before);
    }
}
