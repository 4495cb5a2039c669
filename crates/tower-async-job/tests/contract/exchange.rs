//! Requests that become jobs, and requests that do not, as clients see them.

use std::{
    convert::Infallible,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{
    self, Body, call, eager, get, handler, post, request, send, settle, slow, stream, wrap,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, advance, sleep};
use tower::{Layer, service_fn};
use tower_async_job::{AsyncJobLayer, BodyError, JobBody, JobContext, ObservedJob, PendingStatus};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn answers_inline_within_the_wait() {
    let service = wrap(&AsyncJobLayer::new(), slow(SECOND / 2, "quick"));
    let answer = send(&service, post("/report")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, "quick");
    assert_eq!(answer.header("job-status"), "");
    assert_eq!(answer.header("cache-control"), "");
}

#[tokio::test(start_paused = true)]
async fn error_of_an_inline_answer_is_that_of_the_handler_s_body() {
    let inner = service_fn(|_: Request<JobBody<Body>>| async {
        let (sender, body) = stream();
        sender.abort("broken".into());
        Ok::<_, Infallible>(Response::new(body))
    });
    let service = AsyncJobLayer::new().layer(inner);
    let mut body = call(&service, post("/report")).await.into_body();
    let error = body.frame().await.expect("more").expect_err("broken");
    assert!(matches!(&error, BodyError::Inner(inner) if inner.to_string() == "broken"));
    assert!(Error::source(&error).is_some());
}

#[tokio::test(start_paused = true)]
async fn accepts_with_see_other_when_the_wait_is_over() {
    let service = wrap(&AsyncJobLayer::new(), slow(60 * SECOND, "late"));
    let begun = Instant::now();
    let answer = send(&service, post("/report")).await.pending();
    assert_eq!(begun.elapsed(), SECOND);
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.header("retry-after-ms"), "1000");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("vary"), "");
    assert_eq!(answer.header("content-type"), "application/json");
    let (path, query) = answer.location().split_once('?').expect("hints");
    assert_eq!(query, "poll=1&due=1000");
    let id = path.strip_prefix("/work/").expect("below the base");
    assert_eq!(id.len(), 32);
    let document = answer.json();
    assert_eq!(document["id"], id);
    assert_eq!(document["state"], "running");
    assert_eq!(document["retry_after_ms"], 1000);
}

#[tokio::test(start_paused = true)]
async fn accepted_option_sends_202_with_both_locations() {
    let layer = eager(AsyncJobLayer::builder().pending_status(PendingStatus::Accepted));
    let service = wrap(&layer, slow(SECOND, "late"));
    let answer = send(&service, post("/report")).await.pending();
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.location(), answer.header("content-location"));
    let poll = send(&service, get(answer.location())).await.pending();
    assert_eq!(poll.status, StatusCode::ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn the_classic_sequence_asks_at_4_5_6_7_8_and_has_the_answer_at_8() {
    let estimator = |pending: &ObservedJob<'_>| match pending.polls {
        0 => 4 * SECOND,
        _ => SECOND,
    };
    let layer = eager(AsyncJobLayer::builder().estimator(estimator));
    let service = wrap(&layer, slow(8 * SECOND - Duration::from_millis(1), "done"));
    let begun = Instant::now();
    let mut answer = send(&service, post("/report")).await;
    let mut asked = Vec::new();
    while answer.header("job-status") == "running" {
        let seconds = answer.header("retry-after").parse().expect("seconds");
        sleep(Duration::from_secs(seconds)).await;
        asked.push(begun.elapsed().as_secs());
        answer = send(&service, get(answer.location())).await;
    }
    assert_eq!(asked, [4, 5, 6, 7, 8]);
    assert_eq!(answer.body, "done");
    assert_eq!(begun.elapsed(), 8 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn replays_status_headers_body_and_trailers_until_it_expires() {
    let service = wrap(
        &eager(AsyncJobLayer::builder()),
        handler(|_| async {
            sleep(SECOND).await;
            Response::builder()
                .status(StatusCode::CREATED)
                .header("x-own", "a")
                .header("x-own", "b")
                .header("set-cookie", "c=1")
                .body(Full::from("the result"))
                .expect("valid response")
        }),
    );
    let location = send(&service, post("/report"))
        .await
        .pending()
        .location()
        .to_owned();
    sleep(2 * SECOND).await;
    for _ in 0..3 {
        let answer = send(&service, get(&location)).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(answer.header("job-status"), "done");
        assert_eq!(
            answer.headers.get_all("x-own").iter().collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(answer.header("set-cookie"), "c=1");
        assert_eq!(answer.body, "the result");
    }
    sleep(Duration::from_secs(3601)).await;
    let expired = send(&service, get(&location)).await;
    assert_eq!(expired.status, StatusCode::GONE);
    assert_eq!(expired.header("job-status"), "expired");
    sleep(Duration::from_secs(3601)).await;
    let unknown = send(&service, get(&location)).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.header("job-status"), "unknown");
}

#[tokio::test(start_paused = true)]
async fn reports_appear_in_pending_answers_and_the_status_document() {
    let service = wrap(
        &eager(AsyncJobLayer::builder()),
        handler(|request| async move {
            let job = JobContext::of(&request);
            job.message("reading");
            job.progress_of(3, 4);
            job.partial("so far");
            job.metadata("rows", 7);
            sleep(60 * SECOND).await;
            Response::new(Body::default())
        }),
    );
    let location = send(&service, post("/report"))
        .await
        .pending()
        .location()
        .to_owned();
    settle().await;
    let path = location.split_once('?').expect("hints").0;
    let answer = send(&service, get(&format!("{path}/status"))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("job-status"), "running");
    for document in [answer.json(), send(&service, get(&location)).await.json()] {
        assert_eq!(document["progress"]["done"], 3);
        assert_eq!(document["progress"]["total"], 4);
        assert_eq!(document["progress"]["message"], "reading");
        assert_eq!(document["partial"], "so far");
        assert_eq!(document["metadata"]["rows"], 7);
    }
}

#[tokio::test(start_paused = true)]
async fn delete_cancels_running_work_and_the_handler_sees_it() {
    let noticed = Arc::new(AtomicUsize::new(0));
    let seen = noticed.clone();
    let service = wrap(
        &eager(AsyncJobLayer::builder()),
        handler(move |request| {
            let seen = seen.clone();
            async move {
                JobContext::of(&request).cancelled().await;
                seen.fetch_add(1, Ordering::SeqCst);
                Response::new(Body::from("too late"))
            }
        }),
    );
    let location = send(&service, post("/report"))
        .await
        .pending()
        .location()
        .to_owned();
    let cancelled = send(&service, request(Method::DELETE, &location)).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    assert_eq!(cancelled.header("job-status"), "cancelled");
    settle().await;
    assert_eq!(noticed.load(Ordering::SeqCst), 1);
    let gone = send(&service, get(&location)).await;
    assert_eq!(gone.status, StatusCode::GONE);
    assert_eq!(gone.header("job-status"), "cancelled");
    assert_eq!(gone.header("content-type"), "application/problem+json");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_handler_that_does_not_notice_is_dropped_after_the_grace() {
    let alive = Arc::new(());
    let held = Arc::downgrade(&alive);
    let service = wrap(
        &eager(AsyncJobLayer::builder().cancellation_grace(5 * SECOND)),
        handler({
            let alive = Arc::new(std::sync::Mutex::new(Some(alive)));
            move |_| {
                let alive = alive.lock().expect("unpoisoned").take();
                async move {
                    let _alive = alive;
                    std::future::pending().await
                }
            }
        }),
    );
    let location = send(&service, post("/report"))
        .await
        .pending()
        .location()
        .to_owned();
    send(&service, request(Method::DELETE, &location)).await;
    sleep(4 * SECOND).await;
    assert!(held.upgrade().is_some());
    sleep(2 * SECOND).await;
    assert!(held.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn delete_of_an_ended_job_drops_the_result() {
    let service = wrap(&eager(AsyncJobLayer::builder()), slow(SECOND, "done"));
    let location = send(&service, post("/report"))
        .await
        .pending()
        .location()
        .to_owned();
    sleep(2 * SECOND).await;
    let dropped = send(&service, request(Method::DELETE, &location)).await;
    assert_eq!(dropped.status, StatusCode::NO_CONTENT);
    for method in [Method::GET, Method::DELETE] {
        let unknown = send(&service, request(method, &location)).await;
        assert_eq!(unknown.status, StatusCode::NOT_FOUND);
        assert_eq!(unknown.header("job-status"), "unknown");
    }
}

#[tokio::test(start_paused = true)]
async fn prefer_sets_the_inline_wait_and_is_not_passed_on() {
    let service = wrap(
        &AsyncJobLayer::new(),
        handler(|request| async move {
            sleep(3 * SECOND).await;
            let prefer = request.headers().get("prefer").cloned();
            let mut response = Response::new(Body::default());
            response.headers_mut().insert(
                "x-prefer",
                prefer.unwrap_or(HeaderValue::from_static("none")),
            );
            response
        }),
    );
    let preferring = |value: &'static str| {
        let mut request = post("/report");
        request
            .headers_mut()
            .insert("prefer", HeaderValue::from_static(value));
        request
    };
    let begun = Instant::now();
    let at_once = send(&service, preferring("respond-async")).await.pending();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(at_once.header("preference-applied"), "respond-async");
    let inline = send(&service, preferring("wait=5, handling=lenient")).await;
    assert_eq!(inline.status, StatusCode::OK);
    assert_eq!(inline.header("x-prefer"), "handling=lenient");
    assert_eq!(inline.header("preference-applied"), "wait=5");
    let both = send(&service, preferring("respond-async, wait=2"))
        .await
        .pending();
    assert_eq!(both.header("preference-applied"), "respond-async, wait=2");
}

#[tokio::test(start_paused = true)]
async fn the_wait_that_a_client_asks_for_is_capped() {
    let layer = AsyncJobLayer::builder()
        .max_inline_wait(10 * SECOND)
        .build()
        .expect("valid");
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    let mut asking = post("/report");
    asking
        .headers_mut()
        .insert("prefer", HeaderValue::from_static("wait=3600"));
    let begun = Instant::now();
    send(&service, asking).await.pending();
    assert_eq!(begun.elapsed(), 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn only_when_asked_defers_nobody_else() {
    let layer = AsyncJobLayer::builder()
        .only_when_asked(true)
        .build()
        .expect("valid");
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    assert_eq!(send(&service, post("/report")).await.body, "late");
    let mut asking = post("/report");
    asking
        .headers_mut()
        .insert("prefer", HeaderValue::from_static("respond-async"));
    send(&service, asking).await.pending();
}

#[tokio::test(start_paused = true)]
async fn a_predicate_leaves_requests_out() {
    let layer = eager(AsyncJobLayer::builder().defer_when(|request| request.uri.path() == "/slow"));
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    assert_eq!(send(&service, post("/other")).await.body, "late");
    send(&service, post("/slow")).await.pending();
}

#[tokio::test(start_paused = true)]
async fn a_full_node_refuses_before_the_handler_and_queues_up_to_its_limit() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let service = wrap(
        &eager(AsyncJobLayer::builder().limits(1, 1)),
        handler(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            async {
                sleep(10 * SECOND).await;
                Response::new(Body::from("done"))
            }
        }),
    );
    let first = send(&service, post("/a")).await.pending();
    assert_eq!(first.header("job-status"), "running");
    let second = send(&service, post("/b")).await.pending();
    assert_eq!(second.header("job-status"), "queued");
    let third = send(&service, post("/c")).await;
    assert_eq!(third.status, StatusCode::SERVICE_UNAVAILABLE);
    // Before the first end, 5 s are assumed for each of the two.
    assert_eq!(third.header("retry-after"), "10");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    advance(11 * SECOND).await;
    settle().await;
    assert_eq!(send(&service, get(first.location())).await.body, "done");
    let running = send(&service, get(second.location())).await.pending();
    assert_eq!(running.header("job-status"), "running");
    assert_eq!(running.json()["attempt"], 1);
    sleep(11 * SECOND).await;
    assert_eq!(send(&service, get(second.location())).await.body, "done");
}

#[tokio::test(start_paused = true)]
async fn each_pending_location_counts_and_tells_when_it_is_due() {
    let layer = eager(
        AsyncJobLayer::builder().estimator(|_: &ObservedJob<'_>| Duration::from_millis(1500)),
    );
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    let first = send(&service, post("/report")).await.pending();
    assert!(
        first.location().ends_with("?poll=1&due=1500"),
        "{}",
        first.location()
    );
    assert_eq!(first.header("retry-after"), "2");
    assert_eq!(first.header("retry-after-ms"), "1500");
    sleep(2 * SECOND).await;
    let second = send(&service, get(first.location())).await.pending();
    assert!(
        second.location().ends_with("?poll=2&due=3500"),
        "{}",
        second.location()
    );
    assert_eq!(
        second.header("vary"),
        "accept, prefer, sec-fetch-dest, sec-fetch-mode, upgrade-insecure-requests"
    );
}

#[tokio::test(start_paused = true)]
async fn a_public_base_stands_in_the_location() {
    let layer = eager(AsyncJobLayer::builder().public_base("https://api.example/v1/work/"));
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    let answer = send(&service, post("/report")).await.pending();
    assert!(
        answer
            .location()
            .starts_with("https://api.example/v1/work/")
    );
}

#[test]
fn a_base_that_cannot_work_is_refused() {
    for base in ["", "/", "work", "/a?b", "/a b"] {
        assert!(
            AsyncJobLayer::builder().base(base).build().is_err(),
            "{base:?}"
        );
    }
    assert!(AsyncJobLayer::builder().public_base("a b").build().is_err());
    assert!(AsyncJobLayer::builder().limits(0, 10).build().is_err());
}

#[tokio::test(start_paused = true)]
async fn the_upload_is_read_before_the_early_answer_and_the_handler_gets_all_of_it() {
    let (sender, body) = http_body_util::channel::Channel::<bytes::Bytes>::new(4);
    let echo = tower::service_fn(
        |request: http::Request<tower_async_job::JobBody<_>>| async move {
            sleep(5 * SECOND).await;
            let body: http_body_util::Collected<bytes::Bytes> =
                request.into_body().collect().await.expect("whole");
            let trailers = body.trailers().cloned().unwrap_or_default();
            let mut response = Response::new(Full::from(body.to_bytes()));
            response.headers_mut().extend(trailers);
            Ok::<_, std::convert::Infallible>(response)
        },
    );
    let service = tower::Layer::layer(&AsyncJobLayer::new(), echo);
    let upload = tokio::spawn(async move {
        let mut sender = sender;
        for _ in 0..3 {
            sleep(SECOND).await;
            sender.send_data("part ".into()).await.expect("read");
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("15"));
        sender.send_trailers(trailers).await.expect("read");
    });
    let begun = Instant::now();
    let request = http::Request::post("/upload").body(body).expect("valid");
    let response = tower::ServiceExt::oneshot(service.clone(), request)
        .await
        .expect("infallible");
    let accepted = support::Answer::of(response).await.pending();
    assert_eq!(begun.elapsed(), 3 * SECOND);
    upload.await.expect("sent");
    sleep(5 * SECOND).await;
    let (_sender, empty) = http_body_util::channel::Channel::<bytes::Bytes>::new(1);
    let poll = http::Request::get(accepted.location())
        .body(empty)
        .expect("valid");
    let response = tower::ServiceExt::oneshot(service, poll)
        .await
        .expect("infallible");
    let answer = support::Answer::of(response).await;
    assert_eq!(answer.body, "part part part ");
    assert_eq!(answer.header("x-sum"), "15");
}

#[tokio::test(start_paused = true)]
async fn the_acceptance_tells_what_was_reported_before_it() {
    let service = wrap(
        &AsyncJobLayer::new(),
        handler(|request| async move {
            JobContext::of(&request).progress(0.25);
            sleep(60 * SECOND).await;
            Response::new(Body::default())
        }),
    );
    let document = send(&service, post("/report")).await.pending().json();
    assert_eq!(document["attempt"], 1);
    assert_eq!(document["progress"]["fraction"], 0.25);
    assert!(document["created"].is_string());
    assert!(document["started"].is_string());
}

#[tokio::test(start_paused = true)]
async fn the_status_can_be_read_only() {
    let service = wrap(&eager(AsyncJobLayer::builder()), slow(SECOND, "done"));
    let accepted = send(&service, post("/report")).await.pending();
    let path = accepted.location().split_once('?').expect("hints").0;
    let refused = send(&service, request(Method::DELETE, &format!("{path}/status"))).await;
    assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refused.header("allow"), "GET, HEAD, OPTIONS");
    send(&service, get(path)).await.pending();
}
