//! The calls to the store that each kind of exchange takes, whether or not the store answers
//! immediately.

use std::{
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::support::{
    Handler, SECOND, eager, get, memory, path_of, post, request, send, slow, with, wrap,
};
use http::{Method, StatusCode};
use tokio::time::sleep;
use tower_async_job::{
    AsyncJob, AsyncJobLayer, Builder,
    store::{
        Created, Detail, JobId, JobRecord, JobStore, MemoryStore, NewJob, StoreError, StoreFuture,
        Subscription,
    },
};
use tower_async_job_testkit::{
    Call::{self, Cancel, Create, Finish, Read, Remove, Start},
    Interpose, Interposed,
};

/// A memory store that records the calls to it.
#[derive(Debug)]
struct Counted {
    store: MemoryStore,
    is_immediate: bool,
    calls: Mutex<Vec<Call>>,
    subscriptions: AtomicUsize,
}

impl Counted {
    fn note(&self, call: Call) {
        self.calls.lock().expect("whole").push(call);
    }
}

impl Interpose for Counted {
    fn inner(&self) -> &dyn JobStore {
        &self.store
    }

    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        answer: StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        // Housekeeping belongs to no exchange.
        if call != Call::Sweep {
            self.note(call);
        }
        answer
    }

    fn create_now(&self, job: NewJob) -> Result<Result<Created, StoreError>, NewJob> {
        if !self.is_immediate {
            return Err(job);
        }
        self.note(Create);
        self.store.create_now(job)
    }

    fn read_now(
        &self,
        id: &JobId,
        detail: Detail,
    ) -> Option<Result<Option<JobRecord>, StoreError>> {
        self.is_immediate.then(|| self.note(Read))?;
        self.store.read_now(id, detail)
    }

    fn subscribe(&self, id: &JobId) -> Subscription {
        self.subscriptions.fetch_add(1, Ordering::SeqCst);
        self.store.subscribe(id)
    }
}

/// A layer on a store whose calls are counted.
struct Server {
    store: Arc<Interposed<Counted>>,
    service: AsyncJob<Handler>,
}

impl Server {
    /// Creates two servers with these settings, one on a store that answers immediately.
    fn both(layer: impl Fn(Builder) -> AsyncJobLayer, handler: Handler) -> [Self; 2] {
        [true, false].map(|is_immediate| {
            let store = Arc::new(Interposed::new(Counted {
                store: memory().build(),
                is_immediate,
                calls: Mutex::default(),
                subscriptions: AtomicUsize::default(),
            }));
            let layer = layer(AsyncJobLayer::builder().store(store.clone()));
            let service = wrap(&layer, handler.clone());
            Self { store, service }
        })
    }

    /// Returns the calls since the last time.
    fn calls(&self) -> Vec<Call> {
        mem::take(&mut *self.store.get_ref().calls.lock().expect("whole"))
    }

    fn subscriptions(&self) -> usize {
        let subscriptions = &self.store.get_ref().subscriptions;
        subscriptions.swap(0, Ordering::SeqCst)
    }

    async fn submit(&self) -> String {
        let accepted = send(&self.service, post("/report")).await.pending();
        assert_eq!(self.calls(), [Create]);
        accepted.location().to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn submission_is_one_commit_and_its_end_another() {
    for server in Server::both(eager, slow(5 * SECOND, "done")) {
        server.submit().await;
        sleep(6 * SECOND).await;
        assert_eq!(server.calls(), [Finish]);
        assert_eq!(server.subscriptions(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn job_that_waits_for_its_turn_takes_one_commit_more() {
    let layer = |builder: Builder| eager(builder.limits(1, 1));
    for server in Server::both(layer, slow(5 * SECOND, "done")) {
        server.submit().await;
        server.submit().await;
        sleep(11 * SECOND).await;
        assert_eq!(server.calls(), [Finish, Start, Finish]);
    }
}

#[tokio::test(start_paused = true)]
async fn answer_inline_takes_none() {
    let layer = |builder: Builder| builder.build().expect("valid");
    for server in Server::both(layer, slow(SECOND / 10, "done")) {
        assert_eq!(send(&server.service, post("/report")).await.body, "done");
        assert_eq!(server.calls(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn poll_is_one_read() {
    for server in Server::both(eager, slow(5 * SECOND, "done")) {
        let location = server.submit().await;
        send(&server.service, get(path_of(&location)))
            .await
            .pending();
        assert_eq!(server.calls(), [Read]);
        sleep(6 * SECOND).await;
        assert_eq!(server.calls(), [Finish]);
        assert_eq!(send(&server.service, get(&location)).await.body, "done");
        assert_eq!(server.calls(), [Read]);
        let status = format!("{}/status", path_of(&location));
        send(&server.service, get(&status)).await;
        assert_eq!(server.calls(), [Read]);
        if server.store.get_ref().is_immediate {
            assert_eq!(server.subscriptions(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn held_poll_is_two_reads() {
    for server in Server::both(eager, slow(25 * SECOND, "done")) {
        let location = server.submit().await;
        // A client that follows redirects is early, and held until it is due.
        let early = send(&server.service, get(&location)).await.pending();
        assert_ne!(early.location(), location);
        assert_eq!(server.calls(), [Read, Read]);
        let wait = with(get(path_of(&location)), "prefer", "wait=10");
        let over = send(&server.service, wait).await.pending();
        assert_eq!(over.header("preference-applied"), "wait=10");
        assert_eq!(server.calls(), [Read, Read]);
        let wait = with(get(path_of(&location)), "prefer", "wait=30");
        assert_eq!(send(&server.service, wait).await.body, "done");
        assert_eq!(server.calls(), [Read, Finish, Read]);
    }
}

#[tokio::test(start_paused = true)]
async fn cancelling_and_removing_are_two_calls() {
    for server in Server::both(eager, slow(5 * SECOND, "done")) {
        let (first, second) = (server.submit().await, server.submit().await);
        let cancel = request(Method::DELETE, path_of(&first));
        let cancelled = send(&server.service, cancel).await;
        assert_eq!(cancelled.status, StatusCode::ACCEPTED);
        assert_eq!(server.calls(), [Read, Cancel]);
        sleep(6 * SECOND).await;
        // Both handlers have ended, the first within the grace.
        assert_eq!(server.calls(), [Finish, Finish]);
        let remove = request(Method::DELETE, path_of(&second));
        let removed = send(&server.service, remove).await;
        assert_eq!(removed.status, StatusCode::NO_CONTENT);
        assert_eq!(server.calls(), [Read, Remove]);
    }
}

#[tokio::test(start_paused = true)]
async fn first_client_of_a_key_reads_nothing() {
    let keyed = |key| with(post("/report"), "idempotency-key", key);
    let layer = |builder: Builder| builder.inline_wait(SECOND).build().expect("valid");
    for server in Server::both(layer, slow(SECOND / 2, "done")) {
        assert_eq!(send(&server.service, keyed("k")).await.body, "done");
        assert_eq!(server.calls(), [Create, Finish]);
        // By which it learns of a cancellation.
        assert_eq!(server.subscriptions(), 1);
    }
    for server in Server::both(layer, slow(5 * SECOND, "done")) {
        send(&server.service, keyed("k")).await.pending();
        assert_eq!(server.calls(), [Create]);
        // By which it learns of a cancellation.
        assert_eq!(server.subscriptions(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn repeat_of_a_key_reads_as_a_poll_does() {
    let keyed = || with(post("/report"), "idempotency-key", "k");
    for server in Server::both(eager, slow(5 * SECOND, "done")) {
        send(&server.service, keyed()).await.pending();
        assert_eq!(server.calls(), [Create]);
        send(&server.service, keyed()).await.pending();
        assert_eq!(server.calls(), [Create], "the record comes with its answer");
        let wait = with(keyed(), "prefer", "wait=2");
        send(&server.service, wait).await.pending();
        assert_eq!(server.calls(), [Create, Read, Read]);
        let wait = with(keyed(), "prefer", "wait=10");
        assert_eq!(send(&server.service, wait).await.body, "done");
        assert_eq!(server.calls(), [Create, Read, Finish, Read]);
        assert_eq!(send(&server.service, keyed()).await.body, "done");
        assert_eq!(server.calls(), [Create, Read]);
    }
}
