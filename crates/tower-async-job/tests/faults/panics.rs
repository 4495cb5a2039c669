//! Functions of the application that panic: each function at each moment.
//!
//! In every case only that call fails, the panic is logged, the process survives, and nothing
//! leaks: no place, spool room, hold or task.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{
    self, Answer, Body, Handler, SECOND, asking, get, handler, logged, memory, post, send, settle,
    with, wrap,
};
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::time::{sleep, timeout};
use tower::{ServiceExt, service_fn};
use tower_async_job::{
    AsyncJob, AsyncJobLayer, Estimator, JobBody, JobFuture, ObservedJob, OnDisconnect,
    store::Principal,
};

/// A function, or other code, that the application gives to the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Principal,
    Predicate,
    Route,
    Wrap,
    WrappedFuture,
    RetryAfter,
    IsGuess,
    Remaining,
    Completed,
    /// The destructor of the handler's future.
    Destructor,
    #[cfg(feature = "metrics")]
    Recorder,
}

const FUNCTIONS: &[Function] = &[
    Function::Principal,
    Function::Predicate,
    Function::Route,
    Function::Wrap,
    Function::WrappedFuture,
    Function::RetryAfter,
    Function::IsGuess,
    Function::Remaining,
    Function::Completed,
    Function::Destructor,
    #[cfg(feature = "metrics")]
    Function::Recorder,
];

/// The moment at which it panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Inline,
    Deferral,
    Keyed,
    /// The client disconnects before the call is polled.
    Unpolled,
    /// The client disconnects while the handler runs.
    Detach,
    Poll,
    Page,
    Status,
    LongPoll,
    Completed,
    Shutdown,
    /// The connection's task unwinds while it owns the call.
    Unwinding,
}

const MOMENTS: &[Moment] = &[
    Moment::Inline,
    Moment::Deferral,
    Moment::Keyed,
    Moment::Unpolled,
    Moment::Detach,
    Moment::Poll,
    Moment::Page,
    Moment::Status,
    Moment::LongPoll,
    Moment::Completed,
    Moment::Shutdown,
    Moment::Unwinding,
];

/// The function that panics, and the number of panics so far.
#[derive(Debug, Default, Clone)]
struct Armed {
    function: Arc<std::sync::Mutex<Option<Function>>>,
    panics: Arc<AtomicUsize>,
}

impl Armed {
    fn arm(&self, function: impl Into<Option<Function>>) {
        *self.function.lock().expect("unpoisoned") = function.into();
    }

    fn call(&self, function: Function) {
        let panics = *self.function.lock().expect("unpoisoned") == Some(function);
        if panics {
            self.panics.fetch_add(1, Ordering::SeqCst);
            panic!("{function:?}");
        }
    }

    fn panics(&self) -> usize {
        self.panics.load(Ordering::SeqCst)
    }
}

impl Estimator for Armed {
    fn retry_after(&self, _: &ObservedJob<'_>) -> Duration {
        self.call(Function::RetryAfter);
        20 * SECOND
    }

    fn is_guess(&self, _: &ObservedJob<'_>) -> bool {
        self.call(Function::IsGuess);
        false
    }

    fn remaining(&self, _: &ObservedJob<'_>) -> Option<Duration> {
        self.call(Function::Remaining);
        None
    }

    fn completed(&self, _: &str, _: Duration) {
        self.call(Function::Completed);
    }
}

/// A value owned by the handler.
struct Value(Armed);

impl Drop for Value {
    fn drop(&mut self) {
        self.0.call(Function::Destructor);
    }
}

/// A future that keeps its value until it is dropped, even if it has panicked.
struct Keeping<F> {
    future: std::pin::Pin<Box<F>>,
    _value: Value,
}

impl<F: Future> Future for Keeping<F> {
    type Output = F::Output;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<F::Output> {
        self.future.as_mut().poll(cx)
    }
}

/// Returns a layer with room for one call, and a handler that takes the time in the request.
fn server(policy: OnDisconnect, armed: &Armed) -> (AsyncJobLayer, AsyncJob<Handler>) {
    let of = |function| {
        let armed = armed.clone();
        move || armed.call(function)
    };
    let (principal, predicate, route) = (
        of(Function::Principal),
        of(Function::Predicate),
        of(Function::Route),
    );
    let (wrap_job, poll) = (of(Function::Wrap), of(Function::WrappedFuture));
    let layer = AsyncJobLayer::builder()
        .store(Arc::new(memory().build()))
        .on_disconnect(policy)
        .limits(1, 0)
        .hold_limits(1, 1)
        .spool_room(8)
        .principal(move |_| {
            principal();
            Some(Principal::new("somebody"))
        })
        .defer_when(move |_| {
            predicate();
            true
        })
        .route(move |_| {
            route();
            "route"
        })
        .wrap_job(move |job: JobFuture| -> JobFuture {
            wrap_job();
            let poll = poll.clone();
            Box::pin(async move {
                poll();
                job.await;
            })
        })
        .estimator(armed.clone())
        .build()
        .expect("valid");
    let value = armed.clone();
    let handler = Handler::new(service_fn(move |request: Request<JobBody<Body>>| {
        let value = Value(value.clone());
        let time = match request.uri().path() {
            "/quick" => SECOND / 2,
            _ => 5 * SECOND,
        };
        Keeping {
            _value: value,
            future: Box::pin(async move {
                sleep(time).await;
                let body = BodyExt::collect(request.into_body()).await.expect("whole");
                Ok(Response::new(Body::from(body.to_bytes())))
            }),
        }
    }));
    let service = wrap(&layer, handler);
    (layer, service)
}

fn slow() -> Request<Body> {
    post("/slow").map(|_| Body::from("12345678"))
}

/// Asserts that a call was served, or failed correctly.
#[track_caller]
fn served_or_failed(case: &str, answer: &Answer) {
    let problem = answer.header("content-type") == "application/problem+json";
    let code = answer.status.as_u16();
    // 503 if the call's task is gone, as at the end of a runtime.
    let failed = matches!(code, 500 | 503) && problem;
    assert!(failed || (200..304).contains(&code), "{case}: {answer:?}");
}

/// Makes a function panic at a moment.
async fn scenario(
    case: &str,
    (function, moment): (Function, Moment),
    (layer, service): (&AsyncJobLayer, &AsyncJob<Handler>),
    armed: &Armed,
) {
    let checked = |answer: Answer| {
        served_or_failed(case, &answer);
        answer
    };
    let submitted = async || {
        let accepted = send(service, asking(slow())).await.pending();
        accepted.location().to_owned()
    };
    match moment {
        Moment::Inline => {
            armed.arm(function);
            let service = service.clone();
            match tokio::spawn(async move { send(&service, post("/quick")).await }).await {
                Ok(answer) => drop(checked(answer)),
                // A handler's own panic within the inline wait propagates.
                Err(panicked) => assert!(panicked.is_panic() && function == Function::Destructor),
            }
        }
        Moment::Deferral => {
            armed.arm(function);
            checked(send(service, slow()).await);
        }
        Moment::Keyed => {
            armed.arm(function);
            checked(send(service, with(asking(slow()), "idempotency-key", "k")).await);
        }
        Moment::Unpolled => {
            armed.arm(function);
            drop(service.clone().oneshot(slow()));
            drop(tower::Service::call(&mut service.clone(), slow()));
            settle().await;
        }
        Moment::Detach => {
            let call = timeout(SECOND / 2, service.clone().oneshot(slow()));
            armed.arm(function);
            let _ = call.await;
        }
        Moment::Poll | Moment::Page | Moment::Status | Moment::LongPoll => {
            let location = submitted().await;
            armed.arm(function);
            let poll = match moment {
                Moment::Page => {
                    let page = with(get(&location), "accept", "text/html");
                    with(page, "sec-fetch-mode", "navigate")
                }
                Moment::Status => get(&(support::path_of(&location).to_owned() + "/status")),
                Moment::LongPoll => with(get(&location), "prefer", "wait=2"),
                _ => get(support::path_of(&location)),
            };
            checked(send(service, poll).await);
        }
        Moment::Completed => {
            let location = submitted().await;
            sleep(2 * SECOND).await;
            armed.arm(function);
            let held = with(get(&location), "prefer", "wait=10");
            checked(send(service, held).await);
        }
        Moment::Shutdown => {
            let location = submitted().await;
            armed.arm(function);
            let held = tokio::spawn({
                let (service, location) = (service.clone(), location.clone());
                async move { send(&service, get(&location)).await }
            });
            settle().await;
            layer.shutdown(2 * SECOND).await;
            checked(held.await.expect("answered"));
        }
        Moment::Unwinding => {
            let mut call = Box::pin(service.clone().oneshot(slow()));
            armed.arm(function);
            let connection = tokio::spawn(async move {
                let _ = futures_poll_once(&mut call).await;
                let _call = call;
                sleep(SECOND / 2).await;
                std::panic::panic_any("the connection's own");
            });
            let panicked = connection.await.expect_err("panics");
            assert!(panicked.is_panic(), "{case}");
        }
    }
}

async fn futures_poll_once<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_ready())
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn s65_panic_of_any_function_at_any_moment_ends_that_call_alone() {
    logged::begin();
    let mut reached = Vec::new();
    for policy in [OnDisconnect::Cancel, OnDisconnect::Detach] {
        for (function, moment) in cases() {
            let case = format!("{function:?} at {moment:?} with {policy:?}");
            let armed = Armed::default();
            #[cfg(feature = "metrics")]
            let _recorder = recorder::install(&armed);
            let (layer, service) = server(policy, &armed);
            let before = errors();
            let case_of = (function, moment);
            scenario(&case, case_of, (&layer, &service), &armed).await;
            sleep(20 * SECOND).await;
            armed.arm(None);
            let panics = armed.panics();
            let goes_through = (function, moment) == (Function::Destructor, Moment::Inline);
            let is_logged = errors() - before >= panics.min(1);
            assert!(is_logged || goes_through, "{case}: logged");
            if panics > 0 {
                reached.push((function, moment));
            }
            if moment != Moment::Shutdown {
                assert_sound(&case, &service).await;
            }
            timeout(SECOND, layer.idle()).await.expect(&case);
        }
    }
    for function in FUNCTIONS {
        let ever = reached.iter().any(|(panicked, _)| panicked == function);
        assert!(ever, "{function:?} never panicked");
    }
    for moment in MOMENTS {
        let ever = reached.iter().any(|(_, panicked)| panicked == moment);
        assert!(ever, "nothing panicked at {moment:?}");
    }
}

fn cases() -> impl Iterator<Item = (Function, Moment)> {
    let moments = MOMENTS.iter().copied();
    moments.flat_map(|moment| FUNCTIONS.iter().map(move |function| (*function, moment)))
}

/// Asserts that there is room for a call, its upload, its job and a held poll.
async fn assert_sound(case: &str, service: &AsyncJob<Handler>) {
    let quick = send(service, post("/quick")).await;
    assert_eq!(quick.status.as_u16(), 200, "{case}");
    let accepted = send(service, asking(slow())).await;
    assert_eq!(accepted.header("job-status"), "running", "{case}");
    let held = with(get(accepted.location()), "prefer", "wait=10");
    let done = send(service, held).await;
    assert_eq!(done.body, "12345678", "{case}");
    assert_eq!(done.header("preference-applied"), "wait=10", "{case}");
}

#[tokio::test(start_paused = true)]
async fn s65_job_that_no_client_was_told_of_is_deleted() {
    let armed = Armed::default();
    armed.arm(Function::RetryAfter);
    let store = Arc::new(support::faulty::FaultyStore::new(memory().build()));
    let layer = AsyncJobLayer::builder()
        .estimator(armed)
        .store(store.clone());
    let service = wrap(&support::eager(layer), support::slow(60 * SECOND, "late"));
    let failed = send(&service, post("/report")).await;
    assert_eq!(failed.status.as_u16(), 500);
    assert_eq!(failed.header("cache-control"), "no-store");
    assert_eq!(failed.json()["title"], "Internal Server Error");
    let failed = send(&service, support::grpc("/pkg.Service/Method")).await;
    assert_eq!(failed.header("grpc-status"), "13");
    settle().await;
    assert_eq!(store.jobs().await, 0);
}

#[tokio::test(start_paused = true)]
async fn s65_panic_of_work_left_by_its_client_is_logged() {
    logged::begin();
    let layer = AsyncJobLayer::builder().on_disconnect(OnDisconnect::Detach);
    let panics = handler(|_| async {
        sleep(SECOND).await;
        panic!("on purpose")
    });
    let service = wrap(&layer.build().expect("valid"), panics);
    let _ = timeout(SECOND / 2, send(&service, post("/report"))).await;
    sleep(SECOND).await;
    assert_eq!(errors(), 1);
}

/// Returns the number of logged errors.
fn errors() -> usize {
    logged::text().matches(" ERROR ").count()
}

#[cfg(feature = "metrics")]
mod recorder {
    use metrics::{
        Counter, Gauge, Histogram, Key, KeyName, LocalRecorderGuard, Metadata, Recorder,
        SharedString, Unit,
    };

    use super::{Armed, Function};

    pub(super) fn install(armed: &Armed) -> LocalRecorderGuard<'static> {
        metrics::set_default_local_recorder(Box::leak(Box::new(armed.clone())))
    }

    impl Recorder for Armed {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            self.call(Function::Recorder);
            Counter::noop()
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            self.call(Function::Recorder);
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            self.call(Function::Recorder);
            Histogram::noop()
        }
    }
}
