//! The in-memory store under a model checker, which runs its own source in every interleaving:
//!
//! ```text
//! RUSTFLAGS="--cfg http_polling_loom" \
//!     cargo test -p tower-async-job-core --test loom --release --target-dir target/loom
//! ```
//!
//! A waiter that is never woken shows as a deadlock.
#![cfg(http_polling_loom)]

use std::{
    collections::HashMap,
    future::ready,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Wake, Waker},
};

use http::{HeaderMap, StatusCode};
use http_polling::JobState;
use loom::{
    future::block_on,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};
use tower_async_job_core::{
    Cancellation, Created, Detail, End, IdempotencyKey, JobHandle, JobId, JobStore, Lease,
    MemoryStore, MemoryStoreBuilder, NewJob, Outcome, ReadBatch, Release, StoredResponse, Waiters,
};

// Random values would make runs differ, and the checker has to repeat them.
const ID: JobId = JobId::from_bits(1);
const HANDLE: JobHandle = JobHandle::from_bits(1);

fn store_with_job(builder: MemoryStoreBuilder) -> (Arc<MemoryStore>, Lease) {
    let store = Arc::new(builder.shards(1).build());
    let created = block_on(store.create(NewJob::new(ID).with_handle(HANDLE)));
    let Ok(Created::New { lease, .. }) = created else {
        panic!("{created:?}")
    };
    (store, lease)
}

fn done() -> End {
    let recorder = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 0);
    Outcome::Done(recorder.finish(None)).into()
}

fn state(store: &MemoryStore) -> Option<JobState> {
    block_on(store.read(&ID, Detail::Status))
        .unwrap()
        .map(|record| record.state)
}

/// Runs a waiter in one thread, and the end of the job in another.
fn waiter_against(end: fn(&MemoryStore, Lease)) {
    loom::model(move || {
        let (store, lease) = store_with_job(MemoryStore::builder());
        let ending = {
            let store = Arc::clone(&store);
            thread::spawn(move || end(&store, lease))
        };
        block_on(store.subscribe(&ID));
        assert!(state(&store).is_none_or(JobState::is_final));
        ending.join().unwrap();
    });
}

#[test]
fn s26_finish_is_never_missed() {
    waiter_against(|store, lease| {
        block_on(store.finish(&lease, done())).unwrap();
    });
}

#[test]
fn s26_cancel_is_never_missed() {
    waiter_against(|store, _| {
        let cancelled = block_on(store.cancel(&ID)).unwrap();
        assert!(matches!(cancelled, Cancellation::Cancelled { .. }));
    });
}

#[test]
fn s26_discard_is_never_missed() {
    waiter_against(|store, lease| {
        block_on(store.discard(&lease)).unwrap();
    });
}

#[test]
fn s26_loss_is_never_missed() {
    waiter_against(|store, lease| {
        block_on(store.release(&[lease], Release::default())).unwrap();
    });
}

/// Subscribes to a job, and polls once while another thread ends the job. In every interleaving,
/// the poll sees the end, or the end wakes the poller.
fn one_look_against_finish(builder: fn() -> MemoryStoreBuilder) {
    loom::model(move || {
        let (store, lease) = store_with_job(builder());
        let mut ended = store.subscribe(&ID);
        let ending = {
            let store = Arc::clone(&store);
            thread::spawn(move || block_on(store.finish(&lease, done())).unwrap())
        };
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(std::sync::Arc::clone(&woken));
        let seen = Pin::new(&mut ended)
            .poll(&mut Context::from_waker(&waker))
            .is_ready();
        ending.join().unwrap();
        drop(ended);
        assert!(seen || woken.0.load(Ordering::SeqCst), "the end was missed");
    });
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn s26_a_subscription_sees_the_end_or_is_woken() {
    one_look_against_finish(MemoryStore::builder);
}

/// Tests the test above: it fails if the end is not kept for later polls.
#[test]
#[should_panic(expected = "the end was missed")]
fn s26_an_end_that_is_not_kept_is_missed() {
    one_look_against_finish(|| MemoryStore::builder().forgetting_ends());
}

#[test]
fn s26_two_waiters_are_both_woken() {
    loom::model(|| {
        let (store, lease) = store_with_job(MemoryStore::builder());
        let waiting = {
            let store = Arc::clone(&store);
            thread::spawn(move || block_on(store.subscribe(&ID)))
        };
        let ending = {
            let store = Arc::clone(&store);
            thread::spawn(move || block_on(store.finish(&lease, done())).unwrap())
        };
        waiting.join().unwrap();
        block_on(store.subscribe(&ID));
        ending.join().unwrap();
    });
}

#[test]
fn s29_a_waiter_that_gives_up_takes_no_other_along() {
    waiter_against(|store, lease| {
        let mut ended = store.subscribe(&ID);
        let _ = Pin::new(&mut ended).poll(&mut Context::from_waker(Waker::noop()));
        drop(ended);
        block_on(store.finish(&lease, done())).unwrap();
    });
}

#[test]
fn s11_of_finish_and_cancel_exactly_one_wins() {
    loom::model(|| {
        let (store, lease) = store_with_job(MemoryStore::builder());
        let cancelling = {
            let store = Arc::clone(&store);
            thread::spawn(move || block_on(store.cancel(&ID)).unwrap())
        };
        let finished = block_on(store.finish(&lease, done()));
        let cancelled = cancelling.join().unwrap();
        match finished {
            Ok(()) => {
                assert_eq!(cancelled, Cancellation::Ended(JobState::Done));
                assert_eq!(state(&store), Some(JobState::Done));
            }
            Err(error) => {
                assert!(error.is_lease_lost());
                assert!(matches!(cancelled, Cancellation::Cancelled { .. }));
                assert_eq!(state(&store), Some(JobState::Cancelled));
            }
        }
    });
}

#[test]
fn s11_waiter_against_finish_against_cancel() {
    loom::model(|| {
        let (store, lease) = store_with_job(MemoryStore::builder());
        let finishing = {
            let store = Arc::clone(&store);
            thread::spawn(move || block_on(store.finish(&lease, done())).is_ok())
        };
        let cancelling = {
            let store = Arc::clone(&store);
            thread::spawn(move || block_on(store.cancel(&ID)).unwrap())
        };
        block_on(store.subscribe(&ID));
        let cancelled = matches!(cancelling.join().unwrap(), Cancellation::Cancelled { .. });
        assert_ne!(finishing.join().unwrap(), cancelled);
    });
}

#[test]
fn s43_one_of_two_creates_with_a_key_makes_the_job() {
    fn create(store: &MemoryStore, bits: u64) -> Created {
        let key = IdempotencyKey::new("key", [0; 32]).unwrap();
        let job = NewJob::new(JobId::from_bits(bits.into()))
            .with_handle(JobHandle::from_bits(bits))
            .with_idempotency(key);
        block_on(store.create(job)).unwrap()
    }

    loom::model(|| {
        let store = Arc::new(MemoryStore::builder().shards(1).build());
        let other = {
            let store = Arc::clone(&store);
            thread::spawn(move || create(&store, 1))
        };
        let (one, other) = (create(&store, 2), other.join().unwrap());
        match (one, other) {
            (Created::New { lease, .. }, Created::Existing(record))
            | (Created::Existing(record), Created::New { lease, .. }) => {
                assert_eq!(record.id, lease.id);
            }
            both => panic!("{both:?}"),
        }
    });
}

#[test]
fn s26_shared_subscription_is_never_missed_and_leaves_no_watch() {
    loom::model(|| {
        let waiters = Arc::new(Waiters::default());
        let ended = waiters.subscribe(&ID);
        let notifying = {
            let waiters = Arc::clone(&waiters);
            thread::spawn(move || waiters.notify(&ID))
        };
        let leaving = {
            let waiters = Arc::clone(&waiters);
            thread::spawn(move || drop(waiters.subscribe(&ID)))
        };
        block_on(ended);
        notifying.join().unwrap();
        leaving.join().unwrap();
        assert!(waiters.watched().is_empty());
    });
}

#[test]
fn read_in_a_batch_sees_what_was_written_before_it() {
    loom::model(|| {
        let written = Arc::new(AtomicUsize::new(0));
        let batch = Arc::new(ReadBatch::<u8, usize>::default());
        let mut driver = Box::pin({
            let (batch, written) = (Arc::clone(&batch), Arc::clone(&written));
            async move {
                let fetch = |_| {
                    let found = written.load(SeqCst);
                    ready(Ok(HashMap::from([(0, found)])))
                };
                match batch.run(fetch).await {};
            }
        });
        // The driver takes reads from here on.
        let polled = driver
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        // A read that may be in flight when the other one arrives.
        let mut early = Box::pin(batch.read(0));
        let polled = early.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        let driving = thread::spawn(move || {
            for _ in 0..2 {
                let mut context = Context::from_waker(Waker::noop());
                assert!(driver.as_mut().poll(&mut context).is_pending());
            }
        });
        written.store(1, SeqCst);
        // The driver is gone, or the value is new.
        match block_on(batch.read(0)) {
            Ok(found) => assert_eq!(found, Some(1)),
            Err(error) => assert!(error.is_unavailable()),
        }
        driving.join().unwrap();
    });
}
