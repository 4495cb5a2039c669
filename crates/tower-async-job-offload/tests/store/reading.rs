//! Results that are read, also by nodes that cannot.

use bytes::Bytes;
use http_polling::JobState;
use tower_async_job_core::{Detail, JobStore, Lease, Outcome, RecordedOutcome};
use tower_async_job_offload::object_store::ObjectStoreExt;
use tower_async_job_testkit::Call;

use crate::{
    common::*,
    objects::{Fault, Step},
};

async fn ended(store: &Store) -> (Lease, tower_async_job_core::ResultRef) {
    let lease = create(store, job()).await;
    run(store, &lease, 1).await;
    let record = record(store, &lease.id).await.unwrap();
    (lease, record.result.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_long_result_is_one_object_of_its_bytes_and_leaves_the_job_store_small() {
    let setup = Setup::new();
    let store = setup.node();
    let (lease, result) = ended(&store).await;
    let name = setup.objects.only().await;
    assert_eq!(name.as_ref(), format!("1970-01-01/{}-1", lease.id.encode()));
    assert_eq!(setup.objects.bytes(&name).await, body(1));
    assert!(setup.beneath.usage().unwrap().bytes < 1000);
    // Parts of 2500 bytes.
    assert_eq!(
        setup.objects.calls(Step::Part),
        body(1).len().div_ceil(2500)
    );
    let (before, reads) = (
        setup.objects.calls(Step::Get),
        setup.faulty.calls(Call::ReadChunk),
    );
    let data = store.read_chunk(&result, 4).await.unwrap();
    assert_eq!(data, Some(chunk(4, 1)));
    assert_eq!(setup.objects.calls(Step::Get), before + 1);
    assert_eq!(setup.faulty.calls(Call::ReadChunk), reads + 1);
}

#[tokio::test(start_paused = true)]
async fn results_up_to_the_threshold_stay_in_the_job_store() {
    let setup = Setup::new();
    let store = setup.node();
    let lease = create(&store, job()).await;
    for index in 0..3 {
        store
            .write_chunk(&lease, index, chunk(index, 1))
            .await
            .unwrap();
    }
    let head = head();
    let outcome = Outcome::Streamed {
        head,
        chunks: 3,
        len: 3000,
    };
    store.finish(&lease, outcome.into()).await.unwrap();
    assert_eq!(setup.objects.calls(Step::Begin), 0);
    for reader in [&store as &dyn JobStore, &*setup.beneath] {
        let record = record(reader, &lease.id).await.unwrap();
        assert_eq!(read(reader, &record).await.unwrap(), body(1)[..3000]);
    }
}

#[tokio::test(start_paused = true)]
async fn s83_a_handler_cannot_forge_a_reference() {
    let setup = Setup::new();
    let store = setup.node();
    let (victim, _) = ended(&store).await;
    let stored = setup
        .beneath
        .read(&victim.id, Detail::Status)
        .await
        .unwrap()
        .unwrap();
    let reference = setup
        .beneath
        .read_chunk(&stored.result.unwrap(), CHUNKS)
        .await
        .unwrap();
    let reference = reference.expect("it is behind the last chunk");

    let lease = create(&store, job()).await;
    let chunks = [Bytes::from(vec![0; CHUNK]), reference.clone()];
    for (index, data) in chunks.iter().enumerate() {
        store
            .write_chunk(&lease, index as u32, data.clone())
            .await
            .unwrap();
    }
    let len = (CHUNK + reference.len()) as u64;
    let outcome = Outcome::Streamed {
        head: head(),
        chunks: 2,
        len,
    };
    store.finish(&lease, outcome.into()).await.unwrap();
    assert_eq!(result(&store, &lease.id).await, chunks.concat());
    let record = record(&store, &lease.id).await.unwrap();
    let behind = store.read_chunk(&record.result.unwrap(), 2).await.unwrap();
    assert_eq!(behind, None);
}

#[tokio::test(start_paused = true)]
async fn s41_a_node_without_object_store_leaves_long_results_alone() {
    let setup = Setup::new();
    let store = setup.node();
    let (lease, _) = ended(&store).await;
    for detail in [Detail::Head, Detail::Full] {
        let record = setup
            .beneath
            .read(&lease.id, detail)
            .await
            .unwrap()
            .unwrap();
        let Some(RecordedOutcome::Head(stored)) = record.outcome else {
            panic!("{:?}", record.outcome)
        };
        // Golden: the head of format 1, with the bit of a body that is outside.
        let mut expected = head().as_bytes().to_vec();
        assert_eq!(expected[0], 1);
        expected[0] = 0x41;
        assert_eq!(stored.as_bytes(), &expected);
        assert!(stored.decode().unwrap_err().is_unsupported_version());
        let record = store.read(&lease.id, detail).await.unwrap().unwrap();
        assert_eq!(record.outcome, Some(RecordedOutcome::Head(head())));
    }
    let status = setup.beneath.read(&lease.id, Detail::Status).await.unwrap();
    assert_eq!(status.unwrap().state, JobState::Done);
}

#[tokio::test(start_paused = true)]
async fn s82_an_object_that_is_missing_or_cut_is_an_error() {
    let setup = Setup::new();
    let store = setup.node();
    let (lease, result) = ended(&store).await;
    let name = setup.objects.only().await;
    let whole = setup.objects.bytes(&name).await;
    for (left, text) in [
        (Some(2500), "is shorter"),
        (None, "is missing, so the result is lost"),
    ] {
        match left {
            Some(left) => {
                let cut = whole[..left].to_vec();
                drop(setup.objects.inner.put(&name, cut.into()).await.unwrap());
            }
            None => setup.objects.inner.delete(&name).await.unwrap(),
        }
        // The chunk at the cut, and the one behind it.
        for index in [2, 5] {
            let error = store.read_chunk(&result, index).await.unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(!source.contains(lease.id.encode().as_str()), "{source}");
            assert!(error.is_corrupt() && source.contains(text), "{source}");
            assert!(source.contains("with this prefix"), "{source}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s82_a_read_that_fails_or_hangs_is_unavailable_and_the_next_one_works() {
    let setup = Setup::new();
    let store = setup.node();
    let (_, result) = ended(&store).await;
    for fault in [Fault::Fails, Fault::Hangs] {
        setup.objects.fail(Step::Get, 1, fault);
        let began = tokio::time::Instant::now();
        let error = store.read_chunk(&result, 0).await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        assert!(began.elapsed() <= std::time::Duration::from_secs(5));
        assert_eq!(
            store.read_chunk(&result, 0).await.unwrap(),
            Some(chunk(0, 1))
        );
    }
}
