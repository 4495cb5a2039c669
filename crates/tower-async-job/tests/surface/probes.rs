//! The readiness probe.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{Answer, SECOND, eager, get, memory};
use http::StatusCode;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;
use tower_async_job::{
    AsyncJobLayer, Builder,
    store::{
        Call, Interpose, Interposed, JobStore, MemoryStore, StoreError, StoreFuture,
        StoreProperties, SweepQuery, Upkeep,
    },
};

/// A shared store at the end of a line that can be cut.
#[derive(Debug)]
struct Remote {
    store: MemoryStore,
    properties: StoreProperties,
    is_cut: AtomicBool,
    hangs: AtomicBool,
    nodes: AtomicU32,
    reads: AtomicUsize,
}

impl Remote {
    fn new() -> Arc<Interposed<Self>> {
        Self::with_lease(30 * SECOND)
    }

    fn with_lease(lease: Duration) -> Arc<Interposed<Self>> {
        let store = memory().lease_duration(lease).build();
        Arc::new(Interposed::new(Self {
            properties: store.properties().clone().with_shared(true),
            store,
            is_cut: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            nodes: AtomicU32::new(1),
            reads: AtomicUsize::new(0),
        }))
    }

    fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::Relaxed);
    }
}

impl Interpose for Remote {
    fn inner(&self) -> &dyn JobStore {
        &self.store
    }

    fn properties(&self) -> &StoreProperties {
        &self.properties
    }

    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        answer: StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            self.reads
                .fetch_add((call == Call::Read).into(), Ordering::Relaxed);
            if self.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            match self.is_cut.load(Ordering::Relaxed) {
                true => Err(StoreError::unavailable("the line is cut")),
                false => answer.await,
            }
        })
    }

    fn sweep<'a>(&'a self, query: &'a SweepQuery) -> StoreFuture<'a, Upkeep> {
        Box::pin(async move {
            let mut upkeep = self.store.sweep(query).await?;
            upkeep.nodes = self.nodes.load(Ordering::Relaxed);
            Ok(upkeep)
        })
    }
}

fn layer(store: &Arc<Interposed<Remote>>, set: fn(Builder) -> Builder) -> AsyncJobLayer {
    eager(set(AsyncJobLayer::builder().store(store.clone())))
}

async fn ask(layer: &AsyncJobLayer, uri: &str) -> Answer {
    let response = layer.readiness().oneshot(get(uri)).await;
    Answer::of(response.expect("infallible")).await
}

async fn ready(layer: &AsyncJobLayer) -> bool {
    ask(layer, "/readyz").await.status == StatusCode::OK
}

async fn strict(layer: &AsyncJobLayer) -> bool {
    ask(layer, "/readyz?strict").await.status == StatusCode::OK
}

#[tokio::test(start_paused = true)]
async fn node_is_not_ready_until_its_store_has_answered() {
    let store = Remote::new();
    store.get_ref().cut(true);
    let layer = layer(&store, |builder| builder);
    for _ in 0..3 {
        let answer = ask(&layer, "/readyz").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            answer.json()["type"],
            "urn:http-polling:problem:store-unavailable"
        );
        assert_eq!(answer.header("retry-after"), "5");
        assert_eq!(answer.header("cache-control"), "no-store");
        sleep(20 * SECOND).await;
    }
    store.get_ref().cut(false);
    sleep(2 * SECOND).await;
    assert!(ready(&layer).await && strict(&layer).await);
}

#[tokio::test(start_paused = true)]
async fn node_stays_ready_while_its_store_is_unavailable_and_strict_answers_tell_it() {
    let store = Remote::new();
    store.get_ref().nodes.store(2, Ordering::Relaxed);
    let layer = layer(&store, |builder| builder);
    assert!(ready(&layer).await);
    store.get_ref().cut(true);
    sleep(2 * SECOND).await;
    let answer = ask(&layer, "/readyz?strict").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    for _ in 0..10 {
        assert!(ready(&layer).await && !strict(&layer).await);
        sleep(30 * SECOND).await;
    }
    store.get_ref().cut(false);
    sleep(2 * SECOND).await;
    assert!(ready(&layer).await && strict(&layer).await);
}

#[tokio::test(start_paused = true)]
async fn node_that_is_cut_off_from_others_is_not_ready_by_option() {
    for nodes in [1, 2] {
        let store = Remote::new();
        store.get_ref().nodes.store(nodes, Ordering::Relaxed);
        let layer = layer(&store, |builder| builder.unready_after(30 * SECOND));
        assert!(ready(&layer).await);
        store.get_ref().cut(true);
        // Swept without any request.
        sleep(25 * SECOND).await;
        assert!(ready(&layer).await, "{nodes}");
        sleep(20 * SECOND).await;
        assert_eq!(ready(&layer).await, nodes == 1);
        store.get_ref().cut(false);
        sleep(SECOND).await;
        assert!(ready(&layer).await, "{nodes}");
    }
}

#[tokio::test(start_paused = true)]
async fn probes_call_the_store_at_most_once_per_second() {
    let store = Remote::new();
    let layer = layer(&store, |builder| builder);
    assert!(ready(&layer).await);
    for is_cut in [false, true] {
        store.get_ref().cut(is_cut);
        let before = store.get_ref().reads.load(Ordering::Relaxed);
        for _ in 0..1000 {
            strict(&layer).await;
            ready(&layer).await;
            sleep(SECOND / 100).await;
        }
        let reads = store.get_ref().reads.load(Ordering::Relaxed) - before;
        assert!((5..=11).contains(&reads), "{reads}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_probe_waits_for_a_store_that_hangs() {
    let store = Remote::new();
    let layer = layer(&store, |builder| builder);
    assert!(ready(&layer).await);
    store.get_ref().hangs.store(true, Ordering::Relaxed);
    sleep(2 * SECOND).await;
    let begun = Instant::now();
    assert!(strict(&layer).await, "no call has failed yet");
    assert_eq!(begun.elapsed(), SECOND / 2);
    sleep(5 * SECOND).await;
    assert!(ready(&layer).await && !strict(&layer).await);
}

#[tokio::test(start_paused = true)]
async fn store_that_hangs_is_noticed_by_sweeps_that_are_given_up_before_a_call_is() {
    for lease in [6 * SECOND, 30 * SECOND] {
        let store = Remote::with_lease(lease);
        store.get_ref().nodes.store(2, Ordering::Relaxed);
        let layer = layer(&store, |builder| builder.unready_after(10 * SECOND));
        assert!(ready(&layer).await);
        sleep(lease).await;
        store.get_ref().hangs.store(true, Ordering::Relaxed);
        // Probes of a node that finds its store available call nothing.
        for _ in 0..30 {
            sleep(SECOND).await;
            ready(&layer).await;
        }
        assert!(!ready(&layer).await, "{lease:?}");
        store.get_ref().hangs.store(false, Ordering::Relaxed);
        sleep(lease).await;
        assert!(ready(&layer).await, "{lease:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn store_within_the_process_is_not_asked() {
    let layer = eager(AsyncJobLayer::builder().unready_after(SECOND));
    assert!(ready(&layer).await && strict(&layer).await);
}
