//! What may go wrong between the acceptance of a job and its end, and what is replayed.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{
    self, Answer, Body, SECOND, ask, call, eager,
    faulty::{Fault, FaultyStore, Op},
    get, grpc, handler, memory, path_of, post, request, send, settle, slow, stream, trailed,
    watched, with, wrap,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use http_polling::JobState;
use tokio::time::sleep;
use tower::{Layer, service_fn};
use tower_async_job::{AsyncJobLayer, Builder, JobBody, JobContext, store::Retention};

fn builder() -> Builder {
    AsyncJobLayer::builder()
}

fn faulty(store: &Arc<FaultyStore>) -> Builder {
    builder().store(store.clone())
}

fn store() -> FaultyStore {
    FaultyStore::new(memory().build())
}

/// Submits, and gives the job's Location.
async fn submit(layer: &AsyncJobLayer, handler: support::Handler) -> String {
    let accepted = send(&wrap(layer, handler), post("/report")).await.pending();
    accepted.location().to_owned()
}

/// The replay of a response that a deferred handler gives.
async fn replayed(response: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static) -> Answer {
    let layer = eager(builder());
    let handler = handler(move |_| {
        let response = response.clone();
        async move {
            sleep(SECOND).await;
            response()
        }
    });
    let location = submit(&layer, handler).await;
    sleep(2 * SECOND).await;
    ask(&layer, get(&location)).await
}

#[track_caller]
fn assert_problem(answer: &Answer, status: StatusCode, state: &str, kind: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("job-status"), state);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let problem = answer.json();
    assert!(
        problem["type"].as_str().expect("text").ends_with(kind),
        "{problem}"
    );
    assert_eq!(problem["status"], status.as_u16());
}

// ---- the handler ends badly

#[tokio::test(start_paused = true)]
async fn s31_deferred_panic_is_stored_and_the_layer_lives_on() {
    let layer = eager(builder().limits(1, 0));
    let panics = handler(|_| async {
        sleep(SECOND).await;
        panic!("secret: boom")
    });
    let location = submit(&layer, panics).await;
    sleep(2 * SECOND).await;
    let answer = ask(&layer, get(&location)).await;
    assert_problem(
        &answer,
        StatusCode::INTERNAL_SERVER_ERROR,
        "failed",
        "job-failed",
    );
    let text = String::from_utf8_lossy(&answer.body);
    assert!(
        !text.contains("secret"),
        "the panic's message is for the log: {text}"
    );
    // Its place has been given back.
    let location = submit(&layer, slow(SECOND, "fine")).await;
    sleep(2 * SECOND).await;
    assert_eq!(ask(&layer, get(&location)).await.body, "fine");
}

#[tokio::test(start_paused = true)]
async fn s31_panic_in_the_response_body_is_stored() {
    struct Panics;
    impl http_body::Body for Panics {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            panic!("boom")
        }
    }
    let layer = eager(builder());
    let inner = service_fn(|_: Request<JobBody<Body>>| async {
        sleep(SECOND).await;
        Ok::<_, Infallible>(Response::new(Panics))
    });
    let accepted = Answer::of(call(&layer.layer(inner), post("/report")).await)
        .await
        .pending();
    sleep(2 * SECOND).await;
    let answer = ask(&layer, get(accepted.location())).await;
    assert_problem(
        &answer,
        StatusCode::INTERNAL_SERVER_ERROR,
        "failed",
        "job-failed",
    );
}

#[tokio::test(start_paused = true)]
async fn s31_panic_in_a_destructor_does_not_leave_the_job_running() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("boom")
        }
    }
    let layer = eager(builder().job_deadline(5 * SECOND));
    let handler = handler(|_| async {
        let _bomb = Bomb;
        std::future::pending().await
    });
    let location = submit(&layer, handler).await;
    sleep(6 * SECOND).await;
    let answer = ask(&layer, get(&location)).await;
    assert_problem(
        &answer,
        StatusCode::GATEWAY_TIMEOUT,
        "timed-out",
        "job-timed-out",
    );
}

#[tokio::test(start_paused = true)]
async fn service_error_of_a_job_is_stored_without_its_words() {
    let layer = eager(builder());
    let inner = service_fn(|_: Request<JobBody<Body>>| async {
        sleep(SECOND).await;
        Err::<Response<Body>, _>(std::io::Error::other("secret"))
    });
    let accepted = send(&layer.layer(inner), post("/report")).await.pending();
    sleep(2 * SECOND).await;
    let answer = ask(&layer, get(accepted.location())).await;
    assert_problem(
        &answer,
        StatusCode::INTERNAL_SERVER_ERROR,
        "failed",
        "job-failed",
    );
    assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn s33_handler_that_never_ends_is_timed_out_and_dropped() {
    let layer = eager(builder().job_deadline(60 * SECOND));
    let (handler, lifeline, _) = watched(Duration::from_secs(1_000_000), "never");
    let location = submit(&layer, handler).await;
    sleep(59 * SECOND).await;
    assert!(lifeline.is_alive());
    sleep(2 * SECOND).await;
    assert!(!lifeline.is_alive());
    let answer = ask(&layer, get(&location)).await;
    assert_problem(
        &answer,
        StatusCode::GATEWAY_TIMEOUT,
        "timed-out",
        "job-timed-out",
    );
}

#[tokio::test(start_paused = true)]
async fn s33_work_that_went_on_elsewhere_sees_that_the_deadline_has_passed() {
    let kept = Arc::new(std::sync::Mutex::new(None));
    let keep = kept.clone();
    let handler = handler(move |request| {
        *keep.lock().expect("unpoisoned") = Some(JobContext::of(&request));
        std::future::pending()
    });
    submit(&eager(builder().job_deadline(60 * SECOND)), handler).await;
    let context = kept.lock().expect("unpoisoned").take().expect("called");
    sleep(59 * SECOND).await;
    assert!(!context.is_cancelled());
    sleep(2 * SECOND).await;
    assert!(context.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn s33_job_that_waits_for_its_turn_for_ever_is_timed_out() {
    let layer = eager(builder().limits(1, 1).job_deadline(60 * SECOND));
    let first = submit(&layer, handler(|_| std::future::pending())).await;
    sleep(SECOND).await;
    let (handler, lifeline, _) = watched(Duration::from_secs(1_000), "never");
    let second = submit(&layer, handler).await;
    // The first job's end makes room; the second has had its time all the same.
    sleep(58 * SECOND).await;
    assert_eq!(
        ask(&layer, get(&second))
            .await
            .pending()
            .header("job-status"),
        "queued"
    );
    sleep(3 * SECOND).await;
    for location in [&first, &second] {
        assert_eq!(
            ask(&layer, get(location)).await.header("job-status"),
            "timed-out"
        );
    }
    assert!(!lifeline.is_alive());
}

#[tokio::test(start_paused = true)]
async fn s33_no_duration_is_too_long() {
    let longest = Duration::MAX;
    let layer = eager(
        builder()
            .job_deadline(longest)
            .cancellation_grace(longest)
            .report_interval(longest)
            .request_read_timeout(longest)
            .retention(Retention {
                result: longest,
                tombstone: longest,
            }),
    );
    let reports = handler(|request| async move {
        let job = JobContext::of(&request);
        job.progress(0.1);
        sleep(SECOND).await;
        job.progress(0.2);
        sleep(SECOND).await;
        Response::new(Body::from("done"))
    });
    let location = submit(&layer, reports).await;
    sleep(3 * SECOND).await;
    assert_eq!(ask(&layer, get(&location)).await.body, "done");
    let (stubborn, lifeline, _) = watched(10 * SECOND, "late");
    let location = submit(&layer, stubborn).await;
    ask(&layer, request(Method::DELETE, &location)).await;
    sleep(5 * SECOND).await;
    assert!(lifeline.is_alive());
    let inner = service_fn(|request: Request<JobBody<support::Stream>>| async {
        request.into_body().collect().await.expect("whole");
        sleep(SECOND).await;
        Ok::<_, Infallible>(Response::new(Body::default()))
    });
    let (mut sender, body) = stream();
    tokio::spawn(async move {
        for _ in 0..3 {
            sleep(SECOND).await;
            sender.send_data("part".into()).await.expect("read");
        }
    });
    Answer::of(call(&layer.layer(inner), support::upload("/report", body)).await)
        .await
        .pending();
}

#[tokio::test(start_paused = true)]
async fn s34_response_body_that_breaks_half_way_is_no_result() {
    let layer = eager(builder());
    let inner = service_fn(|_: Request<JobBody<Body>>| async {
        let (mut sender, body) = stream();
        tokio::spawn(async move {
            sender
                .send_data("the first half".into())
                .await
                .expect("read");
            sleep(SECOND).await;
            sender.abort("secret".into());
        });
        sleep(SECOND).await;
        Ok::<_, Infallible>(Response::new(body))
    });
    let accepted = Answer::of(call(&layer.layer(inner), post("/report")).await)
        .await
        .pending();
    sleep(5 * SECOND).await;
    let answer = ask(&layer, get(accepted.location())).await;
    assert_problem(
        &answer,
        StatusCode::INTERNAL_SERVER_ERROR,
        "failed",
        "job-failed",
    );
    let text = String::from_utf8_lossy(&answer.body);
    assert!(!text.contains("secret") && !text.contains("half"), "{text}");
}

/// A body of endless chunks of 1 KiB.
struct Endless(Arc<AtomicUsize>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(
            &[7; 1024],
        )))))
    }
}

#[tokio::test(start_paused = true)]
async fn s35_s57_endless_response_ends_at_the_result_limit() {
    let chunks = Arc::new(AtomicUsize::new(0));
    let counted = chunks.clone();
    let layer = eager(builder().result_limit(64 << 10));
    let inner = service_fn(move |_: Request<JobBody<Body>>| {
        let counted = counted.clone();
        async move {
            sleep(SECOND).await;
            Ok::<_, Infallible>(Response::new(Endless(counted)))
        }
    });
    let response = call(&layer.layer(inner), post("/report")).await;
    let location = response.headers()["location"]
        .to_str()
        .expect("text")
        .to_owned();
    sleep(2 * SECOND).await;
    let answer = ask(&layer, get(&location)).await;
    assert_problem(
        &answer,
        StatusCode::INTERNAL_SERVER_ERROR,
        "failed",
        "result-too-large",
    );
    assert_eq!(chunks.load(Ordering::SeqCst), 65);
}

#[tokio::test(start_paused = true)]
async fn s35_result_of_exactly_the_limit_is_kept_and_one_byte_more_is_not() {
    for (length, status) in [
        (1000, StatusCode::OK),
        (1001, StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        let layer = eager(builder().result_limit(1000));
        let handler = handler(move |_| async move {
            sleep(SECOND).await;
            Response::new(Body::from(vec![b'x'; length]))
        });
        let location = submit(&layer, handler).await;
        sleep(2 * SECOND).await;
        assert_eq!(ask(&layer, get(&location)).await.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn s57_event_stream_that_was_deferred_ends_with_the_deadline() {
    let layer = eager(builder().job_deadline(60 * SECOND));
    let inner = service_fn(|_: Request<JobBody<Body>>| async {
        sleep(SECOND).await;
        let (mut sender, body) = stream();
        tokio::spawn(async move {
            while sender.send_data("data: x\n\n".into()).await.is_ok() {
                sleep(SECOND).await;
            }
        });
        Ok::<_, Infallible>(Response::new(body))
    });
    let accepted = Answer::of(call(&layer.layer(inner), post("/events")).await)
        .await
        .pending();
    sleep(59 * SECOND).await;
    ask(&layer, get(accepted.location())).await.pending();
    sleep(2 * SECOND).await;
    assert_eq!(
        ask(&layer, get(accepted.location()))
            .await
            .header("job-status"),
        "timed-out"
    );
}

#[tokio::test(start_paused = true)]
async fn grpc_failures_are_trailers_only() {
    let timed_out = eager(builder().job_deadline(2 * SECOND));
    let accepted = send(&wrap(&timed_out, slow(60 * SECOND, "late")), grpc("/s/m"))
        .await
        .pending();
    sleep(3 * SECOND).await;
    let layer = eager(builder());
    let panics = handler(|_| async {
        sleep(SECOND).await;
        panic!("boom")
    });
    let panicked = send(&wrap(&layer, panics), grpc("/s/m")).await.pending();
    let cancelled = send(&wrap(&layer, slow(60 * SECOND, "late")), grpc("/s/m"))
        .await
        .pending();
    ask(&layer, request(Method::DELETE, cancelled.location())).await;
    sleep(2 * SECOND).await;
    for (layer, location, code, state) in [
        (&timed_out, accepted.location(), "4", "timed-out"),
        (&layer, panicked.location(), "13", "failed"),
        (&layer, cancelled.location(), "1", "cancelled"),
    ] {
        let answer = ask(layer, get(location)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), "application/grpc");
        assert_eq!(answer.header("grpc-status"), code);
        assert_eq!(answer.header("job-status"), state);
        assert!(answer.body.is_empty() && answer.trailers.is_none());
    }
}

// ---- the store at the end

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
async fn s50_retention_that_ends_during_a_download_does_not_break_it() {
    let retention = Retention {
        result: 10 * SECOND,
        tombstone: 10 * SECOND,
    };
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

// ---- what is replayed

#[tokio::test(start_paused = true)]
async fn s53_headers_of_one_connection_or_one_moment_are_not_replayed() {
    let answer = replayed(|| {
        let mut response = Response::new(Body::from("12345"));
        for (name, value) in [
            ("connection", "close, x-hop"),
            ("connection", "X-Second"),
            ("x-hop", "1"),
            ("x-second", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("content-length", "5"),
            ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("age", "17"),
            ("job-status", "running"),
            ("etag", "\"e\""),
            ("x-end-to-end", "3"),
        ] {
            let value = HeaderValue::from_static(value);
            response.headers_mut().append(name, value);
        }
        response
    })
    .await;
    let mut names: Vec<&str> = answer.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["cache-control", "etag", "job-status", "x-end-to-end"]
    );
    assert_eq!(answer.header("job-status"), "done");
    assert_eq!(answer.body, "12345");
}

#[tokio::test(start_paused = true)]
async fn s54_trailers_go_only_where_they_can_be_carried() {
    let layer = eager(builder());
    let inner = service_fn(|_: Request<JobBody<Body>>| async {
        sleep(SECOND).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("7"));
        let mut response = Response::new(trailed("data", trailers));
        response
            .headers_mut()
            .insert("trailer", HeaderValue::from_static("x-sum"));
        Ok::<_, Infallible>(response)
    });
    let accepted = Answer::of(call(&layer.layer(inner), post("/report")).await)
        .await
        .pending();
    sleep(2 * SECOND).await;
    let plain = ask(&layer, get(accepted.location())).await;
    assert_eq!((plain.trailers, plain.headers.get("trailer")), (None, None));
    assert_eq!(plain.body, "data");
    let unwilling = ask(&layer, with(get(accepted.location()), "te", "gzip")).await;
    assert!(unwilling.trailers.is_none());
    let asked = ask(
        &layer,
        with(get(accepted.location()), "te", "gzip, Trailers"),
    )
    .await;
    assert_eq!(asked.header("trailer"), "x-sum");
    assert_eq!(asked.trailers.expect("trailers")["x-sum"], "7");
    let mut second = get(accepted.location());
    *second.version_mut() = Version::HTTP_2;
    let second = ask(&layer, second).await;
    assert_eq!(second.trailers.expect("trailers")["x-sum"], "7");
}

#[tokio::test(start_paused = true)]
async fn s59_handler_s_own_answer_is_replayed_as_it_is() {
    for status in [
        200, 201, 202, 204, 301, 303, 304, 307, 404, 410, 429, 500, 503, 504,
    ] {
        let answer = replayed(move || {
            Response::builder()
                .status(status)
                .header("retry-after", "120")
                .header("location", "https://elsewhere.example/next?a=b#c")
                .header("content-location", "/v")
                .header("job-status", "running")
                .body(Body::default())
                .expect("valid")
        })
        .await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("job-status"), "done");
        assert_eq!(answer.header("retry-after"), "120");
        assert_eq!(answer.location(), "https://elsewhere.example/next?a=b#c");
        assert_eq!(answer.header("content-location"), "/v");
    }
}

#[tokio::test(start_paused = true)]
async fn s59_relative_references_are_resolved_against_the_original_target() {
    let layer = eager(builder());
    for (reference, resolved) in [
        ("next", "/api/v1/next"),
        ("../other?x=1#top", "/api/other?x=1#top"),
        ("?page=2", "/api/v1/report?page=2"),
        ("//cdn.example/x", "//cdn.example/x"),
        ("urn:isbn:1", "urn:isbn:1"),
        ("/absolute/./path", "/absolute/./path"),
    ] {
        let handler = handler(move |_| async move {
            sleep(SECOND).await;
            Response::builder()
                .status(303)
                .header("location", reference)
                .body(Body::default())
                .expect("valid")
        });
        let accepted = send(&wrap(&layer, handler), post("/api/v1/report?q=1"))
            .await
            .pending();
        sleep(2 * SECOND).await;
        assert_eq!(
            ask(&layer, get(accepted.location())).await.location(),
            resolved,
            "{reference}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn s60_cacheable_result_is_replayed_with_no_store() {
    let answer = replayed(|| {
        Response::builder()
            .header("cache-control", "public, max-age=3600")
            .header("cache-control", "immutable")
            .header("expires", "Fri, 01 Jan 2100 00:00:00 GMT")
            .header("age", "1")
            // Caches of their own kind obey these before Cache-Control (RFC 9213).
            .header("cdn-cache-control", "max-age=3600")
            .header("example-cdn-cache-control", "max-age=3600")
            .header("surrogate-control", "max-age=3600")
            .header("x-accel-expires", "3600")
            .body(Body::from("mine"))
            .expect("valid")
    })
    .await;
    let names: Vec<&str> = answer.headers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(answer.headers.get_all("cache-control").iter().count(), 1);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test(start_paused = true)]
async fn s60_inline_result_keeps_its_own_caching() {
    let handler = handler(|_| async {
        Response::builder()
            .header("cache-control", "public")
            .body(Body::default())
            .expect("valid")
    });
    let answer = send(&wrap(&AsyncJobLayer::new(), handler), get("/report")).await;
    assert_eq!(answer.header("cache-control"), "public");
    assert_eq!(answer.header("vary"), "");
}

// ---- cancelling

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
    let layer = eager(builder().without_context().cancellation_grace(SECOND));
    let (handler, lifeline, _) = watched(60 * SECOND, "late");
    let location = submit(&layer, handler).await;
    ask(&layer, request(Method::DELETE, &location)).await;
    sleep(2 * SECOND).await;
    assert!(!lifeline.is_alive());
}
