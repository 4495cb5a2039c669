//! What may go wrong between a request and its acceptance.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use crate::support::{
    Answer, Body, Lifeline, SECOND, Stream, ask, asking, call, eager,
    faulty::{Fault, FaultyStore, Op},
    get, grpc, handler, id_of, memory, path_of, post, request, send, settle, slow, stream, upload,
    watched, with, wrap,
};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use http_polling::JobState;
use tokio::time::{Instant, sleep};
use tokio_test::{assert_pending, task};
use tower::{Layer, Service, service_fn};
use tower_async_job::{
    AsyncJobLayer, Builder, JobBody, JobContext, OnDisconnect, OnStoreFailure,
    store::{Detail, JobStore},
};

fn builder() -> Builder {
    AsyncJobLayer::builder()
}

fn faulty(store: &Arc<FaultyStore>) -> Builder {
    builder().store(store.clone())
}

fn store() -> FaultyStore {
    FaultyStore::new(memory().build())
}

// ---- the submitter goes away

#[tokio::test(start_paused = true)]
async fn s30_submitter_gone_within_the_inline_wait_cancels_the_handler() {
    let (handler, lifeline, ended) = watched(5 * SECOND, "late");
    let mut service = wrap(&AsyncJobLayer::new(), handler);
    let mut response = task::spawn(service.call(post("/report")));
    assert_pending!(response.poll());
    assert!(lifeline.is_alive());
    drop(response);
    assert!(!lifeline.is_alive());
    sleep(10 * SECOND).await;
    assert_eq!(ended.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn s30_submitter_gone_within_the_inline_wait_detaches_where_configured() {
    let store = Arc::new(store());
    let layer = faulty(&store)
        .on_disconnect(OnDisconnect::Detach)
        .build()
        .expect("valid");
    let (handler, lifeline, ended) = watched(5 * SECOND, "late");
    let mut service = wrap(&layer, handler);
    let mut response = task::spawn(service.call(post("/report")));
    assert_pending!(response.poll());
    drop(response);
    assert!(lifeline.is_alive());
    sleep(6 * SECOND).await;
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert!(!lifeline.is_alive());
    assert_eq!(store.all_calls(), 0, "nobody could ask for such a job");
}

#[tokio::test(start_paused = true)]
async fn s30_submitter_gone_while_the_record_is_written_cancels_the_handler_at_once() {
    let store = Arc::new(store().then(Op::Create, Fault::Late(30 * SECOND)));
    let (handler, lifeline, ended) = watched(60 * SECOND, "late");
    let mut service = wrap(&eager(faulty(&store)), handler);
    let mut response = task::spawn(service.call(post("/report")));
    assert_pending!(response.poll());
    settle().await;
    assert_eq!(store.calls(Op::Create), 1);
    drop(response);
    settle().await;
    assert!(
        !lifeline.is_alive(),
        "the handler outlives its client while the store is slow"
    );
    sleep(100 * SECOND).await;
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    assert_eq!(store.calls(Op::Discard), 1);
    assert_eq!(store.jobs().await, 0);
}

#[tokio::test(start_paused = true)]
async fn s30_submitter_gone_while_the_record_is_written_detaches_where_configured() {
    let store = Arc::new(store().then(Op::Create, Fault::Late(3 * SECOND)));
    let (handler, _, ended) = watched(5 * SECOND, "late");
    let layer = eager(faulty(&store).on_disconnect(OnDisconnect::Detach));
    let mut service = wrap(&layer, handler);
    let mut response = task::spawn(service.call(post("/report")));
    assert_pending!(response.poll());
    settle().await;
    drop(response);
    sleep(10 * SECOND).await;
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert_eq!(store.jobs_in(JobState::Done).await, 1);
}

#[tokio::test(start_paused = true)]
async fn s30_submitter_gone_while_the_upload_is_spooled_cancels_or_detaches() {
    for policy in [OnDisconnect::Cancel, OnDisconnect::Detach] {
        let (token, lifeline) = Lifeline::new();
        let token = Arc::new(std::sync::Mutex::new(Some(token)));
        let inner = service_fn(move |request: Request<JobBody<Stream>>| {
            let token = token.lock().expect("unpoisoned").take();
            async move {
                let _token = token;
                let broken = request.into_body().collect().await.is_err();
                Ok::<_, Infallible>(Response::new(Body::from(broken.to_string())))
            }
        });
        let mut service = eager(builder().on_disconnect(policy)).layer(inner);
        let (mut sender, body) = stream();
        let mut response = task::spawn(service.call(upload("/report", body)));
        assert_pending!(response.poll());
        sender.send_data("begun".into()).await.expect("read");
        assert_pending!(response.poll());
        drop(response);
        settle().await;
        assert_eq!(lifeline.is_alive(), policy == OnDisconnect::Detach);
        // A handler that goes on alone sees how the upload ends.
        sender.abort("the connection is closed".into());
        settle().await;
        assert!(
            !lifeline.is_alive(),
            "a detached handler waits for an upload that nobody reads"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn s30_submitter_gone_after_the_acceptance_changes_nothing() {
    let layer = eager(builder());
    let (handler, _, ended) = watched(5 * SECOND, "late");
    let mut service = wrap(&layer, handler);
    let response = service.call(post("/report")).await.expect("infallible");
    let location = response.headers()["location"]
        .to_str()
        .expect("text")
        .to_owned();
    drop(response);
    drop(service);
    sleep(6 * SECOND).await;
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert_eq!(ask(&layer, get(&location)).await.body, "late");
}

#[tokio::test(start_paused = true)]
async fn s30_work_that_went_on_elsewhere_sees_that_the_submitter_has_gone() {
    let contexts = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = contexts.clone();
    let handler = handler(move |request| {
        kept.lock()
            .expect("unpoisoned")
            .push(JobContext::of(&request));
        std::future::pending()
    });
    let store = Arc::new(store().then(Op::Create, Fault::Late(3 * SECOND)));
    for layer in [AsyncJobLayer::new(), eager(faulty(&store))] {
        let mut service = wrap(&layer, handler.clone());
        let mut response = task::spawn(service.call(post("/report")));
        assert_pending!(response.poll());
        settle().await;
        let context = contexts.lock().expect("unpoisoned").pop().expect("called");
        assert!(!context.is_cancelled());
        drop(response);
        settle().await;
        assert!(context.is_cancelled());
    }
}

// ---- panics before the acceptance

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

// ---- the store at the acceptance

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

#[track_caller]
fn assert_trailers_only(answer: &Answer, code: &str) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/grpc");
    assert_eq!(answer.header("grpc-status"), code);
    assert_ne!(answer.header("grpc-message"), "");
    assert!(answer.body.is_empty());
    assert!(answer.trailers.is_none());
}

// ---- capacity

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
async fn submitter_gone_gives_its_place_back() {
    let layer = builder().limits(1, 1).build().expect("valid");
    let mut service = wrap(&layer, slow(60 * SECOND, "late"));
    let mut running = task::spawn(service.call(post("/a")));
    assert_pending!(running.poll());
    let mut queued = task::spawn(service.call(post("/b")));
    assert_pending!(queued.poll());
    assert_eq!(
        send(&service, post("/c")).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    drop(running);
    drop(queued);
    let accepted = send(&service, asking(post("/d"))).await.pending();
    assert_eq!(accepted.header("job-status"), "running");
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

// ---- uploads

/// Sleeps, then answers with the body.
fn late_echo(
    time: Duration,
) -> impl Service<Request<JobBody<Stream>>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(move |request: Request<JobBody<Stream>>| async move {
        sleep(time).await;
        let body = match request.into_body().collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => Bytes::from(error.to_string()),
        };
        Ok(Response::new(Body::from(body)))
    })
}

#[tokio::test(start_paused = true)]
async fn s36_request_over_the_spool_limit_stays_inline() {
    let store = Arc::new(store());
    let service = eager(faulty(&store).request_spool(10)).layer(late_echo(5 * SECOND));
    let (mut sender, body) = stream();
    let sending = tokio::spawn(async move {
        for _ in 0..8 {
            sender.send_data("12345".into()).await.expect("read");
            sleep(SECOND / 4).await;
        }
    });
    let begun = Instant::now();
    let answer = Answer::of(call(&service, upload("/report", body)).await).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body.len(), 40);
    assert_eq!(begun.elapsed(), 5 * SECOND);
    sending.await.expect("no panic");
    assert_eq!(store.all_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn s36_upload_that_the_handler_keeps_up_with_may_be_of_any_length() {
    let inner = service_fn(|request: Request<JobBody<Stream>>| async {
        let length = request
            .into_body()
            .collect()
            .await
            .expect("whole")
            .to_bytes()
            .len();
        sleep(5 * SECOND).await;
        Ok::<_, Infallible>(Response::new(Body::from(length.to_string())))
    });
    let layer = eager(builder().request_spool(10));
    let service = layer.layer(inner);
    let (mut sender, body) = stream();
    tokio::spawn(async move {
        for _ in 0..100 {
            sender.send_data("1234567".into()).await.expect("read");
            sleep(SECOND / 100).await;
        }
    });
    let accepted = Answer::of(call(&service, upload("/report", body)).await)
        .await
        .pending();
    sleep(6 * SECOND).await;
    assert_eq!(ask(&layer, get(accepted.location())).await.body, "700");
}

#[tokio::test(start_paused = true)]
async fn s36_request_over_the_spool_limit_is_refused_where_configured() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let handler = handler(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Response::new(Body::default()) }
    });
    let service = wrap(
        &eager(builder().request_spool(10).refuse_large_requests()),
        handler,
    );
    let refused = send(&service, with(post("/report"), "content-length", "11")).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(refused.header("retry-after"), "");
    let refused = send(
        &service,
        with(grpc("/pkg.Service/Method"), "content-length", "11"),
    )
    .await;
    assert_trailers_only(&refused, "8");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let fits = send(&service, with(post("/report"), "content-length", "10")).await;
    assert_eq!(fits.status, StatusCode::OK);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

/// A body of ever more frames of no bytes at all, or of one.
struct Crumbs {
    frame: &'static [u8],
    polled: Arc<AtomicUsize>,
}

impl http_body::Body for Crumbs {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let polled = self.polled.fetch_add(1, Ordering::SeqCst);
        assert!(polled < 10_000_000, "the spool takes any number of frames");
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(self.frame)))))
    }
}

#[tokio::test(start_paused = true)]
async fn s36_upload_in_crumbs_takes_no_more_memory_than_the_limit_allows() {
    for frame in [&b""[..], b"x"] {
        let polled = Arc::new(AtomicUsize::new(0));
        let body = Crumbs {
            frame,
            polled: polled.clone(),
        };
        let inner = service_fn(|request: Request<JobBody<Crumbs>>| async move {
            sleep(5 * SECOND).await;
            drop(request);
            Ok::<_, Infallible>(Response::new(Body::from("inline")))
        });
        let service = eager(builder()).layer(inner);
        let request = Request::post("/report").body(body).expect("valid");
        assert_eq!(
            Answer::of(call(&service, request).await).await.body,
            "inline"
        );
        let kept = polled.load(Ordering::SeqCst) * size_of::<Frame<Bytes>>();
        assert!(
            kept < 8 << 20,
            "{kept} bytes for frames of {} bytes",
            frame.len()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn s36_upload_that_breaks_while_it_is_spooled_is_seen_by_the_handler_and_makes_no_job() {
    let store = Arc::new(store());
    let service = eager(faulty(&store)).layer(late_echo(5 * SECOND));
    let (mut sender, body) = stream();
    tokio::spawn(async move {
        sender.send_data("a part".into()).await.expect("read");
        sleep(SECOND).await;
        sender.abort("cable cut".into());
    });
    let answer = Answer::of(call(&service, upload("/report", body)).await).await;
    assert_eq!(answer.body, "cable cut");
    assert_eq!(store.all_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn s37_slow_upload_is_given_up_without_a_job() {
    let store = Arc::new(store());
    let layer = faulty(&store)
        .request_read_timeout(10 * SECOND)
        .request_read_rate(0)
        .build()
        .expect("valid");
    let service = layer.layer(late_echo(Duration::ZERO));
    let (mut sender, body) = stream();
    let begun = Instant::now();
    let sending = tokio::spawn(async move {
        // What still moves is waited for.
        for _ in 0..3 {
            sender.send_data("drip".into()).await.expect("read");
            sleep(9 * SECOND).await;
        }
        sleep(60 * SECOND).await;
        assert!(
            sender.send_data("drip".into()).await.is_err(),
            "the upload is still read"
        );
    });
    let answer = Answer::of(call(&service, upload("/report", body)).await).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(begun.elapsed(), 28 * SECOND);
    assert_eq!(store.all_calls(), 0);
    sending.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn s37_slow_grpc_upload_is_given_up_trailers_only() {
    let service = eager(builder()).layer(late_echo(Duration::ZERO));
    let (_sender, body) = stream();
    let (parts, _) = grpc("/pkg.Service/Method").into_parts();
    let answer = Answer::of(call(&service, Request::from_parts(parts, body)).await).await;
    assert_trailers_only(&answer, "4");
}

#[tokio::test(start_paused = true)]
async fn upload_that_the_handler_ignores_is_read_but_not_kept() {
    let inner = service_fn(|request: Request<JobBody<Stream>>| async {
        drop(request);
        sleep(30 * SECOND).await;
        Ok::<_, Infallible>(Response::new(Body::from("done")))
    });
    let service = eager(builder().request_spool(10)).layer(inner);
    let (mut sender, body) = stream();
    tokio::spawn(async move {
        for _ in 0..100 {
            sender.send_data("1234567".into()).await.expect("read");
            sleep(SECOND / 100).await;
        }
    });
    Answer::of(call(&service, upload("/report", body)).await)
        .await
        .pending();
}

#[tokio::test(start_paused = true)]
async fn s63_streaming_upload_is_echoed_inline() {
    let inner = service_fn(|request: Request<JobBody<Stream>>| async {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    });
    let service = AsyncJobLayer::new().layer(inner);
    let (mut sender, body) = stream();
    let response = call(&service, upload("/echo", body)).await;
    let mut echoed = response.into_body();
    for _ in 0..5 {
        sender.send_data("ping".into()).await.expect("read");
        let frame = echoed
            .frame()
            .await
            .expect("not at its end")
            .expect("whole");
        assert_eq!(frame.into_data().expect("data"), "ping");
        sleep(SECOND).await;
    }
    drop(sender);
    assert!(echoed.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn s63_echo_that_begins_after_the_inline_wait_streams_inline_too() {
    let inner = service_fn(|request: Request<JobBody<Stream>>| async {
        sleep(3 * SECOND).await;
        Ok::<_, Infallible>(Response::new(request.into_body()))
    });
    let service = AsyncJobLayer::new().layer(inner);
    let (mut sender, body) = stream();
    sender.send_data("first ".into()).await.expect("read");
    let response = call(&service, upload("/echo", body)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let sending = tokio::spawn(async move {
        sleep(SECOND).await;
        sender.send_data("second".into()).await.expect("read");
    });
    let echoed = tokio::time::timeout(60 * SECOND, response.into_body().collect()).await;
    let echoed = echoed
        .expect("nobody reads the upload any more")
        .expect("whole");
    assert_eq!(echoed.to_bytes(), "first second");
    sending.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn s57_event_stream_whose_head_comes_in_time_streams_inline() {
    let store = Arc::new(store());
    let layer = faulty(&store).build().expect("valid");
    let (mut sender, body) = stream();
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    let inner = service_fn(move |_: Request<JobBody<Body>>| {
        let body = body
            .lock()
            .expect("unpoisoned")
            .take()
            .expect("called once");
        async move { Ok::<_, Infallible>(Response::new(body)) }
    });
    let mut events = call(&layer.layer(inner), post("/events")).await.into_body();
    for _ in 0..10 {
        sleep(10 * SECOND).await;
        sender.send_data("data: x\n\n".into()).await.expect("read");
        assert_eq!(
            events
                .frame()
                .await
                .expect("more")
                .expect("whole")
                .into_data()
                .expect("data"),
            "data: x\n\n"
        );
    }
    assert!(!events.is_end_stream());
    assert_eq!(store.all_calls(), 0);
}

// ---- never deferred

#[tokio::test(start_paused = true)]
async fn s56_upgrades_and_connect_are_never_deferred() {
    let store = Arc::new(store());
    let service = wrap(
        &eager(faulty(&store).limits(1, 0)),
        slow(60 * SECOND, "inline"),
    );
    let upgrade = with(
        with(get("/ws"), "upgrade", "websocket"),
        "connection",
        "upgrade",
    );
    for request in [
        asking(upgrade),
        asking(request(Method::CONNECT, "host:443")),
        asking(request(Method::TRACE, "/")),
    ] {
        assert_eq!(send(&service, request).await.body, "inline");
    }
    assert_eq!(store.all_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn s64_preflight_and_head_are_never_deferred() {
    let store = Arc::new(store());
    let service = wrap(&eager(faulty(&store)), slow(60 * SECOND, "inline"));
    let preflight = with(
        with(
            request(Method::OPTIONS, "/report"),
            "origin",
            "https://app.example",
        ),
        "access-control-request-method",
        "POST",
    );
    for request in [asking(preflight), asking(request(Method::HEAD, "/report"))] {
        let answer = send(&service, request).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("location"), "");
    }
    assert_eq!(store.all_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn grpc_is_deferred_only_when_it_asks() {
    let service = wrap(&eager(builder()), slow(60 * SECOND, "inline"));
    let silent = with(
        post("/pkg.Service/Method"),
        "content-type",
        "application/grpc",
    );
    assert_eq!(send(&service, silent).await.body, "inline");
    send(&service, grpc("/pkg.Service/Method")).await.pending();
}

// ---- what the client is told

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
