//! Calls with unknown outcomes: lost answers and dropped futures.

use std::task::{Context, Waker};

use http_polling::JobState;
use tower_async_job_core::{Call, Created, Release, Released, StoreFuture};

use crate::{
    faulty::{Fault, FaultyStore},
    harness::Harness,
    node::*,
};

/// Polls a call at most `polls` times, and drops it.
async fn abandon<T>(mut call: StoreFuture<'_, T>, polls: usize) {
    for _ in 0..polls {
        let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if polled.is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn a_create_dropped_half_way_takes_effect_as_a_whole_or_not_at_all(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    for polls in 0..6 {
        let mut job = node.replayable();
        let key = key(&polls.to_string(), 1);
        job = node.with_key(job, key.clone());
        abandon(node.create(job.clone()), polls).await;
        // It may still be in flight to the store, so only a repeat reveals its outcome.
        let lease = node.add(job).await;
        let found = node.look_up(None, &key).await.unwrap();
        assert!(matches!(found, Some(Created::Existing(record)) if record.id == lease.id));
        assert_eq!(node.state(&lease.id).await, Some(JobState::Running));
        node.end(&lease, done(b"")).await.unwrap();
    }
    Ok(())
}

pub(crate) async fn a_finish_dropped_half_way_takes_effect_as_a_whole_or_not_at_all(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    for polls in 0..6 {
        let lease = node.add(node.job()).await;
        abandon(node.finish(&lease, done(b"all").into()), polls).await;
        let record = node.known(&lease.id).await;
        assert_eq!(record.outcome.is_some(), record.state == JobState::Done);
        node.end(&lease, done(b"all")).await.unwrap();
        let record = node.known(&lease.id).await;
        assert_eq!(record.result.map(|result| result.len), Some(3));
    }
    Ok(())
}

pub(crate) async fn calls_with_lost_answers_can_be_repeated(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let faulty = FaultyStore::new(harness.store());
    let store = faulty.store();
    let lose = |call| faulty.next(call, Fault::Unacknowledged);

    let lease = node
        .add(
            node.replayable()
                .with_start(tower_async_job_core::Start::Queued),
        )
        .await;
    lose(Call::Start);
    assert!(store.start(&lease).await.unwrap_err().is_unavailable());
    store.start(&lease).await.unwrap();
    assert_eq!(node.known(&lease.id).await.attempt, 1);

    lose(Call::Renew);
    assert!(store.renew(&[lease]).await.unwrap_err().is_unavailable());
    assert!(store.renew(&[lease]).await.unwrap()[0].is_held());

    lose(Call::Release);
    let how = Release::default;
    let lost = store.release(&[lease], how()).await;
    assert!(lost.unwrap_err().is_unavailable());
    let again = store.release(&[lease], how()).await.unwrap();
    assert_eq!(again, [Released::Lost]);
    let claim = node.claim_one().await;

    lose(Call::Cancel);
    assert!(store.cancel(&lease.id).await.unwrap_err().is_unavailable());
    let again = store.cancel(&lease.id).await.unwrap();
    let cancelled = tower_async_job_core::Cancellation::Ended(JobState::Cancelled);
    assert_eq!(again, cancelled);
    node.end_is_fenced(&claim.lease, done(b"")).await;

    lose(Call::Remove);
    assert!(store.remove(&lease.id).await.unwrap_err().is_unavailable());
    assert!(!store.remove(&lease.id).await.unwrap());
    assert!(node.record(&lease.id).await.is_none());

    let unannounced = node.add(node.keyed("key", 1)).await;
    lose(Call::Discard);
    let lost = store.discard(&unannounced).await;
    assert!(lost.unwrap_err().is_unavailable());
    store.discard(&unannounced).await.unwrap();
    node.add(node.keyed("key", 1)).await;
    Ok(())
}
