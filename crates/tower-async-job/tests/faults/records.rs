//! Unreadable records: damaged, or of an unknown format.

use std::sync::{Arc, atomic::Ordering};

use crate::{
    assert_problem, faulty, store, submit,
    support::{
        Answer, Body, SECOND, ask, eager,
        faulty::{Fault, Op},
        get, logged, path_of, post, request, send, slow, with, wrap,
    },
};
use http::{Method, Request, StatusCode};
use tokio::time::sleep;
use tower::ServiceExt;
use tower_async_job::{
    AsyncJobLayer,
    store::{JobQuery, JobStore},
};

fn keyed() -> Request<Body> {
    with(post("/report"), "idempotency-key", "k")
}

/// Requests the operators' list.
async fn operate(layer: &AsyncJobLayer, method: Method, path: &str) -> Answer {
    let resource = layer.operator_resource();
    let response = resource.oneshot(request(method, path)).await;
    Answer::of(response.expect("infallible")).await
}

/// Requests a job in every way, from a store that fails to read its record. Returns the named
/// answers, with those to operators separate.
async fn ask_in_every_way(fault: Fault) -> [Vec<(String, Answer)>; 2] {
    let store = Arc::new(store());
    let layer = eager(faulty(&store).limits(1, 0));
    let service = wrap(&layer, slow(3600 * SECOND, "done"));
    let accepted = send(&service, keyed()).await.pending();
    let job = path_of(accepted.location()).to_owned();
    let fails = |op| store.plan(op, fault, 1);
    let mut answers = Vec::new();
    for (method, path) in [
        (Method::GET, job.clone()),
        (Method::HEAD, job.clone()),
        (Method::DELETE, job.clone()),
        (Method::GET, format!("{job}/status")),
        (Method::HEAD, format!("{job}/status")),
    ] {
        fails(Op::Read);
        let way = format!("{method} {path}");
        answers.push((way, ask(&layer, request(method, &path)).await));
    }
    fails(Op::Cancel);
    let cancelled = ask(&layer, request(Method::DELETE, &job)).await;
    answers.push(("DELETE".to_owned(), cancelled));
    store.plan(Op::Read, Fault::None, 1);
    fails(Op::Read);
    let held = ask(&layer, with(get(&job), "prefer", "wait=10")).await;
    answers.push(("held".to_owned(), held));
    fails(Op::LookUp);
    let repeat = send(&service, keyed()).await;
    answers.push(("repeat on a full node".to_owned(), repeat));
    let idle = wrap(&eager(faulty(&store)), slow(SECOND, "unused"));
    fails(Op::Create);
    let repeat = send(&idle, keyed()).await;
    answers.push(("repeat".to_owned(), repeat));
    fails(Op::Read);
    let repeat = send(&idle, with(keyed(), "prefer", "wait=1")).await;
    answers.push(("repeat that reads".to_owned(), repeat));

    let listed = store.inner.list(&JobQuery::default()).await;
    let handle = format!("/{}", listed.expect("memory").jobs[0].handle);
    let mut operated = Vec::new();
    for (op, method) in [
        (Op::Read, Method::GET),
        (Op::Read, Method::HEAD),
        (Op::Find, Method::GET),
        (Op::Cancel, Method::DELETE),
    ] {
        fails(op);
        let way = format!("{op:?} {method} by operators");
        operated.push((way, operate(&layer, method, &handle).await));
    }
    // No request had an effect.
    ask(&layer, get(&job)).await.pending();
    [answers, operated]
}

#[tokio::test(start_paused = true)]
async fn s42_damaged_record_is_500_however_its_job_is_asked_for() {
    let [answers, operated] = ask_in_every_way(Fault::Corrupt).await;
    for (state, answers) in [("failed", answers), ("", operated)] {
        for (way, answer) in answers {
            println!("{way}");
            if way.contains("HEAD") {
                assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
                assert_eq!(answer.header("job-status"), state);
                assert!(answer.body.is_empty());
                continue;
            }
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            assert_problem(&answer, status, state, "record-unreadable");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s41_record_of_an_unknown_version_is_503_however_its_job_is_asked_for() {
    let [answers, operated] = ask_in_every_way(Fault::Unsupported).await;
    for (way, answer) in answers.into_iter().chain(operated) {
        println!("{way}");
        assert_eq!(answer.header("retry-after"), "5");
        if way.contains("HEAD") {
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.header("job-status"), "");
            continue;
        }
        let status = StatusCode::SERVICE_UNAVAILABLE;
        assert_problem(&answer, status, "", "store-unavailable");
    }
}

#[tokio::test(start_paused = true)]
async fn s42_damaged_record_is_an_error_in_the_log_and_other_jobs_go_on() {
    let store = Arc::new(store());
    let layer = eager(faulty(&store));
    let damaged = submit(&layer, slow(SECOND, "damaged")).await;
    let other = submit(&layer, slow(SECOND, "done")).await;
    sleep(2 * SECOND).await;
    for (fault, level) in [(Fault::Corrupt, "ERROR"), (Fault::Unsupported, "WARN")] {
        logged::begin();
        store.plan(Op::Read, fault, 1);
        ask(&layer, get(&damaged)).await;
        let log = logged::text();
        assert!(log.contains(level), "{log}");
        assert!(!log.contains(path_of(&damaged)), "an id in {log}");
        assert_eq!(ask(&layer, get(&other)).await.body, "done");
    }
}

#[tokio::test(start_paused = true)]
async fn s42_damaged_record_is_not_asked_for_again_by_a_page() {
    let store = Arc::new(store());
    let layer = eager(faulty(&store).page(true));
    let location = submit(&layer, slow(3600 * SECOND, "done")).await;
    for (fault, refresh) in [(Fault::Corrupt, ""), (Fault::Unsupported, "5")] {
        store.plan(Op::Read, fault, 1);
        let page = with(get(&location), "accept", "text/html");
        let answer = ask(&layer, with(page, "sec-fetch-mode", "navigate")).await;
        assert_eq!(answer.header("refresh"), refresh);
    }
}

#[tokio::test(start_paused = true)]
async fn s42_jobs_that_operators_are_not_shown_are_counted() {
    let store = Arc::new(store());
    let layer = eager(faulty(&store));
    submit(&layer, slow(SECOND, "done")).await;
    let whole = operate(&layer, Method::GET, "/").await.json();
    assert_eq!(whole.get("unreadable"), None);
    store.unreadable.store(2, Ordering::SeqCst);
    let page = operate(&layer, Method::GET, "/").await.json();
    assert_eq!(page["jobs"].as_array().map(Vec::len), Some(1));
    assert_eq!(page["unreadable"], 2);
}
