//! Leases: renewed, lost, and unreachable.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    faulty, store, submit,
    support::{
        self, SECOND, ask, eager,
        faulty::{Fault, FaultyStore, Op},
        get, handler, id_of, memory, slow, watched,
    },
};
use http::Response;
use tokio::time::{Instant, sleep, sleep_until};
use tower_async_job::{
    JobContext,
    store::{Interpose, Interposed, JobId, JobStore, Lease, MemoryStore, Renewal, StoreFuture},
};

#[tokio::test(start_paused = true)]
async fn leases_are_renewed_for_as_long_as_the_job_runs() {
    let store = Arc::new(FaultyStore::new(
        memory().lease_duration(30 * SECOND).build(),
    ));
    let layer = eager(faulty(&store));
    let location = submit(&layer, slow(600 * SECOND, "done")).await;
    sleep(590 * SECOND).await;
    ask(&layer, get(&location)).await.pending();
    assert!(store.calls(Op::Renew) >= 55, "{}", store.calls(Op::Renew));
    sleep(20 * SECOND).await;
    assert_eq!(ask(&layer, get(&location)).await.body, "done");
}

#[tokio::test(start_paused = true)]
async fn lease_of_a_job_that_begins_long_after_another_is_renewed_in_time() {
    let store = Arc::new(FaultyStore::new(
        memory().lease_duration(9 * SECOND).build(),
    ));
    let layer = eager(faulty(&store));
    submit(&layer, slow(SECOND, "done")).await;
    // The housekeeping then has nothing to do except to forget the first job in an hour.
    for wait in [61, 67, 71] {
        sleep(wait * SECOND).await;
        let location = submit(&layer, slow(20 * SECOND, "done")).await;
        sleep(21 * SECOND).await;
        assert_eq!(
            ask(&layer, get(&location)).await.body,
            "done",
            "after {wait} s"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn renewals_survive_a_store_that_is_away_for_a_moment() {
    let store = FaultyStore::new(memory().lease_duration(30 * SECOND).build());
    let store = Arc::new(
        store
            .then(Op::Renew, Fault::Unavailable)
            .then(Op::Sweep, Fault::Unavailable),
    );
    let layer = eager(faulty(&store));
    let location = submit(&layer, slow(100 * SECOND, "done")).await;
    sleep(101 * SECOND).await;
    assert_eq!(ask(&layer, get(&location)).await.body, "done");
}

#[tokio::test(start_paused = true)]
async fn s07_lost_lease_aborts_the_handler() {
    let store = Arc::new(FaultyStore::new(
        memory().lease_duration(30 * SECOND).build(),
    ));
    let layer = eager(faulty(&store).cancellation_grace(SECOND));
    let noticed = Arc::new(AtomicBool::new(false));
    let notice = noticed.clone();
    let handler = handler(move |request| {
        let notice = notice.clone();
        async move {
            JobContext::of(&request).cancelled().await;
            notice.store(true, Ordering::SeqCst);
            std::future::pending().await
        }
    });
    let location = submit(&layer, handler).await;
    // Another node takes the job over.
    store.inner.cancel(&id_of(&location)).await.expect("memory");
    sleep(12 * SECOND).await;
    assert!(noticed.load(Ordering::SeqCst));
    assert_eq!(store.calls(Op::Finish), 0);
    assert_eq!(
        ask(&layer, get(&location)).await.header("job-status"),
        "cancelled"
    );
}

#[tokio::test(start_paused = true)]
async fn s07_report_that_is_refused_aborts_the_handler() {
    let store = Arc::new(store());
    let layer = eager(faulty(&store).cancellation_grace(SECOND));
    let (token, lifeline) = support::Lifeline::new();
    let token = Arc::new(Mutex::new(Some(token)));
    let handler = handler(move |request| {
        let token = token.lock().expect("unpoisoned").take();
        async move {
            let _token = token;
            loop {
                sleep(5 * SECOND).await;
                JobContext::of(&request).progress(0.5);
            }
        }
    });
    let location = submit(&layer, handler).await;
    store.inner.cancel(&id_of(&location)).await.expect("memory");
    sleep(4 * SECOND).await;
    assert!(lifeline.is_alive());
    sleep(3 * SECOND).await;
    assert!(!lifeline.is_alive());
}

#[tokio::test(start_paused = true)]
async fn s16_worker_cut_off_from_the_store_aborts_before_its_lease_is_over() {
    let store = FaultyStore::new(memory().lease_duration(30 * SECOND).build());
    let store = Arc::new(store.times(Op::Renew, Fault::Unavailable, 1000).times(
        Op::Sweep,
        Fault::Unavailable,
        1000,
    ));
    let layer = eager(faulty(&store).cancellation_grace(Duration::ZERO));
    let (handler, lifeline, _) = watched(600 * SECOND, "late");
    submit(&layer, handler).await;
    sleep(15 * SECOND).await;
    assert!(lifeline.is_alive());
    sleep(15 * SECOND).await;
    assert!(!lifeline.is_alive(), "runs on without a lease");
}

/// Runs a job with a long grace over a failing store; returns whether its handler is alive after
/// each of these times.
async fn alive_at(store: FaultyStore, seconds: [u32; 2]) -> [bool; 2] {
    let store = Arc::new(store);
    let layer = eager(faulty(&store).cancellation_grace(60 * SECOND));
    let (handler, lifeline, _) = watched(600 * SECOND, "late");
    let begun = Instant::now();
    submit(&layer, handler).await;
    let mut alive = [false; 2];
    for (alive, second) in alive.iter_mut().zip(seconds) {
        sleep_until(begun + second * SECOND).await;
        *alive = lifeline.is_alive();
    }
    assert_eq!(store.calls(Op::Finish), 0);
    alive
}

#[tokio::test(start_paused = true)]
async fn s16_handler_without_lease_has_no_grace() {
    let store = FaultyStore::shared(30 * SECOND).times(Op::Renew, Fault::Hangs, 1000);
    assert_eq!(alive_at(store, [26, 28]).await, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn s16_lease_counts_from_before_a_slow_create() {
    let store = FaultyStore::shared(30 * SECOND)
        .then(Op::Create, Fault::Late(4 * SECOND))
        .times(Op::Renew, Fault::Unavailable, 1000);
    assert_eq!(alive_at(store, [26, 28]).await, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn s16_lease_counts_from_before_a_slow_renewal() {
    let store = FaultyStore::shared(30 * SECOND)
        .then(Op::Renew, Fault::Late(4 * SECOND))
        .times(Op::Renew, Fault::Hangs, 1000);
    assert_eq!(alive_at(store, [36, 38]).await, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn s16_hung_sweep_delays_no_renewal() {
    let store = FaultyStore::shared(30 * SECOND).times(Op::Sweep, Fault::Hangs, 1000);
    assert_eq!(alive_at(store, [300, 599]).await, [true, true]);
}

/// A store that panics when a certain lease is renewed.
#[derive(Debug)]
struct Trapped {
    inner: MemoryStore,
    trap: OnceLock<JobId>,
}

impl Interpose for Trapped {
    fn inner(&self) -> &dyn JobStore {
        &self.inner
    }

    fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
        let is_trapped = |lease: &Lease| Some(&lease.id) == self.trap.get();
        assert!(!leases.iter().any(is_trapped), "it is trapped");
        self.inner.renew(leases)
    }
}

#[tokio::test(start_paused = true)]
async fn s16_batch_whose_renewal_panics_starves_no_other() {
    let store = Arc::new(Interposed::new(Trapped {
        inner: memory().lease_duration(30 * SECOND).build(),
        trap: OnceLock::new(),
    }));
    let layer = eager(crate::builder().store(store.clone()));
    let (token, lifeline) = support::Lifeline::new();
    let handler = handler(move |_| {
        let token = token.clone();
        async move {
            sleep(600 * SECOND).await;
            drop(token);
            Response::new(support::Body::default())
        }
    });
    let mut ids = Vec::new();
    for _ in 0..1_200 {
        ids.push(id_of(&submit(&layer, handler.clone()).await));
    }
    let first = ids.into_iter().min().expect("some");
    store.get_ref().trap.set(first).expect("once");
    sleep(60 * SECOND).await;
    assert_eq!(lifeline.holders() - 1, 200, "the second batch is renewed");
}

#[tokio::test(start_paused = true)]
async fn s16_slow_renewals_take_turns() {
    let store = Arc::new(FaultyStore::shared(30 * SECOND));
    let layer = eager(faulty(&store));
    let (token, lifeline) = support::Lifeline::new();
    let handler = handler(move |_| {
        let token = token.clone();
        async move {
            sleep(600 * SECOND).await;
            drop(token);
            Response::new(support::Body::default())
        }
    });
    // Five batches.
    for _ in 0..4_001 {
        submit(&layer, handler.clone()).await;
    }
    let running = || lifeline.holders() - 1;
    assert_eq!(running(), 4_001);
    store.plan(Op::Renew, Fault::Late(3 * SECOND), 1000);
    sleep(120 * SECOND).await;
    assert_eq!(running(), 4_001, "runs are stopped for want of a renewal");
}
