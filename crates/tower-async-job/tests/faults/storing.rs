//! Faults of the store at and after a job's end.

use std::{sync::Arc, time::Duration};

use crate::{
    assert_problem, builder, faulty, store, submit,
    support::{
        Answer, Body, SECOND, ask, call, eager,
        faulty::{Fault, FaultyStore, Op},
        get, handler, memory, slow, wrap,
    },
};
use http::{Response, StatusCode};
use tokio::time::sleep;
use tower_async_job::store::Retention;

#[tokio::test(start_paused = true)]
async fn s19_store_down_on_finish_is_tried_again() {
    let store = Arc::new(store().times(Op::Finish, Fault::Unavailable, 3));
    let layer = eager(faulty(&store));
    let location = submit(&layer, slow(SECOND, "done")).await;
    sleep(Duration::from_millis(1010)).await;
    ask(&layer, get(&location)).await.pending();
    sleep(5 * SECOND).await;
    assert_eq!(store.calls(Op::Finish), 4);
    assert_eq!(ask(&layer, get(&location)).await.body, "done");
}

#[tokio::test(start_paused = true)]
async fn s10_lost_acknowledgement_of_the_end_changes_nothing() {
    let store = Arc::new(store().then(Op::Finish, Fault::Unacknowledged));
    let layer = eager(faulty(&store));
    let location = submit(&layer, slow(SECOND, "done")).await;
    sleep(5 * SECOND).await;
    assert_eq!(store.calls(Op::Finish), 2);
    assert_eq!(ask(&layer, get(&location)).await.body, "done");
}

#[tokio::test(start_paused = true)]
async fn s19_store_that_is_down_for_longer_than_the_lease_is_given_up() {
    let store = FaultyStore::new(memory().lease_duration(30 * SECOND).build());
    let store = Arc::new(store.times(Op::Finish, Fault::Unavailable, 1000));
    let layer = eager(faulty(&store));
    let location = submit(&layer, slow(SECOND, "done")).await;
    sleep(600 * SECOND).await;
    let tried = store.calls(Op::Finish);
    sleep(600 * SECOND).await;
    assert_eq!(store.calls(Op::Finish), tried, "still tried");
    let answer = ask(&layer, get(&location)).await;
    assert_problem(
        &answer,
        StatusCode::INTERNAL_SERVER_ERROR,
        "lost",
        "job-lost",
    );
}

#[tokio::test(start_paused = true)]
async fn s20_result_for_which_the_store_has_no_room_ends_as_failed() {
    let layer = eager(builder().store(Arc::new(memory().max_bytes(1000).build())));
    let large = handler(|_| async {
        sleep(SECOND).await;
        Response::new(Body::from(vec![b'x'; 2000]))
    });
    let location = submit(&layer, large).await;
    let small = submit(&layer, slow(SECOND, "small")).await;
    sleep(2 * SECOND).await;
    let answer = ask(&layer, get(&location)).await;
    assert_problem(
        &answer,
        StatusCode::INTERNAL_SERVER_ERROR,
        "failed",
        "job-failed",
    );
    assert_eq!(ask(&layer, get(&small)).await.body, "small");
}

#[tokio::test(start_paused = true)]
async fn s20_result_is_kept_while_a_full_disk_takes_no_problem_either() {
    for times in [1, 3] {
        let store = store();
        for _ in 0..times {
            store.plan(Op::Finish, Fault::Full, 1);
            store.plan(Op::Finish, Fault::Unavailable, 1);
        }
        let store = Arc::new(store);
        let layer = eager(faulty(&store));
        let location = submit(&layer, slow(SECOND, "done")).await;
        sleep(10 * SECOND).await;
        assert_eq!(store.calls(Op::Finish), 2 * times + 1);
        assert_eq!(ask(&layer, get(&location)).await.body, "done");
    }
}

#[tokio::test(start_paused = true)]
async fn s20_problem_whose_acknowledgement_is_lost_is_the_end_of_a_result_without_room() {
    let store = store()
        .then(Op::Finish, Fault::Full)
        .then(Op::Finish, Fault::Unacknowledged);
    let store = Arc::new(store);
    let layer = eager(faulty(&store));
    let location = submit(&layer, slow(SECOND, "done")).await;
    sleep(10 * SECOND).await;
    // The result is refused, and the problem repeated.
    assert_eq!(store.calls(Op::Finish), 4);
    let answer = ask(&layer, get(&location)).await;
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    assert_problem(&answer, status, "failed", "job-failed");
}

#[tokio::test(start_paused = true)]
async fn s50_retention_that_ends_during_a_download_does_not_break_it() {
    let retention = Retention::new(10 * SECOND, 10 * SECOND);
    let store = Arc::new(store());
    let layer = eager(faulty(&store).retention(retention));
    let location = submit(&layer, slow(SECOND, "the whole result")).await;
    sleep(2 * SECOND).await;
    let service = wrap(&layer, slow(SECOND, "unused"));
    let download = call(&service, get(&location)).await;
    sleep(60 * SECOND).await;
    assert_eq!(store.jobs().await, 0);
    assert_eq!(
        ask(&layer, get(&location)).await.header("job-status"),
        "unknown"
    );
    assert_eq!(Answer::of(download).await.body, "the whole result");
}
