//! Hooks and housekeeping beside deferred handlers.

use std::{sync::Arc, time::Duration};

use crate::{
    builder, faulty, store, submit,
    support::{
        Body, SECOND, ask, eager,
        faulty::{Fault, FaultyStore, Op},
        get, handler, memory, post, request, send, settle, slow, watched, wrap,
    },
};
use http::{Method, Response};
use http_polling::JobState;
use tokio::{runtime::Handle, time::sleep};
use tower_async_job::{JobContext, JobFuture, ObservedJob, store::Retention};

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
    let estimator = |_: &ObservedJob<'_>| -> Duration { panic!("boom") };
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

#[tokio::test(start_paused = true)]
async fn idle_layer_has_no_task() {
    let retention = Retention::new(10 * SECOND, 10 * SECOND);
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
    // It starts again.
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

/// Returns the number of tasks besides the test's own.
fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}
