//! Reports of running jobs.

use std::sync::{Arc, Mutex};

use crate::{
    builder, faulty, store, submit,
    support::{
        Answer, Body, SECOND, ask, eager,
        faulty::{Fault, Op},
        get, handler, path_of, slow,
    },
};
use http::Response;
use tokio::time::{Instant, sleep};
use tower_async_job::{AsyncJobLayer, JobContext};

async fn status(layer: &AsyncJobLayer, location: &str) -> Answer {
    ask(layer, get(&format!("{}/status", path_of(location)))).await
}

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
                // The handler's future sleeps; only the report wakes its task.
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

#[tokio::test(start_paused = true)]
async fn s39_reports_that_hang_do_not_hold_the_shutdown_up() {
    let store = Arc::new(store());
    let layer = eager(faulty(&store).report_interval(SECOND));
    let handler = handler(|request| async move {
        let job = JobContext::of(&request);
        for step in 0..600 {
            job.progress_of(step, 600);
            sleep(SECOND).await;
        }
        Response::new(Body::from("late"))
    });
    store.plan(Op::Report, Fault::Hangs, 1000);
    for _ in 0..20 {
        submit(&layer, handler.clone()).await;
    }
    sleep(3 * SECOND).await;
    assert!(store.calls(Op::Report) > 0);
    let begun = Instant::now();
    layer.shutdown(SECOND).await;
    assert!(begun.elapsed() < 2 * SECOND, "{:?}", begun.elapsed());
}
