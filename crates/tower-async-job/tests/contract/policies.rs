//! Policies of single requests.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::{
    Body, Handler, SECOND, ask, asking, get, handler, path_of, post, request, send, slow, with,
    wrap,
};
use http::{Method, Request, Response, StatusCode};
use tokio::time::{Instant, sleep};
use tower_async_job::{
    AsyncJob, AsyncJobLayer, Builder, Learned, ObservedJob, PendingStatus, Policy, store::Retention,
};

/// Returns a layer with a policy for requests to `/own` and another for the rest: both without an
/// inline wait, and equal except for this change.
fn layer_with(builder: Builder, change: impl FnOnce(&mut Policy)) -> AsyncJobLayer {
    let mut usual = Policy::default();
    usual.inline_wait = Duration::ZERO;
    let mut own = usual.clone();
    change(&mut own);
    let [usual, own] = [usual, own].map(Arc::new);
    let layer = builder.policy(move |request| match request.uri.path() {
        "/own" => own.clone(),
        _ => usual.clone(),
    });
    layer.build().expect("valid")
}

/// Returns a service of such a layer, with a handler that takes a time.
fn service_with(time: Duration, change: impl FnOnce(&mut Policy)) -> AsyncJob<Handler> {
    wrap(
        &layer_with(AsyncJobLayer::builder(), change),
        slow(time, "done"),
    )
}

fn keyed(request: Request<Body>) -> Request<Body> {
    let key = match request.uri().path() {
        "/own" => "own",
        _ => "other",
    };
    with(request, "idempotency-key", key)
}

fn upload(uri: &str) -> Request<Body> {
    let body = Body::from("more than ten bytes");
    Request::post(uri).body(body).expect("valid")
}

#[tokio::test(start_paused = true)]
async fn inline_wait_is_the_policy_s() {
    let service = service_with(3 * SECOND, |own| own.inline_wait = 5 * SECOND);
    for make in [post, |uri: &str| keyed(post(uri))] {
        let begun = Instant::now();
        send(&service, make("/other")).await.pending();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let own = send(&service, make("/own")).await;
        assert_eq!((own.status, &*own.body), (StatusCode::OK, &b"done"[..]));
    }
}

#[tokio::test(start_paused = true)]
async fn pending_status_of_a_job_is_its_policy_s_at_every_poll() {
    let layer = layer_with(AsyncJobLayer::builder(), |own| {
        own.pending_status = PendingStatus::Accepted;
    });
    let service = wrap(&layer, slow(3600 * SECOND, "done"));
    for (uri, status) in [
        ("/own", StatusCode::ACCEPTED),
        ("/other", StatusCode::SEE_OTHER),
    ] {
        for request in [post(uri), keyed(post(uri))] {
            let begun = Instant::now();
            let mut answer = send(&service, request).await.pending();
            for _ in 0..3 {
                assert_eq!(answer.status, status, "{uri}");
                let located = if status == StatusCode::ACCEPTED {
                    answer.location()
                } else {
                    ""
                };
                assert_eq!(answer.header("content-location"), located, "{uri}");
                // Early; with 303 it would be held.
                let poll = get(answer.location());
                answer = ask(&layer, poll).await.pending();
            }
            let is_held = begun.elapsed() > Duration::ZERO;
            assert_eq!(is_held, status == StatusCode::SEE_OTHER, "{uri}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pending_status_of_a_policy_leads_browsers_to_the_page() {
    let layer = layer_with(AsyncJobLayer::builder(), |own| {
        own.pending_status = PendingStatus::Accepted;
    });
    let service = wrap(&layer, slow(3600 * SECOND, "done"));
    for uri in ["/own", "/other"] {
        let form = with(post(uri), "accept", "text/html");
        let form = with(form, "sec-fetch-mode", "navigate");
        let accepted = send(&service, form).await.pending();
        assert_eq!(accepted.status, StatusCode::SEE_OTHER, "{uri}");
        assert_eq!(accepted.header("content-location"), "");
    }
}

#[tokio::test(start_paused = true)]
async fn spool_is_the_policy_s() {
    let layer = layer_with(AsyncJobLayer::builder(), |own| own.request_spool = 10);
    let keeping = handler(|request| async move {
        let _kept = request;
        sleep(3 * SECOND).await;
        Response::new(Body::from("done"))
    });
    let service = wrap(&layer, keeping);
    send(&service, upload("/other")).await.pending();
    let own = send(&service, upload("/own")).await;
    assert_eq!((own.status, &*own.body), (StatusCode::OK, &b"done"[..]));
    send(&service, keyed(upload("/other"))).await.pending();
    let own = send(&service, keyed(upload("/own"))).await;
    assert_eq!(own.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn refusal_of_large_requests_is_the_policy_s() {
    let service = service_with(3 * SECOND, |own| {
        own.request_spool = 10;
        own.refuse_large_requests = true;
    });
    let long = |uri| with(post(uri), "content-length", "11");
    assert_eq!(
        send(&service, long("/own")).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    send(&service, long("/other")).await.pending();
}

#[tokio::test(start_paused = true)]
async fn result_limit_is_the_policy_s() {
    let service = service_with(SECOND, |own| own.result_limit = 3);
    for request in [post, |uri: &str| keyed(post(uri))] {
        let own = send(&service, request("/own")).await.pending();
        let other = send(&service, request("/other")).await;
        sleep(2 * SECOND).await;
        let own = send(&service, get(own.location())).await;
        assert_eq!(own.header("job-status"), "failed");
        assert_eq!(own.json()["limit"], 3);
        let other = send(&service, get(other.location())).await;
        assert_eq!(other.body, "done");
    }
}

#[tokio::test(start_paused = true)]
async fn retention_is_the_policy_s() {
    let service = service_with(SECOND, |own| {
        own.retention = Retention::new(10 * SECOND, 10 * SECOND);
    });
    let [own, other] = ["/own", "/other"].map(post);
    let own = send(&service, own).await.pending();
    let other = send(&service, other).await.pending();
    sleep(15 * SECOND).await;
    let expired = send(&service, get(own.location())).await;
    assert_eq!(expired.header("job-status"), "expired");
    assert_eq!(send(&service, get(other.location())).await.body, "done");
    sleep(10 * SECOND).await;
    let unknown = send(&service, get(own.location())).await;
    assert_eq!(unknown.header("job-status"), "unknown");
}

#[tokio::test(start_paused = true)]
async fn deadline_is_the_policy_s() {
    let service = service_with(10 * SECOND, |own| own.job_deadline = Some(5 * SECOND));
    let own = send(&service, post("/own")).await.pending();
    let other = send(&service, post("/other")).await.pending();
    sleep(11 * SECOND).await;
    let own = send(&service, get(own.location())).await;
    assert_eq!(own.header("job-status"), "timed-out");
    assert_eq!(send(&service, get(other.location())).await.body, "done");
    // The deadline also applies to requests that are never deferred.
    let own = send(&service, request(Method::HEAD, "/own")).await;
    assert_eq!(own.status, StatusCode::GATEWAY_TIMEOUT);
    let other = send(&service, request(Method::HEAD, "/other")).await;
    assert_eq!(other.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn policy_takes_the_place_of_what_is_set_for_all() {
    let layer = AsyncJobLayer::builder()
        .inline_wait(60 * SECOND)
        .pending_status(PendingStatus::Accepted)
        .policy(|_| Arc::default());
    let layer = layer.build().expect("valid");
    let service = wrap(&layer, slow(60 * SECOND, "done"));
    let begun = Instant::now();
    let accepted = send(&service, post("/report")).await.pending();
    assert_eq!(accepted.status, StatusCode::SEE_OTHER);
    assert_eq!(begun.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn preferences_go_before_a_policy() {
    let service = service_with(3 * SECOND, |own| own.inline_wait = 60 * SECOND);
    send(&service, asking(post("/own"))).await.pending();
    let waiting = with(post("/other"), "prefer", "wait=5");
    assert_eq!(send(&service, waiting).await.body, "done");
}

#[tokio::test(start_paused = true)]
async fn s65_policy_function_that_panics_ends_its_call_alone() {
    let layer = AsyncJobLayer::builder().policy(|request| {
        assert_ne!(request.uri.path(), "/panics");
        Arc::default()
    });
    let layer = layer.build().expect("valid");
    let service = wrap(&layer, slow(SECOND / 2, "done"));
    for request in [post("/panics"), keyed(post("/panics"))] {
        let broken = send(&service, request).await;
        assert_eq!(broken.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(broken.header("job-status"), "");
    }
    assert_eq!(send(&service, post("/report")).await.body, "done");
}

#[tokio::test(start_paused = true)]
async fn jobs_of_all_policies_have_one_registry() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let witness = seen.clone();
    let builder = AsyncJobLayer::builder().estimator(move |pending: &ObservedJob<'_>| {
        witness.lock().expect("whole").push(pending.jobs);
        SECOND
    });
    let layer = layer_with(builder, |own| own.pending_status = PendingStatus::Accepted);
    let service = wrap(&layer, slow(10 * SECOND, "done"));
    let own = send(&service, post("/own")).await.pending();
    let other = send(&service, post("/other")).await.pending();
    for location in [own.location(), other.location()] {
        ask(&layer, get(path_of(location))).await.pending();
    }
    assert_eq!(*seen.lock().expect("whole"), [1, 2, 2, 2]);
    layer.idle().await;
    for location in [own.location(), other.location()] {
        assert_eq!(ask(&layer, get(location)).await.body, "done");
    }
}

#[tokio::test(start_paused = true)]
async fn polls_of_all_policies_have_one_budget() {
    let builder = AsyncJobLayer::builder().estimator(Learned::new().polls_per_second(20));
    let layer = layer_with(builder, |own| own.pending_status = PendingStatus::Accepted);
    let service = wrap(&layer, slow(3_000 * SECOND, "done"));
    let mut due = [0; 200];
    for job in 0..400 {
        let uri = ["/own", "/other"][job % 2];
        let accepted = send(&service, post(uri)).await.pending();
        let delay: u64 = accepted.header("retry-after-ms").parse().expect("digits");
        due[(delay / 1000) as usize] += 1;
    }
    let most = due.iter().max().copied();
    assert!(most <= Some(20), "{most:?} in a second");
}
