//! The cost of many pending jobs: each poll, each job, and every other task of their thread.

use std::{
    convert::Infallible,
    hint::black_box,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use rustix::time::{ClockId, clock_gettime};
use tokio::{
    runtime::Runtime,
    sync::Notify,
    task::{JoinHandle, yield_now},
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_async_job::{
    AsyncJobLayer, JobBody,
    store::{
        Created, JobHandle, JobId, JobQuery, JobStore, MemoryStore, NewJob, Outcome,
        StoredResponse, SweepQuery,
    },
};

use crate::{Body, Headers, exchange, request, server::Head, settle};

/// The numbers of jobs that are measured.
pub const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// The number of jobs that are polled, in random order.
const POLLED: usize = 20_000;

/// Pending jobs that were made through the layer, and the layer itself.
#[derive(Debug)]
pub struct Pending<S> {
    service: S,
    layer: AsyncJobLayer,
    store: Arc<MemoryStore>,
    locations: Vec<String>,
    made: Instant,
    deadline: Duration,
}

/// A service under the layer.
pub trait Layered:
    Service<Request<Body>, Response: Head + Send, Error = Infallible, Future: Send> + Send + 'static
{
}

impl<S> Layered for S where
    S: Service<Request<Body>, Response: Head + Send, Error = Infallible, Future: Send>
        + Send
        + 'static
{
}

/// Creates a layer without jobs, over a handler that never ends.
fn none(jobs: usize, deadline: Duration) -> Pending<impl Layered> {
    let gate = Arc::new(Notify::new());
    let handler = service_fn(move |_: Request<JobBody<Body>>| {
        let gate = gate.clone();
        async move {
            gate.notified().await;
            Ok::<_, Infallible>(Response::new(Body::default()))
        }
    });
    let store = Arc::new(MemoryStore::builder().max_jobs(jobs).build());
    let layer = AsyncJobLayer::builder()
        .inline_wait(Duration::ZERO)
        .job_deadline(deadline)
        .cancellation_grace(Duration::ZERO)
        .store(store.clone())
        .build()
        .expect("a valid configuration");
    Pending {
        service: layer.layer(handler),
        layer,
        store,
        locations: Vec::new(),
        made: Instant::now(),
        deadline,
    }
}

impl<S: Layered> Pending<S> {
    async fn submit(&mut self, jobs: usize) {
        let every = (jobs / POLLED).max(1);
        for job in 0..jobs {
            let submission = request(Method::POST, "/report", Headers::Zero);
            let Ok(accepted) = self.service.call(submission).await;
            assert_eq!(accepted.status(), StatusCode::SEE_OTHER);
            if job % every == 0 {
                let (path, _) = accepted.location().split_once('?').expect("a query");
                self.locations.push(format!("{path}?poll=1&due=0"));
            }
            if job % 8 == 0 {
                yield_now().await;
            }
        }
        self.made = Instant::now();
        // Ids are random, so that their order differs from the order of creation.
        self.locations.sort_unstable();
        settle().await;
    }

    /// Polls `times` times, one job after the other.
    pub fn poll(&mut self, times: usize) {
        for location in self.locations.iter().cycle().take(times) {
            let poll = request(Method::GET, location, Headers::Two);
            let response = exchange(&mut self.service, poll);
            assert_eq!(response.status(), StatusCode::SEE_OTHER);
            black_box(response);
        }
    }
}

/// Creates pending jobs.
pub fn pending(runtime: &Runtime, jobs: usize) -> Pending<impl Layered> {
    let mut pending = none(jobs, Duration::from_secs(3600));
    runtime.block_on(pending.submit(jobs));
    pending
}

/// Measures the longest time that other tasks wait for their turn while all jobs change, in processor
/// time of the thread.
///
/// The time includes a round of the scheduler, which checks sockets and timers. Stalls named *one poll*
/// are the longest single poll of a future instead.
#[must_use]
pub fn stalls(runtime: &Runtime, jobs: usize) -> Vec<(&'static str, Duration)> {
    runtime.block_on(async {
        let mut stalls = Vec::new();
        let longest = Arc::new(AtomicU64::new(0));
        let heartbeat = heartbeat(longest.clone());
        let mut note = |name| {
            let stall = Duration::from_nanos(longest.swap(0, Ordering::Relaxed));
            stalls.push((name, stall));
        };

        let mut pending = none(jobs, deadline(jobs).await);
        pending = in_task(async move {
            pending.submit(jobs).await;
            pending
        })
        .await;
        note("created");

        pending = in_task(async move {
            for _ in 0..jobs.min(10_000) / 10 {
                pending.poll(10);
                yield_now().await;
            }
            pending
        })
        .await;
        note("polled");

        let operators = pending.layer.operator_resource();
        let mut one_poll = Duration::ZERO;
        for target in ["/", "/?limit=1000", "/?state=queued"] {
            let asked = request(Method::GET, target, Headers::Zero);
            let answered = operators.clone().oneshot(asked);
            let (answered, poll) = in_task(longest_poll(answered)).await;
            assert_eq!(answered.expect("it cannot fail").status(), StatusCode::OK);
            one_poll = one_poll.max(poll);
        }
        note("listed");
        let listed = one_poll;

        let page = pending.store.list(&JobQuery::default()).await;
        let handle = page.expect("memory is at hand").jobs[0].handle;
        let mut one_poll = Duration::ZERO;
        note("");
        for handle in [handle, JobHandle::random()] {
            let asked = request(Method::GET, &format!("/{handle}"), Headers::Zero);
            let answered = operators.clone().oneshot(asked);
            let (answered, poll) = in_task(longest_poll(answered)).await;
            let body = answered.expect("it cannot fail").into_body().collect();
            drop(body.await);
            one_poll = one_poll.max(poll);
        }
        note("found");
        let found = one_poll;

        let store = pending.store.clone();
        let sweep = async move { store.sweep(&SweepQuery::default()).await };
        let (rest, swept) = in_task(longest_poll(sweep)).await;
        assert!(rest.expect("memory is at hand").next.is_some());
        note("swept, nothing due");

        // All deadlines have passed when the thread wakes.
        thread::sleep(pending.deadline.saturating_sub(pending.made.elapsed()));
        pending.layer.idle().await;
        note("all deadlines pass");

        heartbeat.abort();

        stalls.retain(|(name, _)| !name.is_empty());
        stalls.extend([
            ("listed, one poll", listed),
            ("found, one poll", found),
            ("swept, nothing due, one poll", swept),
        ]);
        stalls
    })
}

/// Measures the stalls while a store of results of 1 KiB is swept: once when all results have expired,
/// and once when all records are deleted.
///
/// With a million results, the remaining stall is one call of `malloc`, which sorts the freed chunks.
#[must_use]
pub fn sweeps(runtime: &Runtime, jobs: usize) -> Vec<(&'static str, Duration)> {
    let ahead = Arc::new(AtomicU64::new(0));
    let seconds = ahead.clone();
    let clock = move || Instant::now() + Duration::from_secs(seconds.load(Ordering::Relaxed));
    let store = MemoryStore::builder().max_jobs(jobs).max_bytes(usize::MAX);
    let store = Arc::new(store.max_tombstones(jobs).clock(clock).build());
    runtime.block_on(async {
        for _ in 0..jobs {
            let created = store.create(NewJob::new(JobId::random())).await;
            let Ok(Created::New { lease, .. }) = created else {
                panic!("{created:?}")
            };
            let mut recorder = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 1024);
            recorder.reserve(1024);
            recorder
                .push(&[b'x'; 1024])
                .expect("it is within the limit");
            let finished = store.finish(&lease, Outcome::Done(recorder.finish(None)).into());
            finished.await.expect("there is room");
        }
        let longest = Arc::new(AtomicU64::new(0));
        let heartbeat = heartbeat(longest.clone());
        let mut one_poll = Duration::ZERO;
        for _ in 0..2 {
            ahead.fetch_add(3601, Ordering::Relaxed);
            loop {
                let store = store.clone();
                let sweep = async move { store.sweep(&SweepQuery::default()).await };
                let (rest, poll) = in_task(longest_poll(sweep)).await;
                one_poll = one_poll.max(poll);
                if rest.expect("memory is at hand").next != Some(Duration::ZERO) {
                    break;
                }
            }
        }
        heartbeat.abort();
        let stall = Duration::from_nanos(longest.load(Ordering::Relaxed));
        vec![
            ("swept, all results due", stall),
            ("swept, all results due, one poll", one_poll),
        ]
    })
}

/// Returns a deadline that passes after all jobs have been made and polled, even on a busy machine.
async fn deadline(jobs: usize) -> Duration {
    const SAMPLE: usize = 5_000;
    let begun = Instant::now();
    let mut sample = none(SAMPLE, Duration::from_secs(3600));
    sample.submit(SAMPLE).await;
    Duration::from_secs(2) + begun.elapsed() * 4 * jobs as u32 / SAMPLE as u32
}

/// Runs a future as a task among others, like a connection of a server.
async fn in_task<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    tokio::spawn(future).await.expect("it does not panic")
}

/// A task that is always ready, and records the longest time between two of its polls.
fn heartbeat(longest: Arc<AtomicU64>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut last = processor_time();
        loop {
            yield_now().await;
            let now = processor_time();
            let stall = now.saturating_sub(last).as_nanos() as u64;
            longest.fetch_max(stall, Ordering::Relaxed);
            last = now;
        }
    })
}

/// Runs a future, and returns its output and the duration of its longest poll.
async fn longest_poll<F: Future>(future: F) -> (F::Output, Duration) {
    let mut longest = Duration::ZERO;
    let mut future = pin!(future);
    let output = std::future::poll_fn(|context| {
        let begun = processor_time();
        let polled = future.as_mut().poll(context);
        longest = longest.max(processor_time().saturating_sub(begun));
        match polled {
            Poll::Ready(output) => Poll::Ready(output),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    (output, longest)
}

/// Returns the processor time of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
