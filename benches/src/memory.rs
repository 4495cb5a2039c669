//! Ten thousand jobs or calls, which are held while their memory is measured.

use std::{
    any::Any,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use dashmap::DashMap;
use http::{
    Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, ETAG, LOCATION},
};
use tokio::{runtime::Runtime, sync::Notify, task::yield_now};
use tower::{Layer, Service, service_fn};
use tower_async_job::{AsyncJobLayer, JobBody, store::MemoryStore};

use crate::{Body, Headers, calls, peer, request, runtime};

/// The number of jobs, or calls, that are made.
pub const JOBS: usize = 50_000;

/// An item that is held in memory many times.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// The name of the item.
    pub name: &'static str,
    /// Creates [`JOBS`] items in this runtime. They are dropped with the returned value.
    pub make: fn(&Runtime) -> Box<dyn Any>,
}

/// All items.
#[must_use]
pub fn held() -> Vec<Held> {
    let held = |name, make| Held { name, make };
    vec![
        held("parked job", parked_jobs),
        held("parked job, no context", parked_jobs_without_context),
        held("parked, hand-written", parked_by_hand),
        held("parked, fair hand-written", parked_by_hand_fairly),
        held("stored result", stored_results),
        held("stored result, hand-written", stored_by_hand),
        held("held poll", held_polls),
        held("held handler", held_handlers),
        held("waiting call", calls::waiting),
        held("held call", calls::held),
    ]
}

/// Creates jobs of the layer.
fn parked_jobs(runtime: &Runtime) -> Box<dyn Any> {
    park(runtime, AsyncJobLayer::builder())
}

fn parked_jobs_without_context(runtime: &Runtime) -> Box<dyn Any> {
    park(runtime, AsyncJobLayer::builder().context(false))
}

fn park(runtime: &Runtime, builder: tower_async_job::Builder) -> Box<dyn Any> {
    let gate = Arc::new(Notify::new());
    let mut service = job_layer(builder).layer(waiting_handler(&gate));
    runtime.block_on(async {
        for _ in 0..JOBS {
            let Ok(response) = service.call(submission()).await;
            assert_eq!(response.status(), StatusCode::SEE_OTHER);
            yield_now().await;
        }
    });
    Box::new((service, gate))
}

/// Creates a layer that accepts every request as a job immediately.
fn job_layer(builder: tower_async_job::Builder) -> AsyncJobLayer {
    builder
        .inline_wait(Duration::ZERO)
        .store(Arc::new(MemoryStore::builder().max_jobs(JOBS).build()))
        .build()
        .expect("a valid configuration")
}

/// Creates a handler that drops the request, and holds an `Arc` while it waits.
fn waiting_handler(
    gate: &Arc<Notify>,
) -> impl Service<
    Request<JobBody<Body>>,
    Response = Response<Body>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ 'static {
    let gate = gate.clone();
    service_fn(move |_: Request<JobBody<Body>>| {
        let gate = gate.clone();
        async move {
            gate.notified().await;
            Ok::<_, Infallible>(Response::new(Body::default()))
        }
    })
}

/// Creates the same jobs, and for each a client that follows the redirect immediately, so that its poll
/// is held. The client's connection is not included.
fn held_polls(runtime: &Runtime) -> Box<dyn Any> {
    let gate = Arc::new(Notify::new());
    let builder = AsyncJobLayer::builder()
        .hold_limits(JOBS, JOBS)
        .max_hold(Duration::from_secs(3600));
    let mut service = job_layer(builder).layer(waiting_handler(&gate));
    let polls = runtime.block_on(async {
        let mut polls = Vec::with_capacity(JOBS);
        for _ in 0..JOBS {
            let Ok(response) = service.call(submission()).await;
            let location = response.headers()[LOCATION].to_str().expect("a URL");
            let poll = request(Method::GET, location, Headers::Zero);
            polls.push(held_in_memory(service.call(poll)));
            yield_now().await;
        }
        polls
    });
    Box::new((polls, service, gate))
}

/// Creates calls of the same handler without the layer, as connections hold them.
fn held_handlers(runtime: &Runtime) -> Box<dyn Any> {
    let gate = Arc::new(Notify::new());
    let mut service = waiting_handler(&gate);
    let calls = runtime.block_on(async {
        let mut calls = Vec::with_capacity(JOBS);
        for _ in 0..JOBS {
            calls.push(held_in_memory(service.call(
                request(Method::POST, "/report", Headers::Zero).map(JobBody::new),
            )));
            yield_now().await;
        }
        calls
    });
    Box::new((calls, gate))
}

/// Polls a call until it waits, in a box like in hyper.
fn held_in_memory<F: Future>(call: F) -> Pin<Box<F>> {
    let mut call = Box::pin(call);
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "the call waits");
    call
}

/// Creates a task and a map entry for each job.
fn parked_by_hand(runtime: &Runtime) -> Box<dyn Any> {
    let gate = Arc::new(Notify::new());
    let jobs = peer::plain::Jobs::default();
    runtime.block_on(async {
        for _ in 0..JOBS {
            peer::plain::spawn(&jobs, rand::random(), gate.clone());
            yield_now().await;
        }
    });
    Box::new((jobs, gate))
}

fn parked_by_hand_fairly(runtime: &Runtime) -> Box<dyn Any> {
    let gate = Arc::new(Notify::new());
    let jobs = peer::fair::Jobs::default();
    runtime.block_on(async {
        for _ in 0..JOBS {
            peer::fair::spawn(&jobs, rand::random(), gate.clone());
            yield_now().await;
        }
    });
    Box::new((jobs, gate))
}

/// Creates results of 1 KiB with two headers, which the layer stores one after the other.
fn stored_results(runtime: &Runtime) -> Box<dyn Any> {
    let handler = service_fn(move |_: Request<JobBody<Body>>| async move {
        // The task yields in the connection, while the record is created, and as a job.
        for _ in 0..3 {
            yield_now().await;
        }
        let response = Response::builder()
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(ETAG, "\"0123456789abcdef\"")
            .body(Body::from(vec![b'x'; 1024]));
        Ok::<_, Infallible>(response.expect("a valid response"))
    });
    let layer = AsyncJobLayer::builder()
        .inline_wait(Duration::ZERO)
        .store(Arc::new(MemoryStore::builder().max_jobs(JOBS).build()))
        .build()
        .expect("a valid configuration");
    let mut service = layer.layer(handler);
    runtime.block_on(async {
        for _ in 0..JOBS {
            let Ok(response) = service.call(submission()).await;
            assert_eq!(response.status(), StatusCode::SEE_OTHER);
            layer.idle().await;
        }
    });
    Box::new((service, layer))
}

/// Creates the same results as text of a head and a body in a map.
fn stored_by_hand(_: &Runtime) -> Box<dyn Any> {
    let jobs: DashMap<u128, Response<bytes::Bytes>> = DashMap::new();
    for _ in 0..JOBS {
        let response = Response::builder()
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(ETAG, "\"0123456789abcdef\"")
            .body(vec![b'x'; 1024].into());
        jobs.insert(rand::random(), response.expect("a valid response"));
    }
    Box::new(jobs)
}

fn submission() -> Request<Body> {
    request(Method::POST, "/report", Headers::Zero)
}

/// Returns the resident bytes of this process, if the system reports them.
#[must_use]
pub fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Creates a runtime and uses it, so that its own memory is not counted.
#[must_use]
pub fn warm_runtime() -> Runtime {
    let runtime = runtime();
    runtime.block_on(async {
        for _ in 0..64 {
            tokio::spawn(async {}).await.expect("it cannot fail");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    });
    runtime
}
