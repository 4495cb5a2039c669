//! Cancellations: before, while and after a job ends.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    assert_problem, builder, cancelled_for, faulty, store, submit,
    support::{
        Body, SECOND, ask, eager,
        faulty::{Fault, FaultyStore, Op},
        get, handler, id_of, path_of, request, settle, slow, watched,
    },
};
use http::{Method, Response, StatusCode};
use http_polling::JobState;
use tokio::time::{Instant, sleep};
use tower_async_job::{CancelReason, JobContext, store::JobStore};

#[tokio::test(start_paused = true)]
async fn s11_cancellation_beats_an_end_that_comes_after_it() {
    let store = Arc::new(store().then(Op::Finish, Fault::Late(2 * SECOND)));
    let layer = eager(faulty(&store));
    let location = submit(&layer, slow(SECOND, "done")).await;
    sleep(2 * SECOND).await;
    let cancelled = ask(&layer, request(Method::DELETE, &location)).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    sleep(5 * SECOND).await;
    assert_eq!(
        store.calls(Op::Finish),
        1,
        "a lost lease is not tried again"
    );
    let answer = ask(&layer, get(&location)).await;
    assert_problem(&answer, StatusCode::GONE, "cancelled", "job-cancelled");
}

#[tokio::test(start_paused = true)]
async fn s11_answer_given_within_the_grace_is_discarded() {
    let layer = eager(builder());
    let polite = handler(|request| async move {
        JobContext::of(&request).cancelled().await;
        Response::new(Body::from("as far as I got"))
    });
    let location = submit(&layer, polite).await;
    ask(&layer, request(Method::DELETE, &location)).await;
    sleep(10 * SECOND).await;
    assert_eq!(
        ask(&layer, get(&location)).await.header("job-status"),
        "cancelled"
    );
}

#[tokio::test(start_paused = true)]
async fn s12_cancellation_after_the_end_finds_the_job_ended() {
    let store = Arc::new(store());
    let layer = eager(faulty(&store));
    let location = submit(&layer, slow(SECOND, "done")).await;
    sleep(2 * SECOND).await;
    assert_eq!(store.jobs_in(JobState::Done).await, 1);
    let removed = ask(&layer, request(Method::DELETE, &location)).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    assert_eq!(store.jobs_in(JobState::Cancelled).await, 0);
}

#[tokio::test(start_paused = true)]
async fn cancelled_queued_job_never_starts() {
    let layer = eager(builder().limits(1, 1).cancellation_grace(Duration::ZERO));
    let first = submit(&layer, slow(60 * SECOND, "first")).await;
    let (handler, lifeline, ended) = watched(SECOND, "never");
    let queued = submit(&layer, handler).await;
    assert_eq!(
        ask(&layer, get(&queued)).await.header("job-status"),
        "queued"
    );
    assert_eq!(
        ask(&layer, request(Method::DELETE, &queued)).await.status,
        StatusCode::ACCEPTED
    );
    settle().await;
    assert_eq!(
        ask(&layer, get(&queued)).await.header("job-status"),
        "cancelled"
    );
    // Its place is free for another.
    let third = submit(&layer, slow(SECOND, "third")).await;
    sleep(70 * SECOND).await;
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    assert!(!lifeline.is_alive());
    assert_eq!(ask(&layer, get(&first)).await.body, "first");
    assert_eq!(ask(&layer, get(path_of(&third))).await.body, "third");
}

#[tokio::test(start_paused = true)]
async fn cancellation_is_503_and_does_nothing_while_the_job_cannot_be_read() {
    let store = Arc::new(store());
    let layer = eager(faulty(&store));
    let location = submit(&layer, slow(60 * SECOND, "late")).await;
    store.plan(Op::Read, Fault::Unavailable, 1);
    let refused = ask(&layer, request(Method::DELETE, &location)).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header("retry-after"), "5");
    let running = ask(&layer, get(path_of(&location))).await;
    assert_eq!(running.header("job-status"), "running");
    let cancelled = ask(&layer, request(Method::DELETE, &location)).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    assert_eq!(cancelled.header("job-status"), "cancelled");
}

#[tokio::test(start_paused = true)]
async fn without_context_a_cancelled_handler_is_dropped_after_the_grace() {
    let layer = eager(builder().context(false).cancellation_grace(SECOND));
    let (handler, lifeline, _) = watched(60 * SECOND, "late");
    let location = submit(&layer, handler).await;
    ask(&layer, request(Method::DELETE, &location)).await;
    sleep(2 * SECOND).await;
    assert!(!lifeline.is_alive());
}

#[tokio::test(start_paused = true)]
async fn cancellation_reaches_a_handler_in_the_middle_of_its_work() {
    let layer = eager(builder());
    let steps = Arc::new(std::sync::Mutex::new(0));
    let counted = steps.clone();
    let handler = handler(move |request| {
        let counted = counted.clone();
        async move {
            let job = JobContext::of(&request);
            while !job.is_cancelled() {
                *counted.lock().expect("unpoisoned") += 1;
                sleep(SECOND).await;
            }
            Response::new(Body::default())
        }
    });
    let location = submit(&layer, handler).await;
    sleep(Duration::from_millis(9500)).await;
    ask(&layer, request(Method::DELETE, &location)).await;
    sleep(60 * SECOND).await;
    assert_eq!(*steps.lock().expect("unpoisoned"), 10);
}

#[tokio::test(start_paused = true)]
async fn shutdown_leaves_a_cancelled_job_cancelled() {
    // With and without time for the handler to be polled in between.
    for pause in [SECOND, Duration::ZERO] {
        let store = Arc::new(store());
        let layer = eager(faulty(&store).cancellation_grace(60 * SECOND));
        let context = Arc::new(std::sync::Mutex::new(None));
        let noted = context.clone();
        let handler = handler(move |request| {
            *noted.lock().expect("unpoisoned") = Some(JobContext::of(&request));
            std::future::pending()
        });
        let location = submit(&layer, handler).await;
        ask(&layer, request(Method::DELETE, &location)).await;
        if !pause.is_zero() {
            sleep(pause).await;
        }
        let begun = Instant::now();
        layer.shutdown(pause).await;
        assert_eq!(
            begun.elapsed(),
            pause,
            "the grace of the shutdown ends that of the job"
        );
        let context = context.lock().expect("unpoisoned").take().expect("called");
        assert_eq!(context.cancel_reason(), Some(CancelReason::Requested));
        assert_eq!(store.calls(Op::Release), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn cancelled_run_has_its_whole_grace_though_its_lease_would_be_over() {
    // By this node, and by another.
    for is_local in [true, false] {
        let store = Arc::new(FaultyStore::shared(30 * SECOND));
        let layer = eager(faulty(&store).cancellation_grace(60 * SECOND));
        let (handler, reason) = cancelled_for(45 * SECOND);
        let location = submit(&layer, handler).await;
        if is_local {
            ask(&layer, request(Method::DELETE, &location)).await;
        } else {
            let id = id_of(&location);
            store.inner.cancel(&id).await.expect("memory");
        }
        sleep(15 * SECOND).await;
        let renewals = store.calls(Op::Renew);
        sleep(45 * SECOND).await;
        let reason = reason.lock().expect("unpoisoned").take();
        assert_eq!(reason, Some(CancelReason::Requested), "local: {is_local}");
        assert_eq!(store.calls(Op::Renew), renewals, "nothing to renew");
    }
}
