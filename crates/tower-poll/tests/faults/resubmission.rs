//! Submissions that are lost, and those that are sent again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, Request, StatusCode, Version};
use http_body_util::BodyExt;
use tower::{
    BoxError, Layer, ServiceBuilder, ServiceExt,
    retry::{Retry, RetryLayer},
};
use tower_poll::{Resubmit, RetryBudget};

use crate::common::{Answer, Script, TestBody, answer, exact_layer, post, see_other, text};

const URL: &str = "https://example.com/report";
const KEY: &str = r#""8e03978e-40d5-43dd-bc93-6894a57f9324""#;
const SECOND: Duration = Duration::from_secs(1);

fn post_with_key() -> Request<TestBody> {
    let mut request = post(URL);
    let headers = request.headers_mut();
    headers.insert("idempotency-key", KEY.parse().unwrap());
    request
}

fn read(request: &Request<TestBody>) -> Bytes {
    let body = request.body().clone().collect().now_or_never();
    body.unwrap().unwrap().to_bytes()
}

fn reset() -> Answer {
    Err("reset".into())
}

/// Fails once by `failure`, then is well.
fn once(failure: impl Fn() -> Answer + Send + Sync + 'static) -> Script {
    Script::new(move |number, _| match number {
        0 => failure(),
        _ => answer(200, &[]),
    })
}

async fn send(policy: Resubmit, script: &Script, request: Request<TestBody>) -> Answer {
    Retry::new(policy, script.clone()).oneshot(request).await
}

#[tokio::test(start_paused = true)]
async fn c14_submission_that_was_reset_is_sent_again_as_it_was() {
    #[derive(Clone, Debug, PartialEq)]
    struct Mark(u8);

    let script = Script::new(|number, request| {
        assert_eq!(&read(request)[..], b"the work");
        assert_eq!(request.extensions().get(), Some(&Mark(7)));
        if number == 0 {
            reset()
        } else {
            answer(200, &[])
        }
    });
    let mut request = post_with_key();
    *request.method_mut() = Method::PATCH;
    *request.version_mut() = Version::HTTP_2;
    request.extensions_mut().insert(Mark(7));
    let response = send(Resubmit::new(), &script, request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let seen = script.seen();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert_eq!(
            (seen.method, seen.version),
            (Method::PATCH, Version::HTTP_2)
        );
        assert_eq!(seen.uri, URL);
        assert_eq!(seen.headers["idempotency-key"], KEY);
        assert_eq!(seen.headers.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn c14_submission_without_a_key_is_sent_once() {
    for failure in [reset, || answer(503, &[("retry-after", "1")])] {
        let script = once(failure);
        let result = send(Resubmit::new(), &script, post(URL)).await;
        assert!(result.is_err() || result.is_ok_and(|response| response.status() == 503));
        assert_eq!(script.count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn c14_answers_that_may_be_others_next_time_are_reasons() {
    for status in [408, 429, 500, 502, 503, 504] {
        let script = once(move || answer(status, &[]));
        let response = send(Resubmit::new(), &script, post_with_key()).await;
        assert_eq!(response.unwrap().status(), StatusCode::OK);
        assert_eq!(script.count(), 2, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn c14_other_answers_are_passed_up() {
    for status in [200, 202, 303, 400, 401, 404, 409, 422, 501, 507] {
        let script = once(move || answer(status, &[("retry-after", "1")]));
        let response = send(Resubmit::new(), &script, post_with_key()).await;
        assert_eq!(response.unwrap().status(), status);
        assert_eq!(script.count(), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn c14_answer_of_a_job_is_passed_up() {
    for state in ["done", "failed", "timed-out", "running"] {
        let script = once(move || answer(503, &[("job-status", state), ("retry-after", "1")]));
        let response = send(Resubmit::new(), &script, post_with_key()).await;
        assert_eq!(response.unwrap().status(), 503);
        assert_eq!(script.count(), 1, "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn c14_last_failure_is_passed_up_when_the_retries_are_used_up() {
    let script = Script::new(|number, _| match number {
        4 => answer(502, &[]),
        _ => reset(),
    });
    // Another call starts from the beginning.
    let service = Retry::new(Resubmit::new().retries(4), script.clone());
    let response = service.clone().oneshot(post_with_key()).await.unwrap();
    assert_eq!((response.status().as_u16(), script.count()), (502, 5));
    let error = service.oneshot(post_with_key()).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), script.count()), ("reset", 10));
}

#[tokio::test(start_paused = true)]
async fn c14_waits_grow_and_are_spread_where_the_server_names_none() {
    let script = Script::new(|_, _| reset());
    let policy = Resubmit::new().retries(6).max_delay(4 * SECOND);
    send(policy, &script, post_with_key()).await.unwrap_err();
    let seen = script.seen();
    let waits: Vec<_> = seen.windows(2).map(|two| two[1].at - two[0].at).collect();
    let least = [200, 400, 800, 1600, 3200, 4000].map(Duration::from_millis);
    assert_eq!(waits.len(), least.len());
    for (wait, least) in waits.iter().zip(least) {
        // Timers are exact to the millisecond, and floats less.
        let range = least.mul_f32(0.99)..=2 * least + Duration::from_millis(2);
        assert!(range.contains(wait), "{wait:?} is not {range:?}");
    }
    let mut pairs = waits.iter().zip(least);
    let is_spread = pairs.any(|(wait, least)| *wait > least.mul_f32(1.05));
    assert!(is_spread, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn c14_longest_wait_of_zero_is_none() {
    for failure in [reset, || answer(503, &[("retry-after", "5")])] {
        let script = once(failure);
        let policy = Resubmit::new().max_delay(Duration::ZERO);
        send(policy, &script, post_with_key()).await.unwrap();
        assert!(script.delay() <= Duration::from_millis(1));
    }
}

#[tokio::test(start_paused = true)]
async fn c14_wait_is_what_the_server_asks_for_within_the_limit() {
    let usual = Resubmit::new;
    let short: fn() -> _ = || Resubmit::new().max_delay(2 * SECOND);
    for (policy, header, value, least) in [
        (usual as fn() -> _, "retry-after", "5", 5 * SECOND),
        (usual, "retry-after-ms", "1500", SECOND * 3 / 2),
        (usual, "retry-after", "86400", 60 * SECOND),
        (short, "retry-after", "86400", 2 * SECOND),
    ] {
        let script = once(move || answer(503, &[(header, value)]));
        send(policy(), &script, post_with_key()).await.unwrap();
        let range = least..=least.mul_f64(1.2) + Duration::from_millis(1);
        let delay = script.delay();
        assert!(range.contains(&delay), "{header}: {value}: {delay:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn c14_wait_is_the_least_one_with_jitter_whatever_the_server_asks_for() {
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (header, value) in [
        ("retry-after", "0"),
        ("retry-after-ms", "0"),
        ("retry-after-ms", "1"),
        ("retry-after", past),
    ] {
        for (policy, least) in [
            (Resubmit::new as fn() -> _, SECOND / 10),
            (|| Resubmit::new().min_delay(2 * SECOND), 2 * SECOND),
        ] {
            let mut waits = Vec::new();
            for _ in 0..20 {
                let script = once(move || answer(503, &[(header, value)]));
                send(policy(), &script, post_with_key()).await.unwrap();
                waits.push(script.delay());
            }
            let range = least..=least.mul_f64(1.2) + Duration::from_millis(1);
            assert!(waits.iter().all(|wait| range.contains(wait)), "{waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
        }
    }
    // Where the server names none, the first wait is no shorter either.
    let script = once(reset);
    send(
        Resubmit::new().min_delay(5 * SECOND),
        &script,
        post_with_key(),
    )
    .await
    .unwrap();
    assert!(script.delay() >= 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn c14_budget_is_shared_by_clones_and_may_be_used_up() {
    // Each call that comes through pays for one that is sent again.
    let budget = RetryBudget::new(1.0, 0);
    let policy = Resubmit::new().budget(budget);
    let script = Script::new(|number, _| match number {
        0 => answer(200, &[]),
        _ => reset(),
    });
    let mut counts = Vec::new();
    for _ in 0..3 {
        let _ = send(policy.clone(), &script, post_with_key()).await;
        counts.push(script.count());
    }
    assert_eq!(counts, [1, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn c14_lost_303_loses_nothing_where_the_server_knows_keys() {
    let jobs = Arc::new(Mutex::new(HashMap::new()));
    let known = Arc::clone(&jobs);
    let script = Script::new(move |number, request| {
        if request.method() == Method::GET {
            return result_of(request.uri().path());
        }
        let mut jobs = known.lock().unwrap();
        let new = format!("/work/{}", jobs.len() + 1);
        let key = request.headers()["idempotency-key"].clone();
        let location = jobs.entry(key).or_insert(new).clone();
        // The first answer is lost on its way.
        if number == 0 {
            reset()
        } else {
            see_other(&location)
        }
    });
    let service = ServiceBuilder::new()
        .layer(exact_layer().idempotency_keys(true))
        .layer(RetryLayer::new(Resubmit::new()))
        .service(script.clone());
    let response = service.oneshot(post(URL)).await.unwrap();
    assert_eq!(text(response).await, "/work/1");
    assert_eq!(jobs.lock().unwrap().len(), 1);
    let methods: Vec<_> = script.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, [Method::POST, Method::POST, Method::GET]);
}

/// The result of a job is where it was asked for.
fn result_of(path: &str) -> Answer {
    Ok(http::Response::new(TestBody::from(path.to_owned())))
}

#[tokio::test(start_paused = true)]
async fn c14_poll_is_not_a_submission() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        _ => reset(),
    });
    let layer = RetryLayer::new(Resubmit::new());
    let polls = exact_layer().poll_retries(0);
    let service = polls.layer(layer.layer(script.clone()));
    let result: Result<_, BoxError> = service.oneshot(post_with_key()).await.map_err(Into::into);
    assert!(result.is_err());
    assert_eq!(script.count(), 2);
}
