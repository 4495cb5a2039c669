//! Jobs whose records the store has lost, stored again by the node that runs them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use crate::{
    builder, cancelled_for, faulty, submit,
    support::{
        Body, SECOND, ask, eager,
        faulty::{Fault, FaultyStore, Op},
        get, handler, id_of, memory, path_of, post, send, slow, with, wrap,
    },
};
use http::Response;
use http_polling::JobState;
use tokio::time::sleep;
use tower_async_job::{
    AsyncJobLayer, CancelReason, JobContext, Release,
    store::{
        Created, Detail, End, Interpose, Interposed, JobStore, Lease, MemoryStore, NewJob, Outside,
        StoreError, StoreFuture,
    },
};

/// Runs a job of 5 s on a shared store that loses its record after a second, and has these faults
/// after that. Returns the layer, and the job's URL once the job has ended.
async fn ended_after_a_failover(
    store: &Arc<FaultyStore>,
    faults: &[(Op, Fault, usize)],
) -> (AsyncJobLayer, String) {
    let layer = eager(faulty(store));
    let location = submit(&layer, slow(5 * SECOND, "done")).await;
    sleep(SECOND).await;
    store.fail_over();
    for (op, fault, times) in faults {
        store.plan(*op, *fault, *times);
    }
    sleep(24 * SECOND).await;
    (layer, location)
}

#[tokio::test(start_paused = true)]
async fn result_of_a_lost_record_outlives_a_store_that_is_away() {
    for op in [Op::Renew, Op::Create] {
        for fault in [Fault::Unavailable, Fault::Unacknowledged, Fault::Hangs] {
            let store = Arc::new(FaultyStore::shared(30 * SECOND));
            let faults = [(op, fault, 3)];
            let (layer, location) = ended_after_a_failover(&store, &faults).await;
            let answer = ask(&layer, get(&location)).await;
            assert_eq!(answer.body, "done", "after {fault:?} of {op:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn job_that_was_stored_again_unnoticed_keeps_its_result() {
    let store = Arc::new(FaultyStore::shared(30 * SECOND));
    let layer = eager(faulty(&store));
    // It ends after the renewal that finds its record missing, and before its second attempt to
    // store it again.
    let location = submit(&layer, slow(10 * SECOND + SECOND / 2, "done")).await;
    store.fail_over();
    store.plan(Op::Create, Fault::Unacknowledged, 1);
    let renewals = store.calls(Op::Renew);
    sleep(12 * SECOND).await;
    assert_eq!(ask(&layer, get(&location)).await.body, "done");
    assert_eq!(store.calls(Op::Create), 3);
    assert_eq!(
        store.calls(Op::Renew),
        renewals + 1,
        "it is known to be missing"
    );
}

#[tokio::test(start_paused = true)]
async fn job_that_was_stored_again_unnoticed_may_be_cancelled() {
    let store = Arc::new(FaultyStore::shared(30 * SECOND));
    let layer = eager(faulty(&store).cancellation_grace(60 * SECOND));
    // Beyond the end of its lease.
    let (handler, reason) = cancelled_for(30 * SECOND);
    let location = submit(&layer, handler).await;
    store.fail_over();
    store.plan(Op::Create, Fault::Unacknowledged, 1);
    sleep(10 * SECOND + SECOND / 2).await;
    store.now().cancel(&id_of(&location)).await.expect("memory");
    sleep(2 * SECOND).await;
    store.plan(Op::Renew, Fault::Unavailable, 1000);
    sleep(30 * SECOND).await;
    let reason = reason.lock().expect("unpoisoned").take();
    assert_eq!(reason, Some(CancelReason::Requested));
}

#[tokio::test(start_paused = true)]
async fn result_is_given_up_with_the_lease() {
    let store = Arc::new(FaultyStore::shared(30 * SECOND));
    let faults = [(Op::Create, Fault::Unavailable, 1000)];
    drop(ended_after_a_failover(&store, &faults).await);
    sleep(12 * SECOND).await;
    let tried = store.calls(Op::Create);
    sleep(600 * SECOND).await;
    assert_eq!(store.calls(Op::Create), tried, "still tried");
    assert_eq!(store.jobs().await, 0);
}

#[tokio::test(start_paused = true)]
async fn job_that_is_stored_again_does_not_start_over() {
    for key in [None, Some("k")] {
        let store = Arc::new(FaultyStore::shared(30 * SECOND));
        let layer = eager(faulty(&store));
        let handler = handler(|request| async move {
            for step in 0..8 {
                sleep(SECOND).await;
                JobContext::of(&request).progress(f64::from(step) / 8.0);
            }
            sleep(60 * SECOND).await;
            Response::new(Body::default())
        });
        let mut submission = post("/report");
        if let Some(key) = key {
            submission = with(submission, "idempotency-key", key);
        }
        let accepted = send(&wrap(&layer, handler), submission).await.pending();
        let id = id_of(accepted.location());
        sleep(9 * SECOND).await;
        let record = async || {
            let read = store.now().read(&id, Detail::Status).await;
            read.expect("memory").expect("there")
        };
        let status = format!("{}/status", path_of(accepted.location()));
        let shown = async || ask(&layer, get(&status)).await.json()["created"].clone();
        let (lost, shown_before) = (record().await, shown().await);
        store.fail_over();
        sleep(2 * SECOND).await;
        let anew = record().await;
        assert_eq!(anew.epoch, lost.epoch + 1);
        assert_eq!((anew.created, anew.attempt), (lost.created, lost.attempt));
        assert!(anew.version > lost.version, "{anew:?} after {lost:?}");
        assert!(shown_before.is_string());
        assert_eq!(shown().await, shown_before);
    }
}

#[tokio::test(start_paused = true)]
async fn job_that_is_stored_again_has_run_as_long() {
    let store = Arc::new(FaultyStore::shared(30 * SECOND));
    let layer = eager(faulty(&store).limits(1, 1));
    let ran = async |url: &str| {
        let read = store.now().read(&id_of(url), Detail::Status).await;
        read.expect("memory").expect("there").running_for
    };
    let first = submit(&layer, slow(15 * SECOND, "done")).await;
    let second = submit(&layer, slow(60 * SECOND, "done")).await;
    sleep(5 * SECOND).await;
    store.fail_over();
    sleep(6 * SECOND).await;
    assert_eq!(ran(&first).await, Some(11 * SECOND));
    assert_eq!(ran(&second).await, None);
    sleep(10 * SECOND).await;
    store.fail_over();
    sleep(11 * SECOND).await;
    // It has begun after the first.
    assert_eq!(ran(&second).await, Some(17 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn queued_job_that_is_stored_again_has_begun_no_run() {
    let store = Arc::new(FaultyStore::shared(30 * SECOND));
    let layer = eager(faulty(&store).limits(1, 1));
    submit(&layer, slow(60 * SECOND, "first")).await;
    let queued = submit(&layer, slow(SECOND, "second")).await;
    store.fail_over();
    sleep(12 * SECOND).await;
    let read = store.now().read(&id_of(&queued), Detail::Status).await;
    let record = read.expect("memory").expect("there");
    assert_eq!((record.state, record.attempt), (JobState::Queued, 0));
    sleep(50 * SECOND).await;
    assert_eq!(ask(&layer, get(&queued)).await.body, "second");
}

#[tokio::test(start_paused = true)]
async fn reports_outlive_the_record_that_is_lost_before_the_end() {
    let store = Arc::new(FaultyStore::shared(30 * SECOND));
    let layer = eager(faulty(&store));
    let handler = handler(|request| async move {
        let job = JobContext::of(&request);
        job.metadata("rows", 7);
        job.progress(0.5);
        sleep(5 * SECOND).await;
        Response::new(Body::from("done"))
    });
    let location = submit(&layer, handler).await;
    sleep(SECOND).await;
    store.fail_over();
    sleep(5 * SECOND).await;
    let status = format!("{}/status", path_of(&location));
    let document = ask(&layer, get(&status)).await.json();
    assert_eq!(document["state"], "done");
    assert_eq!(document["metadata"]["rows"], 7, "{document}");
    assert_eq!(document["progress"]["fraction"], 0.5);
}

/// Runs a job that is left to a party outside after a time, with a last report, while its store fails
/// over. Returns the part of its progress that is stored then.
async fn left_after(time: Duration, last: Option<f64>, store: Arc<FaultyStore>) -> Option<f64> {
    let layer = eager(faulty(&store));
    let outside = Outside::new("token", 600 * SECOND);
    let handler = handler(move |request| async move {
        let job = JobContext::of(&request);
        job.progress(0.25);
        sleep(time).await;
        if let Some(last) = last {
            job.progress(last);
        }
        let mut response = Response::new(Body::default());
        let release = Release::default().with_outside(outside);
        response.extensions_mut().insert(release);
        response
    });
    let location = submit(&layer, handler).await;
    sleep(SECOND).await;
    store.fail_over();
    sleep(time + SECOND).await;
    let id = id_of(&location);
    let resumed = store.now().resume(&id, &outside.token).await;
    assert!(resumed.expect("memory").is_some(), "it is with the party");
    let read = store.now().read(&id, Detail::Status).await;
    let record = read.expect("memory").expect("there");
    record.progress.and_then(|progress| progress.fraction)
}

#[tokio::test(start_paused = true)]
async fn job_whose_record_is_lost_is_released_nevertheless() {
    for last in [None, Some(0.75)] {
        let store = Arc::new(FaultyStore::shared(30 * SECOND));
        let stored = left_after(5 * SECOND, last, store).await;
        assert_eq!(stored, last.or(Some(0.25)), "learned by the release");
        // The renewal finds the record missing; it is stored again only by the release.
        let store = FaultyStore::shared(30 * SECOND).then(Op::Create, Fault::None);
        let store = Arc::new(store.then(Op::Create, Fault::Unavailable));
        let stored = left_after(10 * SECOND + SECOND / 2, last, store).await;
        assert_eq!(stored, last.or(Some(0.25)), "learned before");
    }
}

#[tokio::test(start_paused = true)]
async fn last_report_before_a_release_is_tried_again() {
    let store = Arc::new(FaultyStore::shared(30 * SECOND));
    let layer = eager(faulty(&store));
    let outside = Outside::new("token", 600 * SECOND);
    let handler = handler(move |request| async move {
        sleep(SECOND).await;
        JobContext::of(&request).progress(0.5);
        let mut response = Response::new(Body::default());
        let release = Release::default().with_outside(outside);
        response.extensions_mut().insert(release);
        response
    });
    store.plan(Op::Report, Fault::Unavailable, 2);
    let location = submit(&layer, handler).await;
    sleep(3 * SECOND).await;
    let status = format!("{}/status", path_of(&location));
    let document = ask(&layer, get(&status)).await.json();
    assert_eq!(document["state"], "running");
    assert_eq!(document["progress"]["fraction"], 0.5);
}

/// A store that stores what it does not find afterwards.
#[derive(Debug)]
struct Split {
    memory: MemoryStore,
    ends: AtomicUsize,
}

impl Interpose for Split {
    fn inner(&self) -> &dyn JobStore {
        &self.memory
    }

    fn create(&self, job: NewJob) -> StoreFuture<'_, Created> {
        let (lease, created) = (job.first_lease(), SystemTime::UNIX_EPOCH);
        Box::pin(async move { Ok(Created::New { lease, created }) })
    }

    fn create_now(&self, job: NewJob) -> Result<Result<Created, StoreError>, NewJob> {
        Err(job)
    }

    fn finish<'a>(&'a self, lease: &'a Lease, end: End) -> StoreFuture<'a, ()> {
        self.ends.fetch_add(1, Ordering::SeqCst);
        self.memory.finish(lease, end)
    }
}

#[tokio::test(start_paused = true)]
async fn job_that_is_lost_whenever_it_is_stored_again_is_given_up_with_the_lease() {
    let store = Arc::new(Interposed::new(Split {
        memory: memory().lease_duration(30 * SECOND).build(),
        ends: AtomicUsize::new(0),
    }));
    let layer = eager(builder().store(store.clone()));
    submit(&layer, slow(SECOND, "done")).await;
    sleep(40 * SECOND).await;
    let ends = store.get_ref().ends.load(Ordering::SeqCst);
    assert!((2..20).contains(&ends), "{ends} attempts");
    sleep(60 * SECOND).await;
    assert_eq!(store.get_ref().ends.load(Ordering::SeqCst), ends);
}

const CHUNK: usize = 1000;

/// Runs a job with a result of five chunks, the first of which takes 3 s to be written. Returns the
/// layer, the job's URL and its context.
async fn streaming(store: &Arc<FaultyStore>) -> (AsyncJobLayer, String, JobContext) {
    store.plan(Op::WriteChunk, Fault::Late(3 * SECOND), 1);
    let layer = eager(faulty(store));
    let context = Arc::new(std::sync::OnceLock::new());
    let noted = context.clone();
    let handler = handler(move |request| {
        let _ = noted.set(JobContext::of(&request));
        async {
            sleep(SECOND).await;
            Response::new(Body::from(vec![b'x'; 5 * CHUNK]))
        }
    });
    let location = submit(&layer, handler).await;
    sleep(2 * SECOND).await;
    (layer, location, context.get().expect("called").clone())
}

#[tokio::test(start_paused = true)]
async fn job_whose_chunks_are_lost_is_released() {
    let store = memory().lease_duration(30 * SECOND).chunk_size(CHUNK);
    let store = Arc::new(FaultyStore::new(store.build()));
    let (layer, location, context) = streaming(&store).await;
    store.fail_over();
    // One failure is survived.
    store.plan(Op::Create, Fault::Unacknowledged, 1);
    sleep(10 * SECOND).await;
    let lost = ask(&layer, get(path_of(&location))).await;
    assert_eq!(lost.header("job-status"), "lost", "no request is kept");
    assert_eq!(store.calls(Op::Release), 1);
    assert_eq!(context.cancel_reason(), Some(CancelReason::Over));
}

#[tokio::test(start_paused = true)]
async fn job_that_is_cancelled_while_its_result_is_written_stays_cancelled() {
    let store = memory().lease_duration(30 * SECOND).chunk_size(CHUNK);
    let store = Arc::new(FaultyStore::new(store.build()));
    let (layer, location, context) = streaming(&store).await;
    store.inner.cancel(&id_of(&location)).await.expect("memory");
    context.cancelled().await;
    assert_eq!(context.cancel_reason(), Some(CancelReason::Requested));
    sleep(10 * SECOND).await;
    let cancelled = ask(&layer, get(path_of(&location))).await;
    assert_eq!(cancelled.header("job-status"), "cancelled");
    assert_eq!(store.calls(Op::Release), 0);
}
