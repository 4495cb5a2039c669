//! Valid and invalid requests to the job resource.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    builder, faulty, store, submit,
    support::{
        Body, SECOND, ask, call, eager,
        faulty::{Fault, Op},
        get, handler, path_of, post, request, send, settle, slow, watched, with, wrap,
    },
};
use http::{Method, Request, Response, StatusCode};
use tokio::time::sleep;
use tokio_test::{assert_pending, task};
use tower::{Layer, Service, limit::ConcurrencyLimitLayer};
use tower_async_job::{JobBody, PendingStatus};

#[tokio::test(start_paused = true)]
async fn s29_poller_that_disconnects_leaves_the_job_alone() {
    let store = Arc::new(store());
    let layer = eager(faulty(&store));
    let (handler, lifeline, _) = watched(10 * SECOND, "done");
    let location = submit(&layer, handler).await;
    store.plan(Op::Read, Fault::Late(5 * SECOND), 1);
    let mut resource = layer.resource();
    let mut poll = task::spawn(resource.call(get(&location)));
    assert_pending!(poll.poll());
    drop(poll);
    assert!(lifeline.is_alive());
    sleep(11 * SECOND).await;
    assert_eq!(ask(&layer, get(&location)).await.body, "done");
}

#[tokio::test(start_paused = true)]
async fn s17_poller_s_node_cut_off_from_the_store_is_told_to_come_again() {
    let store = Arc::new(store());
    let layer = eager(faulty(&store));
    let location = submit(&layer, slow(SECOND, "done")).await;
    for method in [Method::GET, Method::HEAD] {
        store.plan(Op::Read, Fault::Unavailable, 1);
        let answer = ask(&layer, request(method, &location)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.header("retry-after"), "5");
        assert_eq!(
            answer.header("job-status"),
            "",
            "nothing is known of the job"
        );
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    store.plan(Op::Read, Fault::Unavailable, 1);
    let status = ask(&layer, get(&format!("{}/status", path_of(&location)))).await;
    assert_eq!(status.status, StatusCode::SERVICE_UNAVAILABLE);
    store.plan(Op::Cancel, Fault::Unavailable, 1);
    let cancelled = ask(&layer, request(Method::DELETE, &location)).await;
    assert_eq!(cancelled.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(cancelled.header("retry-after"), "5");
    sleep(2 * SECOND).await;
    assert_eq!(ask(&layer, get(&location)).await.body, "done");
}

#[tokio::test(start_paused = true)]
async fn s48_malformed_ids_are_unknown_before_any_store_access() {
    let store = Arc::new(store());
    let layer = eager(faulty(&store));
    let service = wrap(&layer, slow(SECOND, "handler"));
    let long = format!("/work/{}", "a".repeat(8000));
    let upper = format!("/work/{}", "A".repeat(32));
    let short = format!("/work/{}", "a".repeat(31));
    let encoded = format!("/work/{}%61", "a".repeat(31));
    let nested = format!("/work/{}/status/x", "a".repeat(32));
    let other = format!("/work/{}/other", "a".repeat(32));
    let slash = format!("/work/{}/", "a".repeat(32));
    let dots = format!("/work/../work/{}", "a".repeat(32));
    for path in [
        "/work/",
        "/work//",
        "/work/x",
        "/work/..",
        "/work/%2e%2e/secret",
        "/work/../../etc/passwd",
        "/work/%00",
        "/work/?poll=1",
        &long,
        &upper,
        &short,
        &encoded,
        &nested,
        &other,
        &slash,
        &dots,
    ] {
        for method in [Method::GET, Method::HEAD, Method::DELETE] {
            let answer = send(&service, request(method.clone(), path)).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
            assert_eq!(answer.header("job-status"), "unknown");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        let mounted = ask(&layer, get(path)).await;
        assert_eq!(mounted.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(store.all_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn s48_unknown_and_malformed_ids_are_answered_alike() {
    let layer = eager(builder());
    let unknown = ask(&layer, get(&format!("/work/{}", "0".repeat(32)))).await;
    let malformed = ask(&layer, get("/work/x")).await;
    assert_eq!(unknown.status, malformed.status);
    assert_eq!(unknown.headers, malformed.headers);
    assert_eq!(unknown.body, malformed.body);
}

#[tokio::test(start_paused = true)]
async fn paths_that_only_begin_like_the_base_go_to_the_handler() {
    let service = wrap(
        &eager(builder()),
        handler(|_| async { Response::new(Body::from("handler")) }),
    );
    for path in ["/work", "/workshop/x", "/works", "/", "/a/work/x"] {
        assert_eq!(send(&service, post(path)).await.body, "handler", "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn s51_head_is_bodiless_and_consumes_nothing() {
    let layer = eager(builder());
    let location = submit(&layer, slow(SECOND, "the result")).await;
    let pending = ask(&layer, request(Method::HEAD, &location))
        .await
        .pending();
    assert_eq!(pending.status, StatusCode::SEE_OTHER);
    assert!(pending.body.is_empty());
    assert_ne!(pending.location(), "");
    sleep(2 * SECOND).await;
    for _ in 0..2 {
        let head = ask(&layer, request(Method::HEAD, &location)).await;
        assert_eq!(head.status, StatusCode::OK);
        assert_eq!(head.header("job-status"), "done");
        assert_eq!(head.header("content-length"), "10");
        assert!(head.body.is_empty());
    }
    assert_eq!(ask(&layer, get(&location)).await.body, "the result");
    let unknown = ask(&layer, request(Method::HEAD, "/work/x")).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(unknown.body.is_empty());
}

#[tokio::test(start_paused = true)]
async fn s51_head_of_an_answer_without_content_has_no_length() {
    let layer = eager(builder());
    let empty = handler(|_| async {
        sleep(SECOND).await;
        Response::builder()
            .status(StatusCode::NO_CONTENT)
            .body(Body::default())
            .expect("valid")
    });
    let location = submit(&layer, empty).await;
    sleep(2 * SECOND).await;
    let head = ask(&layer, request(Method::HEAD, &location)).await;
    assert_eq!(head.status, StatusCode::NO_CONTENT);
    // Forbidden in a 204 (RFC 9110, section 8.6).
    assert_eq!(head.header("content-length"), "");
}

#[tokio::test(start_paused = true)]
async fn s51_options_tells_what_is_allowed_and_others_are_not() {
    let layer = eager(builder());
    let location = submit(&layer, slow(60 * SECOND, "late")).await;
    let preflight = with(
        with(
            request(Method::OPTIONS, &location),
            "origin",
            "https://app.example",
        ),
        "access-control-request-method",
        "DELETE",
    );
    let options = ask(&layer, preflight).await;
    assert_eq!(options.status, StatusCode::NO_CONTENT);
    assert_eq!(options.header("allow"), "GET, HEAD, DELETE, OPTIONS");
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::TRACE] {
        let answer = ask(&layer, request(method.clone(), &location)).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(answer.header("allow"), "GET, HEAD, DELETE, OPTIONS");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    ask(&layer, get(&location)).await.pending();
}

#[tokio::test(start_paused = true)]
async fn s52_conditions_and_ranges_count_only_once_the_job_has_ended() {
    for (status, expected) in [
        (PendingStatus::SeeOther, StatusCode::SEE_OTHER),
        (PendingStatus::Accepted, StatusCode::ACCEPTED),
    ] {
        let layer = eager(builder().pending_status(status));
        let tagged = handler(|_| async {
            sleep(SECOND).await;
            Response::builder()
                .header("etag", "\"v1\"")
                .body(Body::from("whole"))
                .expect("valid")
        });
        let location = submit(&layer, tagged).await;
        let conditional = || {
            let request = with(get(&location), "if-none-match", "\"v1\", *");
            let request = with(
                request,
                "if-modified-since",
                "Fri, 01 Jan 2100 00:00:00 GMT",
            );
            let request = with(request, "if-range", "\"v1\"");
            with(request, "range", "bytes=0-1")
        };
        let pending = ask(&layer, conditional()).await.pending();
        assert_eq!(pending.status, expected);
        sleep(2 * SECOND).await;
        let done = ask(&layer, conditional()).await;
        assert_eq!(done.status, StatusCode::NOT_MODIFIED);
        let part = with(
            with(get(&location), "if-range", "\"v1\""),
            "range",
            "bytes=0-1",
        );
        let part = ask(&layer, part).await;
        assert_eq!(
            (part.status, &*part.body),
            (StatusCode::PARTIAL_CONTENT, &b"wh"[..])
        );
    }
}

#[tokio::test(start_paused = true)]
async fn s58_polls_and_cancellations_are_answered_while_the_inner_service_is_busy() {
    let layer = eager(builder());
    let limited = ConcurrencyLimitLayer::new(1).layer(slow(60 * SECOND, "late"));
    let service = layer.layer(limited);
    let first = send(&service, post("/a")).await.pending();
    let second = send(&service, post("/b")).await.pending();
    send(&service, get(first.location())).await.pending();
    send(&service, get(second.location())).await.pending();
    let cancelled = send(&service, request(Method::DELETE, second.location())).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    sleep(61 * SECOND).await;
    assert_eq!(send(&service, get(first.location())).await.body, "late");
    assert_eq!(
        send(&service, get(second.location()))
            .await
            .header("job-status"),
        "cancelled"
    );
    // The place for which the cancelled one waited is free again.
    let third = send(&service, post("/c")).await.pending();
    sleep(61 * SECOND).await;
    assert_eq!(send(&service, get(third.location())).await.body, "late");
}

#[tokio::test(start_paused = true)]
async fn s58_inner_service_that_is_never_ready_does_not_block_the_resource() {
    #[derive(Clone)]
    struct NeverReady;
    impl Service<Request<JobBody<Body>>> for NeverReady {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Response<Body>, Infallible>>;
        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Infallible>> {
            std::task::Poll::Pending
        }
        fn call(&mut self, _: Request<JobBody<Body>>) -> Self::Future {
            unreachable!("called without being ready")
        }
    }
    let service = eager(builder()).layer(NeverReady);
    let accepted = send(&service, post("/a")).await.pending();
    send(&service, get(accepted.location())).await.pending();
    let cancelled = send(&service, request(Method::DELETE, accepted.location())).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn s62_forged_hints_fool_only_the_forger() {
    let layer = eager(builder());
    let location = submit(&layer, slow(60 * SECOND, "late")).await;
    let path = path_of(&location);
    for hints in [
        "?poll=4294967295&due=1",
        "?poll=99999999999999999999",
        "?poll=-1&due=-1",
        "?due=18446744073709551616",
        "?poll=&poll=7&due",
        "?%70oll=1",
        "?poll=1&poll=2&&&",
    ] {
        let answer = ask(&layer, get(&format!("{path}{hints}"))).await.pending();
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{hints}");
    }
    ask(&layer, get(&location)).await.pending();
}

#[tokio::test(start_paused = true)]
async fn cancelling_while_the_job_ends_leaves_one_or_the_other() {
    // The cancellation reaches the store before, with and after the end.
    for late in [0, 1, 2] {
        let store = Arc::new(store().then(Op::Cancel, Fault::Late(late * SECOND)));
        let layer = eager(faulty(&store));
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let handler = handler(move |_| {
            let counted = counted.clone();
            async move {
                sleep(SECOND).await;
                counted.fetch_add(1, Ordering::SeqCst);
                Response::new(Body::from("done"))
            }
        });
        let location = submit(&layer, handler).await;
        let answer = ask(&layer, request(Method::DELETE, &location)).await;
        sleep(10 * SECOND).await;
        let after = ask(&layer, get(&location)).await;
        match answer.status {
            StatusCode::ACCEPTED => assert_eq!(after.header("job-status"), "cancelled"),
            StatusCode::NO_CONTENT => assert_eq!(after.header("job-status"), "unknown"),
            other => panic!("{other}"),
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn resource_future_that_is_dropped_half_way_frees_the_job() {
    let store = Arc::new(store().then(Op::Cancel, Fault::Late(5 * SECOND)));
    let layer = eager(faulty(&store));
    let location = submit(&layer, slow(SECOND, "done")).await;
    let service = wrap(&layer, slow(SECOND, "unused"));
    let mut cancelling = task::spawn(Box::pin(call(&service, request(Method::DELETE, &location))));
    assert_pending!(cancelling.poll());
    drop(cancelling);
    settle().await;
    sleep(2 * SECOND).await;
    assert_eq!(ask(&layer, get(&location)).await.body, "done");
}

#[tokio::test(start_paused = true)]
async fn no_answer_of_the_resource_is_to_be_kept() {
    let layer = eager(builder());
    let running = submit(&layer, slow(600 * SECOND, "late")).await;
    let done = submit(&layer, slow(SECOND, "done")).await;
    sleep(2 * SECOND).await;
    for location in [&*running, &*done, "/work/x"] {
        let status = format!("{}/status", path_of(location));
        for path in [location, &*status] {
            for method in [
                Method::GET,
                Method::HEAD,
                Method::OPTIONS,
                Method::POST,
                Method::DELETE,
            ] {
                let answer = ask(&layer, request(method.clone(), path)).await;
                assert_eq!(
                    answer.header("cache-control"),
                    "no-store",
                    "{method} {path}"
                );
                if matches!(method, Method::GET | Method::HEAD) {
                    assert_ne!(answer.header("job-status"), "", "{method} {path}");
                }
            }
        }
    }
}
