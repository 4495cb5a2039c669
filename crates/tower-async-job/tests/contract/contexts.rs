//! Contexts that outlive their handler's future: in other tasks, other threads, and bodies.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::{
    self, Body, Handler, SECOND, Stream, asking, call, eager,
    faulty::{Fault, FaultyStore, Op},
    get, handler, memory, post, send, settle, stream, with,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, channel::Sender};
use tokio::time::{sleep, timeout};
use tower::{BoxError, Layer, Service, service_fn, util::BoxCloneSyncService};
use tower_async_job::{
    AsyncJob, AsyncJobLayer, Builder, JobBody, JobContext, OnDisconnect, OnStoreFailure,
};

/// The context that a handler leaves behind.
#[derive(Debug, Default, Clone)]
struct Kept(Arc<Mutex<Option<JobContext>>>);

impl Kept {
    fn keep<B>(&self, request: &Request<B>) -> JobContext {
        let job = JobContext::of(request);
        *self.0.lock().expect("unpoisoned") = Some(job.clone());
        job
    }

    fn is_cancelled(&self) -> bool {
        let kept = self.0.lock().expect("unpoisoned");
        kept.as_ref().expect("called").is_cancelled()
    }
}

/// Returns an endless handler beneath a timeout of `time`.
fn timing_out(time: Duration, kept: &Kept) -> Handler {
    let kept = kept.clone();
    handler(move |request| {
        let job = kept.keep(&request);
        async move {
            let work = async {
                job.message("at work");
                std::future::pending::<()>().await;
            };
            let _ = timeout(time, work).await;
            let mut response = Response::new(Body::from("too late"));
            *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
            response
        }
    })
}

fn builder() -> Builder {
    AsyncJobLayer::builder()
}

fn storing(op: Op, fault: Fault) -> Builder {
    let store = FaultyStore::new(memory().build()).then(op, fault);
    builder().store(Arc::new(store))
}

#[tokio::test]
async fn s74_thread_that_asks_ends_when_a_timeout_drops_the_handler() {
    for layer in [AsyncJobLayer::new(), eager(builder())] {
        let (sender, ended) = tokio::sync::oneshot::channel();
        let sender = Arc::new(Mutex::new(Some(sender)));
        let handler = handler(move |request| {
            let job = JobContext::of(&request);
            let sender = sender.lock().expect("unpoisoned").take();
            async move {
                let work = tokio::task::spawn_blocking(move || {
                    while !job.is_cancelled() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    sender.expect("called once").send(()).expect("waited for");
                });
                let _ = timeout(Duration::from_millis(20), work).await;
                Response::new(Body::from("too late"))
            }
        });
        send(&support::wrap(&layer, handler), post("/report")).await;
        timeout(10 * SECOND, ended)
            .await
            .expect("in time")
            .expect("ended");
    }
}

#[tokio::test(start_paused = true)]
async fn s74_context_whose_handler_s_future_was_dropped_is_cancelled() {
    let late = || storing(Op::Create, Fault::Late(10 * SECOND));
    let full = || storing(Op::Create, Fault::Full).on_store_failure(OnStoreFailure::Refuse);
    let keyed = || with(asking(post("/report")), "idempotency-key", "k");
    let inline = builder().inline_wait(10 * SECOND).build().expect("valid");
    let detach = builder().on_disconnect(OnDisconnect::Detach);
    let detach = detach.inline_wait(10 * SECOND).build().expect("valid");
    for (case, layer, request) in [
        ("inline", inline, post("/report")),
        ("as a job", eager(builder()), post("/report")),
        ("with a key", AsyncJobLayer::new(), keyed()),
        ("while it is stored", eager(late()), post("/report")),
        ("by a refusal", eager(full()), post("/report")),
        ("without its client", detach, post("/report")),
    ] {
        let kept = Kept::default();
        let service = support::wrap(&layer, timing_out(5 * SECOND, &kept));
        let answer = tokio::spawn(async move {
            let wait = if case == "without its client" { 1 } else { 60 };
            timeout(wait * SECOND, send(&service, request)).await
        });
        settle().await;
        if case != "by a refusal" {
            sleep(4 * SECOND).await;
            assert!(!kept.is_cancelled(), "{case}");
            sleep(2 * SECOND).await;
        }
        assert!(kept.is_cancelled(), "{case}");
        let _ = answer.await;
    }
}

#[tokio::test(start_paused = true)]
async fn s74_wait_for_the_cancellation_ends_with_the_handler() {
    let (sender, ended) = tokio::sync::oneshot::channel::<()>();
    let sender = Arc::new(Mutex::new(Some(sender)));
    let handler = handler(move |request| {
        let (job, sender) = (
            JobContext::of(&request),
            sender.lock().expect("unpoisoned").take(),
        );
        tokio::spawn(async move {
            job.cancelled().await;
            drop(sender);
        });
        async { Response::new(Body::from("quick")) }
    });
    send(
        &support::wrap(&AsyncJobLayer::new(), handler),
        post("/report"),
    )
    .await;
    assert!(timeout(SECOND, ended).await.expect("in time").is_err());
}

#[tokio::test(start_paused = true)]
async fn s74_panic_and_error_of_a_handler_cancel_its_context() {
    for fails in [false, true] {
        let kept = Kept::default();
        let keeps = kept.clone();
        let inner = service_fn(move |request: Request<JobBody<Body>>| {
            keeps.keep(&request);
            async move {
                assert!(fails, "on purpose");
                Err::<Response<Body>, BoxError>("broken".into())
            }
        });
        let mut service = AsyncJobLayer::new().layer(inner);
        let ended = tokio::spawn(service.call(post("/report"))).await;
        assert_eq!(ended.is_ok(), fails);
        assert!(kept.is_cancelled());
    }
}

type Streaming = BoxCloneSyncService<Request<JobBody<Body>>, Response<Stream>, Infallible>;

/// Returns a service whose answers are streams that keep their context, and the sender of the
/// streams.
fn streaming(layer: &AsyncJobLayer, kept: &Kept) -> (AsyncJob<Streaming>, Sender<Bytes, BoxError>) {
    let (sender, body) = stream();
    let body = Arc::new(Mutex::new(Some(body)));
    let kept = kept.clone();
    let inner = service_fn(move |request: Request<JobBody<Body>>| {
        kept.keep(&request);
        let body = body
            .lock()
            .expect("unpoisoned")
            .take()
            .expect("called once");
        async move { Ok::<_, Infallible>(Response::new(body)) }
    });
    (layer.layer(Streaming::new(inner)), sender)
}

#[tokio::test(start_paused = true)]
async fn s74_context_lives_until_the_end_of_a_streamed_answer() {
    let kept = Kept::default();
    let (service, mut sender) = streaming(&AsyncJobLayer::new(), &kept);
    let response = call(&service, post("/report")).await;
    assert!(!kept.is_cancelled());
    let mut body = response.into_body();
    let frame = Frame::data(Bytes::from_static(b"first"));
    sender.send(frame).await.expect("read");
    body.frame().await.expect("a frame").expect("whole");
    assert!(!kept.is_cancelled());
    drop(body);
    assert!(kept.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn s74_context_lives_until_the_end_of_a_recorded_answer() {
    let kept = Kept::default();
    let (service, sender) = streaming(&AsyncJobLayer::new(), &kept);
    let request = with(asking(post("/report")), "idempotency-key", "k");
    let response = call(&service, request).await;
    let location = response.headers()["location"].to_str().expect("text");
    sleep(SECOND).await;
    assert!(!kept.is_cancelled());
    drop(sender);
    send(&service, with(get(location), "prefer", "wait=10")).await;
    assert!(kept.is_cancelled());
}
