//! Wake-ups: one for each waiter, immediately.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use tower_async_job_core::{ClaimQuery, IdempotencyKey, JobStore, MemoryStore, Start, SweepQuery};

use crate::common::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn s26_every_kind_of_end_wakes_its_waiters() {
    for end in ["finish", "cancel", "release", "discard", "sweep"] {
        let (store, clock) = store();
        let lease = create(&store, job()).await;
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut ended = store.subscribe(&lease.id);
        assert!(
            Pin::new(&mut ended)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        match end {
            "finish" => store.finish(&lease, done(b"")).await.unwrap(),
            "cancel" => drop(store.cancel(&lease.id).await.unwrap()),
            "release" => drop(release(&store, &lease).await),
            "discard" => store.discard(&lease).await.unwrap(),
            _ => {
                clock.advance(LEASE);
                store.sweep(&SweepQuery::default()).await.unwrap();
            }
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "{end}");
        assert!(
            Pin::new(&mut ended)
                .poll(&mut Context::from_waker(&waker))
                .is_ready(),
            "{end}"
        );
    }
}

#[tokio::test]
async fn only_the_latest_waker_of_a_waiter_is_woken() {
    let (store, _) = store();
    let lease = create(&store, job()).await;
    let counts = [Arc::new(Count::default()), Arc::new(Count::default())];
    let mut ended = store.subscribe(&lease.id);
    for count in &counts {
        let waker = Waker::from(Arc::clone(count));
        assert!(
            Pin::new(&mut ended)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    store.finish(&lease, done(b"")).await.unwrap();
    assert_eq!(counts.map(|count| count.0.load(Ordering::Relaxed)), [0, 1]);
}

#[tokio::test]
async fn s39_waiters_of_a_released_job_keep_waiting() {
    let (store, _) = store();
    let lease = create(&store, replayable()).await;
    let mut ended = store.subscribe(&lease.id);
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut ended).poll(&mut context).is_pending());
    release(&store, &lease).await;
    assert!(Pin::new(&mut ended).poll(&mut context).is_pending());
    let mut claims = store.claim(&ClaimQuery::new(1)).await.unwrap();
    let claim = claims.jobs.pop().unwrap();
    store.finish(&claim.lease, done(b"")).await.unwrap();
    assert!(Pin::new(&mut ended).poll(&mut context).is_ready());
}

/// A waker that looks a key up on another thread, and waits for the answer.
struct LookUp {
    store: Arc<MemoryStore>,
    key: IdempotencyKey,
    is_answered: AtomicBool,
}

impl Wake for LookUp {
    fn wake(self: Arc<Self>) {
        let (sender, receiver) = mpsc::channel();
        let (store, key) = (Arc::clone(&self.store), self.key.clone());
        thread::spawn(move || {
            let mut context = Context::from_waker(Waker::noop());
            let found = store.look_up(None, &key).as_mut().poll(&mut context);
            sender.send(found.is_ready())
        });
        let answer = receiver.recv_timeout(Duration::from_secs(1));
        self.is_answered.store(answer.is_ok(), Ordering::SeqCst);
    }
}

#[tokio::test]
async fn workers_are_woken_for_a_keyed_job_without_the_lock_of_its_key() {
    let store = Arc::new(store().0);
    let key = IdempotencyKey::new("key", [0; 32]).unwrap();
    let waker = Arc::new(LookUp {
        store: Arc::clone(&store),
        key: key.clone(),
        is_answered: AtomicBool::new(false),
    });
    let mut work = store.work();
    let polled = Pin::new(&mut work).poll(&mut Context::from_waker(&Arc::clone(&waker).into()));
    assert!(polled.is_pending());
    let offered = replayable()
        .with_idempotency(key)
        .with_start(Start::Offered);
    store.create(offered).await.unwrap();
    assert!(waker.is_answered.load(Ordering::SeqCst));
}
