//! Faults of the handler, the store and the client until the acceptance is sent.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use crate::{
    assert_trailers_only, builder, faulty, store,
    support::{
        Answer, Body, SECOND, ask, eager,
        faulty::{Fault, FaultyStore, Op},
        get, grpc, handler, id_of, memory, path_of, post, send, settle, slow, watched, with, wrap,
    },
};
use http::{Request, Response, StatusCode};
use tokio::time::{Instant, sleep, timeout};
use tokio_test::{assert_pending, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_async_job::{
    AsyncJobLayer, JobBody, OnDisconnect, OnStoreFailure,
    store::{Detail, JobStore},
};

#[tokio::test(start_paused = true)]
async fn s31_inline_panic_propagates_untouched() {
    for policy in [OnDisconnect::Cancel, OnDisconnect::Detach] {
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = polls.clone();
        let inner = service_fn(move |_: Request<JobBody<Body>>| {
            let counted = counted.clone();
            std::future::poll_fn(move |_| -> Poll<Result<Response<Body>, Infallible>> {
                counted.fetch_add(1, Ordering::SeqCst);
                std::panic::panic_any("boom")
            })
        });
        let layer = builder().on_disconnect(policy).build().expect("valid");
        let mut service = layer.layer(inner);
        let panicked = tokio::spawn(service.call(post("/report")))
            .await
            .expect_err("panics");
        assert_eq!(panicked.into_panic().downcast_ref(), Some(&"boom"));
        settle().await;
        assert_eq!(
            polls.load(Ordering::SeqCst),
            1,
            "polled again after its panic: {policy:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn s31_panic_while_the_record_is_written_reaches_the_connection() {
    let store = Arc::new(store().then(Op::Create, Fault::Late(3 * SECOND)));
    let handler = handler(|_| async {
        sleep(SECOND).await;
        std::panic::panic_any("boom")
    });
    let mut service = wrap(&eager(faulty(&store)), handler);
    let begun = Instant::now();
    let panicked = tokio::spawn(service.call(post("/report")))
        .await
        .expect_err("panics");
    assert_eq!(panicked.into_panic().downcast_ref(), Some(&"boom"));
    assert_eq!(begun.elapsed(), SECOND);
    sleep(5 * SECOND).await;
    assert_eq!(store.jobs().await, 0);
}

#[tokio::test(start_paused = true)]
async fn s18_store_down_on_submit_keeps_the_call_inline() {
    for fault in [Fault::Unavailable, Fault::Full] {
        let store = Arc::new(store().then(Op::Create, fault));
        let service = wrap(&eager(faulty(&store)), slow(60 * SECOND, "late"));
        let answer = send(&service, post("/report")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body, "late");
        assert_eq!(answer.header("job-status"), "");
    }
}

#[tokio::test(start_paused = true)]
async fn s18_store_down_on_submit_refuses_where_configured() {
    for fault in [Fault::Unavailable, Fault::Full] {
        let store = Arc::new(store().then(Op::Create, fault));
        let (handler, lifeline, _) = watched(60 * SECOND, "late");
        let layer = eager(faulty(&store).on_store_failure(OnStoreFailure::Refuse));
        let answer = send(&wrap(&layer, handler), post("/report")).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.header("retry-after"), "5");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("location"), "");
        settle().await;
        assert!(!lifeline.is_alive());
    }
}

#[tokio::test(start_paused = true)]
async fn s18_grpc_refusal_is_trailers_only() {
    let store = Arc::new(store().then(Op::Create, Fault::Unavailable));
    let layer = eager(faulty(&store).on_store_failure(OnStoreFailure::Refuse));
    let answer = send(
        &wrap(&layer, slow(60 * SECOND, "late")),
        grpc("/pkg.Service/Method"),
    )
    .await;
    assert_trailers_only(&answer, "14");
}

#[tokio::test(start_paused = true)]
async fn s18_record_whose_creation_was_not_acknowledged_is_dropped() {
    for policy in [OnStoreFailure::StayInline, OnStoreFailure::Refuse] {
        let store = Arc::new(store().then(Op::Create, Fault::Unacknowledged));
        let layer = eager(faulty(&store).on_store_failure(policy));
        let answer = send(&wrap(&layer, slow(5 * SECOND, "late")), post("/report")).await;
        assert_eq!(answer.header("location"), "", "no false acceptance");
        settle().await;
        assert_eq!(
            store.jobs().await,
            0,
            "a job that nobody runs stays behind: {policy:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn s18_record_is_dropped_though_the_store_was_out_of_reach_for_that_too() {
    let store = FaultyStore::shared(30 * SECOND);
    // Stored at once, refused later, and then out of reach.
    store.plan(Op::Create, Fault::Unacknowledged, 1);
    store.plan(Op::Create, Fault::Full, 1);
    store.plan(Op::Discard, Fault::Unavailable, 3);
    let store = Arc::new(store);
    let layer = eager(faulty(&store).on_store_failure(OnStoreFailure::Refuse));
    let answer = send(&wrap(&layer, slow(60 * SECOND, "late")), post("/report")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(store.jobs().await, 1, "an unacknowledged record");
    sleep(5 * SECOND).await;
    assert_eq!((store.calls(Op::Discard), store.jobs().await), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn s18_deadline_of_a_call_does_not_begin_again_when_its_job_could_not_be_stored() {
    let store = FaultyStore::shared(30 * SECOND).times(Op::Create, Fault::Unavailable, 10);
    let store = Arc::new(store);
    let (handler, lifeline, _) = watched(60 * SECOND, "late");
    let layer = faulty(&store).on_disconnect(OnDisconnect::Detach);
    let service = wrap(&eager(layer.job_deadline(15 * SECOND)), handler);
    assert!(
        timeout(SECOND, service.oneshot(post("/report")))
            .await
            .is_err()
    );
    sleep(13 * SECOND).await;
    assert!(lifeline.is_alive());
    sleep(2 * SECOND).await;
    assert!(!lifeline.is_alive());
}

#[tokio::test(start_paused = true)]
async fn handler_that_ends_while_the_record_is_written_answers_inline_and_leaves_no_job() {
    let store = Arc::new(store().then(Op::Create, Fault::Late(3 * SECOND)));
    let service = wrap(&eager(faulty(&store)), slow(SECOND, "quick"));
    let begun = Instant::now();
    let answer = send(&service, post("/report")).await;
    assert_eq!(begun.elapsed(), SECOND);
    assert_eq!(
        (answer.status, &*answer.body),
        (StatusCode::OK, &b"quick"[..])
    );
    assert_eq!(answer.header("job-status"), "");
    sleep(5 * SECOND).await;
    assert_eq!(store.calls(Op::Discard), 1);
    assert_eq!(store.jobs().await, 0);
}

#[tokio::test(start_paused = true)]
async fn handler_is_driven_on_while_the_record_is_written() {
    let store = Arc::new(store().then(Op::Create, Fault::Late(3 * SECOND)));
    let layer = eager(faulty(&store));
    let begun = Instant::now();
    let accepted = send(&wrap(&layer, slow(5 * SECOND, "late")), post("/report"))
        .await
        .pending();
    assert_eq!(begun.elapsed(), 3 * SECOND);
    sleep(2 * SECOND + SECOND / 100).await;
    assert_eq!(ask(&layer, get(accepted.location())).await.body, "late");
}

#[tokio::test(start_paused = true)]
async fn store_that_panics_ends_in_an_answer() {
    let store = Arc::new(store().then(Op::Create, Fault::Panics));
    let answer = send(
        &wrap(&eager(faulty(&store)), slow(5 * SECOND, "late")),
        post("/report"),
    )
    .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "5");
    let store = Arc::new(FaultyStore::new(memory().build()).then(Op::Create, Fault::Panics));
    let call = grpc("/pkg.Service/Method");
    let answer = send(
        &wrap(&eager(faulty(&store)), slow(5 * SECOND, "late")),
        call,
    )
    .await;
    assert_trailers_only(&answer, "14");
}

#[tokio::test(start_paused = true)]
async fn full_node_refuses_grpc_calls_trailers_only() {
    let service = wrap(&eager(builder().limits(1, 0)), slow(60 * SECOND, "late"));
    send(&service, post("/report")).await.pending();
    let refused = send(&service, grpc("/pkg.Service/Method")).await;
    assert_trailers_only(&refused, "14");
    assert_eq!(refused.header("retry-after"), "5");
}

#[tokio::test(start_paused = true)]
async fn inline_answer_gives_its_place_back() {
    let service = wrap(
        &builder().limits(1, 0).build().expect("valid"),
        slow(SECOND / 2, "quick"),
    );
    for _ in 0..3 {
        assert_eq!(send(&service, post("/report")).await.body, "quick");
    }
}

#[tokio::test(start_paused = true)]
async fn queued_request_whose_turn_comes_within_the_inline_wait_is_answered_inline() {
    let layer = builder().limits(1, 1).build().expect("valid");
    let service = wrap(&layer, slow(SECOND / 4, "quick"));
    let second = service.clone();
    let second = tokio::spawn(async move { send(&second, post("/b")).await.body });
    assert_eq!(send(&service, post("/a")).await.body, "quick");
    assert_eq!(second.await.expect("no panic"), "quick");
}

#[tokio::test(start_paused = true)]
async fn s55_spoofed_hosts_do_not_reach_the_location() {
    let relative = wrap(&eager(builder()), slow(60 * SECOND, "late"));
    let based = eager(builder().public_base("https://api.example/work"));
    let based = wrap(&based, slow(60 * SECOND, "late"));
    let spoofed = || {
        let request = with(post("http://evil.example/report"), "host", "evil.example");
        let request = with(request, "x-forwarded-host", "evil.example");
        let request = with(request, "x-forwarded-prefix", "/evil");
        with(request, "forwarded", "host=evil.example;proto=http")
    };
    let accepted = send(&relative, spoofed()).await.pending();
    assert!(
        accepted.location().starts_with("/work/"),
        "{}",
        accepted.location()
    );
    let polled = send(
        &relative,
        with(get(accepted.location()), "host", "evil.example"),
    )
    .await;
    assert!(
        polled.location().starts_with("/work/"),
        "{}",
        polled.location()
    );
    let accepted = send(&based, spoofed()).await.pending();
    assert!(accepted.location().starts_with("https://api.example/work/"));
}

#[tokio::test(start_paused = true)]
async fn acceptance_is_sent_only_after_the_job_is_stored() {
    let store = Arc::new(store().then(Op::Create, Fault::Late(2 * SECOND)));
    let mut service = wrap(&eager(faulty(&store)), slow(60 * SECOND, "late"));
    let mut response = task::spawn(service.call(post("/report")));
    assert_pending!(response.poll());
    sleep(SECOND).await;
    assert_pending!(response.poll());
    assert_eq!(store.jobs().await, 0);
    sleep(2 * SECOND).await;
    let accepted = Answer::of(response.await.expect("infallible"))
        .await
        .pending();
    let id = id_of(path_of(accepted.location()));
    assert!(
        store
            .inner
            .read(&id, Detail::Status)
            .await
            .expect("memory")
            .is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn service_error_within_the_inline_wait_is_the_service_s_own() {
    let inner = service_fn(|_: Request<JobBody<Body>>| async {
        Err::<Response<Body>, _>(std::io::Error::other("broken"))
    });
    let error = AsyncJobLayer::new()
        .layer(inner)
        .call(post("/report"))
        .await
        .expect_err("broken");
    assert_eq!(error.to_string(), "broken");
}
