//! Stores whose clock jumps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::{
    faulty,
    support::{
        SECOND, ask, eager,
        faulty::{Fault, FaultyStore, Op},
        get, logged, memory,
    },
};
use tokio::time::{Instant, sleep};
use tower_async_job::{
    AsyncJobLayer,
    store::{JobId, JobStore, NewJob, Renewal},
};

const LEASE: Duration = Duration::from_secs(30);

/// A node on a shared store whose clock can be set.
struct Node {
    store: Arc<FaultyStore>,
    layer: AsyncJobLayer,
    /// The milliseconds by which the clock of the store is ahead.
    ahead: Arc<AtomicI64>,
}

impl Node {
    async fn begin() -> Self {
        logged::begin();
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = ahead.clone();
        // Long before, so that the clock can be set back.
        let origin = Instant::now();
        let store = memory().lease_duration(LEASE).clock(move || {
            let now = 3_600_000 + clock.load(Ordering::SeqCst);
            (origin + Duration::from_millis(now as u64) + origin.elapsed()).into_std()
        });
        let store = Arc::new(FaultyStore::shared_over(store.build()));
        let layer = eager(faulty(&store));
        ask(&layer, get("/work/unknown")).await;
        sleep(25 * SECOND).await;
        Self {
            store,
            layer,
            ahead,
        }
    }

    fn set(&self, millis: i64) {
        self.ahead.fetch_add(millis, Ordering::SeqCst);
    }

    async fn sweeps_in(&self, time: Duration) -> usize {
        let before = self.store.calls(Op::Sweep);
        sleep(time).await;
        self.store.calls(Op::Sweep) - before
    }
}

#[tokio::test(start_paused = true)]
async fn s15_jump_of_the_store_s_clock_lets_a_node_reap_nothing_for_a_lease() {
    for (jump, words) in [(2_000, "forward by 2s"), (-2_000, "back by 2s")] {
        let node = Node::begin().await;
        node.set(jump);
        // The next round is at 30 s.
        assert_eq!(node.sweeps_in(6 * SECOND).await, 1);
        let orphan = NewJob::new(JobId::random());
        node.store.now().create(orphan).await.expect("room");
        assert_eq!(node.sweeps_in(LEASE - 2 * SECOND).await, 0, "{words}");
        assert!(node.sweeps_in(LEASE / 3 + SECOND).await >= 1, "{words}");
        assert!(node.sweeps_in(LEASE).await >= 3, "{words}");
        let log = logged::text();
        assert_eq!(log.matches(words).count(), 1, "{log}");
        assert_eq!(log.matches("has jumped").count(), 1, "{log}");
        let lost = node.store.jobs_in(http_polling::JobState::Lost).await;
        assert_eq!(lost, 1, "{words}");
        node.layer.shutdown(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s15_jump_of_the_store_s_clock_ends_no_lease_of_another_node() {
    let node = Node::begin().await;
    let job = NewJob::new(JobId::random());
    let lease = job.first_lease();
    node.store.now().create(job).await.expect("room");
    node.set(30_000);
    // The round at 30 s sees the jump, and the later ones come after renewals.
    assert_eq!(node.sweeps_in(6 * SECOND).await, 1);
    for _ in 0..6 {
        let renewed = node.store.now().renew(&[lease]).await;
        assert_eq!(renewed.expect("memory"), [Renewal::Held]);
        sleep(LEASE / 3).await;
    }
    assert!(node.sweeps_in(LEASE / 3).await >= 1);
    node.layer.shutdown(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn s15_small_or_slow_steps_of_a_clock_are_no_jump() {
    let node = Node::begin().await;
    for step in [900, -900] {
        node.set(step);
        assert!(node.sweeps_in(LEASE).await >= 3);
    }
    // The store read its clock at some time during the call.
    for _ in 0..3 {
        node.store.plan(Op::Sweep, Fault::Late(4 * SECOND), 1);
        assert!(node.sweeps_in(LEASE).await >= 3);
    }
    assert_eq!(logged::text(), "");
}
