//! What goes on beside a deferred handler: reports, hooks, spans, leases and housekeeping.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::support::{
    self, Answer, Body, SECOND, ask, eager,
    faulty::{Fault, FaultyStore, Op},
    get, handler, id_of, memory, path_of, post, request, send, settle, slow, watched, wrap,
};
use http::{Method, Response};
use http_polling::JobState;
use tokio::{runtime::Handle, time::sleep};
use tower_async_job::{
    AsyncJobLayer, Builder, JobContext, JobFuture, Pending,
    store::{JobStore, Retention},
};

fn builder() -> Builder {
    AsyncJobLayer::builder()
}

fn faulty(store: &Arc<FaultyStore>) -> Builder {
    builder().store(store.clone())
}

fn store() -> FaultyStore {
    FaultyStore::new(memory().build())
}

async fn submit(layer: &AsyncJobLayer, handler: support::Handler) -> String {
    let accepted = send(&wrap(layer, handler), post("/report")).await.pending();
    accepted.location().to_owned()
}

async fn status(layer: &AsyncJobLayer, location: &str) -> Answer {
    ask(layer, get(&format!("{}/status", path_of(location)))).await
}

// ---- reports

#[tokio::test]
async fn reports_from_another_thread_are_flushed() {
    let layer = eager(builder());
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(Some(wait)));
    let handler = handler(move |request| {
        let job = JobContext::of(&request);
        let wait = wait
            .lock()
            .expect("unpoisoned")
            .take()
            .expect("called once");
        async move {
            tokio::task::spawn_blocking(move || {
                job.progress_of(3, 4);
                job.message("from a thread");
                // The handler's future sleeps, and is woken by nothing but the report.
                wait.recv().expect("told to go on");
            })
            .await
            .expect("no panic");
            Response::new(Body::from("done"))
        }
    });
    let location = submit(&layer, handler).await;
    let mut document = status(&layer, &location).await.json();
    while document["progress"]["message"] != "from a thread" {
        tokio::task::yield_now().await;
        document = status(&layer, &location).await.json();
    }
    assert_eq!(document["progress"]["done"], 3);
    go.send(()).expect("waited for");
}

#[tokio::test(start_paused = true)]
async fn reports_are_written_at_most_once_per_interval_and_the_latest_wins() {
    let store = Arc::new(store());
    let layer = eager(faulty(&store).report_interval(SECOND));
    let handler = handler(|request| async move {
        let job = JobContext::of(&request);
        for step in 0..1000 {
            job.progress_of(step, 1000);
            sleep(SECOND / 100).await;
        }
        std::future::pending().await
    });
    let location = submit(&layer, handler).await;
    sleep(20 * SECOND).await;
    assert!(
        store.calls(Op::Report) <= 12,
        "{} writes in 10 s",
        store.calls(Op::Report)
    );
    assert_eq!(
        status(&layer, &location).await.json()["progress"]["done"],
        999
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_reported_last_stays_with_the_ended_job() {
    let store = Arc::new(store());
    let layer = eager(faulty(&store).report_interval(60 * SECOND));
    let handler = handler(|request| async move {
        let job = JobContext::of(&request);
        job.progress(0.5);
        sleep(SECOND).await;
        job.metadata("rows", 7);
        job.progress(1.0);
        Response::new(Body::from("done"))
    });
    let location = submit(&layer, handler).await;
    sleep(2 * SECOND).await;
    let document = status(&layer, &location).await.json();
    assert_eq!(document["state"], "done");
    assert_eq!(document["metadata"]["rows"], 7, "{document}");
    assert_eq!(document["progress"]["fraction"], 1.0);
    assert_eq!(ask(&layer, get(&location)).await.body, "done");
}

#[tokio::test(start_paused = true)]
async fn report_that_could_not_be_stored_is_tried_again() {
    let store = Arc::new(store().then(Op::Report, Fault::Unavailable));
    let layer = eager(faulty(&store));
    let handler = handler(|request| async move {
        JobContext::of(&request).progress(0.5);
        std::future::pending().await
    });
    let location = submit(&layer, handler).await;
    sleep(5 * SECOND).await;
    assert_eq!(
        status(&layer, &location).await.json()["progress"]["fraction"],
        0.5
    );
}

#[tokio::test(start_paused = true)]
async fn start_that_could_not_be_stored_is_tried_again() {
    let store = Arc::new(store().then(Op::Start, Fault::Unavailable));
    let layer = eager(faulty(&store).limits(1, 1));
    submit(&layer, slow(SECOND, "first")).await;
    let second = submit(&layer, slow(60 * SECOND, "second")).await;
    assert_eq!(status(&layer, &second).await.json()["state"], "queued");
    sleep(10 * SECOND).await;
    assert_eq!(status(&layer, &second).await.json()["state"], "running");
}

#[tokio::test(start_paused = true)]
async fn store_that_hangs_on_a_report_does_not_hold_up_the_end() {
    let store = Arc::new(store().then(Op::Report, Fault::Late(1000 * SECOND)));
    let layer = eager(faulty(&store));
    let handler = handler(|request| async move {
        JobContext::of(&request).progress(0.5);
        sleep(SECOND).await;
        Response::new(Body::from("done"))
    });
    let location = submit(&layer, handler).await;
    sleep(2 * SECOND).await;
    assert_eq!(ask(&layer, get(&location)).await.body, "done");
}

// ---- what goes along to the background

tokio::task_local! {
    static TENANT: &'static str;
}

#[tokio::test(start_paused = true)]
async fn the_hook_carries_task_locals_along() {
    let wrap = |job: JobFuture| -> JobFuture { Box::pin(TENANT.scope(TENANT.get(), job)) };
    let layer = eager(builder().wrap_job(wrap));
    let handler = handler(|_| async {
        sleep(SECOND).await;
        Response::new(Body::from(
            TENANT.try_with(|tenant| *tenant).unwrap_or("nobody"),
        ))
    });
    let location = TENANT.scope("acme", submit(&layer, handler)).await;
    sleep(2 * SECOND).await;
    assert_eq!(ask(&layer, get(&location)).await.body, "acme");
}

#[tokio::test(start_paused = true)]
async fn hook_that_drops_the_job_does_not_leave_it_running() {
    let wrap = |mut job: JobFuture| -> JobFuture {
        Box::pin(async move {
            let _ = tokio::time::timeout(SECOND, &mut job).await;
        })
    };
    let store = Arc::new(store());
    let layer = eager(faulty(&store).wrap_job(wrap));
    let (handler, lifeline, _) = watched(60 * SECOND, "late");
    let location = submit(&layer, handler).await;
    sleep(2 * SECOND).await;
    assert!(!lifeline.is_alive());
    assert_eq!(
        ask(&layer, get(&location)).await.header("job-status"),
        "lost"
    );
}

#[tokio::test(start_paused = true)]
async fn estimator_that_panics_does_not_leave_a_job_running() {
    let store = Arc::new(store());
    let estimator = |_: &Pending<'_>| -> Duration { panic!("boom") };
    let layer = eager(faulty(&store).estimator(estimator));
    let answer = send(&wrap(&layer, slow(60 * SECOND, "late")), post("/report")).await;
    assert_eq!(answer.status, 500);
    sleep(SECOND).await;
    assert_eq!(store.jobs_in(JobState::Running).await, 0);
}

#[tokio::test(start_paused = true)]
async fn store_that_panics_at_the_end_does_not_leave_the_job_running() {
    let store = Arc::new(store().then(Op::Finish, Fault::Panics));
    let layer = eager(faulty(&store));
    let location = submit(&layer, slow(SECOND, "done")).await;
    sleep(5 * SECOND).await;
    assert_eq!(
        ask(&layer, get(&location)).await.header("job-status"),
        "lost"
    );
}

// ---- leases

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
    // The housekeeping now has nothing to do but to forget the first in an hour.
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
    // Another node takes the job away.
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

// ---- housekeeping

#[tokio::test(start_paused = true)]
async fn idle_layer_has_no_task() {
    let retention = Retention {
        result: 10 * SECOND,
        tombstone: 10 * SECOND,
    };
    let store = Arc::new(store());
    let layer = eager(faulty(&store).retention(retention));
    settle().await;
    assert_eq!(tasks(), 0);
    submit(&layer, slow(SECOND, "done")).await;
    assert!(tasks() > 0);
    sleep(300 * SECOND).await;
    assert_eq!(store.jobs().await, 0, "forgotten");
    assert_eq!(tasks(), 0);
    let sweeps = store.calls(Op::Sweep);
    sleep(3600 * SECOND).await;
    assert_eq!(store.calls(Op::Sweep), sweeps);
    // And it begins again.
    submit(&layer, slow(SECOND, "done")).await;
    sleep(300 * SECOND).await;
    assert_eq!(store.jobs().await, 0);
    assert_eq!(tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn housekeeping_ends_with_the_layer() {
    let layer = eager(builder());
    submit(&layer, slow(SECOND, "done")).await;
    sleep(2 * SECOND).await;
    assert_eq!(tasks(), 1);
    drop(layer);
    sleep(120 * SECOND).await;
    assert_eq!(tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn inline_answers_leave_no_task_behind() {
    let layer = builder().build().expect("valid");
    send(&wrap(&layer, slow(SECOND / 2, "quick")), post("/report")).await;
    assert_eq!(tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn housekeeping_survives_a_store_that_panics() {
    let store = FaultyStore::new(memory().lease_duration(30 * SECOND).build());
    let store = Arc::new(store.then(Op::Sweep, Fault::Panics));
    let layer = eager(faulty(&store));
    submit(&layer, slow(SECOND, "done")).await;
    let location = submit(&layer, slow(100 * SECOND, "done")).await;
    sleep(101 * SECOND).await;
    assert!(
        store.calls(Op::Renew) >= 9,
        "{} renewals",
        store.calls(Op::Renew)
    );
    assert_eq!(ask(&layer, get(&location)).await.body, "done");
}

#[test]
fn housekeeping_goes_on_in_another_runtime() {
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime")
    };
    let store = Arc::new(FaultyStore::new(
        memory().lease_duration(30 * SECOND).build(),
    ));
    let layer = eager(faulty(&store));
    runtime().block_on(async {
        submit(&layer, slow(SECOND, "done")).await;
        sleep(2 * SECOND).await;
    });
    runtime().block_on(async {
        let location = submit(&layer, slow(100 * SECOND, "done")).await;
        sleep(101 * SECOND).await;
        assert!(
            store.calls(Op::Renew) >= 9,
            "{} renewals",
            store.calls(Op::Renew)
        );
        assert_eq!(ask(&layer, get(&location)).await.body, "done");
    });
}

#[tokio::test(start_paused = true)]
async fn cancellation_reaches_a_handler_in_the_middle_of_its_work() {
    let layer = eager(builder());
    let steps = Arc::new(Mutex::new(0));
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

#[test]
fn runtime_that_shuts_down_with_jobs_running_drops_them_quietly() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let layer = eager(builder().limits(1, 1));
    let (running, first, _) = watched(60 * SECOND, "late");
    let (queued, second, _) = watched(60 * SECOND, "late");
    runtime.block_on(async {
        submit(&layer, running).await;
        submit(&layer, queued).await;
    });
    assert!(first.is_alive());
    drop(runtime);
    assert!(!first.is_alive() && !second.is_alive());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn crowd_of_jobs_polls_and_cancellations_all_come_to_an_end() {
    let store = Arc::new(store());
    let layer = eager(
        faulty(&store)
            .limits(50, 500)
            .cancellation_grace(Duration::ZERO),
    );
    let handler = handler(|request| async move {
        let job = JobContext::of(&request);
        for step in 0..50 {
            job.progress_of(step, 50);
            tokio::task::yield_now().await;
        }
        Response::new(Body::from("done"))
    });
    let clients: Vec<_> = (0..300)
        .map(|client| {
            let (layer, service) = (layer.clone(), wrap(&layer, handler.clone()));
            tokio::spawn(async move {
                let mut answer = send(&service, post("/report")).await;
                if client % 3 == 0 && !answer.header("job-status").is_empty() {
                    ask(&layer, request(Method::DELETE, answer.location())).await;
                }
                while matches!(answer.header("job-status"), "running" | "queued") {
                    tokio::task::yield_now().await;
                    answer = ask(&layer, get(answer.location())).await;
                }
                match answer.header("job-status") {
                    "" | "done" => assert_eq!(answer.body, "done"),
                    state => assert!(matches!(state, "cancelled" | "unknown"), "{answer:?}"),
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no panic");
    }
    for state in [
        JobState::Queued,
        JobState::Running,
        JobState::Lost,
        JobState::Failed,
    ] {
        assert_eq!(store.jobs_in(state).await, 0, "{state}");
    }
}

/// How many tasks there are beside the test's own.
fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}
