//! `cargo bench -p benches --bench turns` prints the cost of a place among the running jobs by the number
//! of principals that wait for one, as one table in Markdown, in a few seconds.
//!
//! Figures are nanoseconds of processor time, the least mean of several rounds, and their ratios to the
//! figures with the fewest principals. Only requests that end immediately are polled: a call takes its
//! place when it is made, and returns it when it is dropped.

use std::{
    collections::VecDeque,
    convert::Infallible,
    task::{Context, Poll, Waker},
    time::Duration,
};

use benches::{Body, Headers, request};
use http::{HeaderValue, Method, Request, Response};
use rustix::time::{ClockId, clock_gettime};
use tower::{Layer, Service};
use tower_async_job::{AsyncJob, AsyncJobLayer, JobBody, ResponseFuture, store::Principal};

/// The numbers of waiting principals.
const SIZES: [usize; 4] = [16, 1_000, 16_000, 100_000];

/// The limit of the ratio to the cost with the fewest principals, which allows for cache misses.
const LIMIT: f64 = 5.0;

const ROUNDS: usize = 8;
const TIMES: usize = 1_000;

type Layered = AsyncJob<Ready>;
type Call = ResponseFuture<Ready, Body, Body>;

/// A service that answers immediately with an empty response.
#[derive(Debug, Clone, Copy)]
struct Ready;

impl Service<Request<JobBody<Body>>> for Ready {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<JobBody<Body>>) -> Self::Future {
        std::future::ready(Ok(Response::default()))
    }
}

fn main() {
    // `cargo test --benches` runs this too, without that argument.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let rows = [
        (
            "a request beside queues of principals at their limit",
            beside as fn(usize) -> f64,
        ),
        ("a place handed on to the next in turn", handed_on),
        ("a place in a queue given up", given_up),
        ("a place in one principal's queue given up", given_up_by_one),
    ];
    println!(
        "| ns of processor time | {} | ratio to the first | limit | kept |",
        SIZES.map(|size| size.to_string()).join(" | ")
    );
    println!("|---|{}---|---:|---|", "---:|".repeat(SIZES.len()));
    for (name, measure) in rows {
        let figures = SIZES.map(measure);
        let ratios = figures.map(|figure| figure / figures[0]);
        let kept = ratios.iter().all(|ratio| *ratio <= LIMIT);
        println!(
            "| {name} | {} | {} | ≤ {LIMIT} × | {} |",
            figures.map(|figure| format!("{figure:.0}")).join(" | "),
            ratios[1..]
                .iter()
                .map(|ratio| format!("{ratio:.1}"))
                .collect::<Vec<_>>()
                .join(", "),
            if kept { "yes" } else { "no" },
        );
    }
}

fn service(limits: (usize, usize), each: (usize, usize)) -> Layered {
    let layer = AsyncJobLayer::builder()
        .principal(|head| {
            let user = head.headers.get("x-user")?.to_str().ok()?;
            Some(Principal::new(user))
        })
        .limits(limits.0, limits.1)
        .limits_per_principal(each.0, each.1)
        .build()
        .expect("a valid configuration");
    layer.layer(Ready)
}

fn call(service: &mut Layered, user: usize) -> Call {
    let mut request = request(Method::POST, "/report", Headers::Zero);
    let user = HeaderValue::from_str(&format!("tenant-{user}")).expect("text");
    request.headers_mut().insert("x-user", user);
    service.call(request)
}

/// Measures a request that ends immediately, while each principal has one running and one waiting job.
fn beside(principals: usize) -> f64 {
    let mut service = service((usize::MAX, usize::MAX), (1, 1));
    let _held: Vec<_> = [0..principals, 0..principals]
        .into_iter()
        .flatten()
        .map(|user| call(&mut service, user))
        .collect();
    least(|| {
        let mut call = Box::pin(call(&mut service, principals));
        measured(|| {
            let response = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(response.is_ready());
            drop(call);
        })
    })
}

/// Measures the return of the only place, while all principals wait for it.
fn handed_on(principals: usize) -> f64 {
    let mut service = service((1, principals), (1, 1));
    let mut calls: VecDeque<_> = (0..=principals)
        .map(|user| (user, call(&mut service, user)))
        .collect();
    least(|| {
        let (user, first) = calls.pop_front().expect("there are some");
        let took = measured(|| drop(first));
        calls.push_back((user, call(&mut service, user)));
        took
    })
}

/// Measures a place in the queue of principals that have one each.
fn given_up(principals: usize) -> f64 {
    let mut service = service((1, principals), (1, 1));
    let _running = call(&mut service, principals);
    let mut calls: Vec<_> = (0..principals)
        .map(|user| Some(call(&mut service, user)))
        .collect();
    let mut user = 0;
    least(|| {
        user = (user + 7_919) % principals;
        let waiting = calls[user].take();
        let took = measured(|| drop(waiting));
        calls[user] = Some(call(&mut service, user));
        took
    })
}

/// Measures a place in the queue of one principal that has all of them.
fn given_up_by_one(places: usize) -> f64 {
    let mut service = service((1, places), (1, places));
    let _running = call(&mut service, 0);
    let mut calls: Vec<_> = (0..places).map(|_| Some(call(&mut service, 0))).collect();
    let mut place = 0;
    least(|| {
        place = (place + 7_919) % places;
        let waiting = calls[place].take();
        let took = measured(|| drop(waiting));
        calls[place] = Some(call(&mut service, 0));
        took
    })
}

/// Returns the mean of the fastest round, in nanoseconds.
fn least(mut once: impl FnMut() -> Duration) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let spent: Duration = (0..TIMES).map(|_| once()).sum();
        spent.as_nanos() as f64 / TIMES as f64
    });
    rounds.fold(f64::INFINITY, f64::min)
}

fn measured(once: impl FnOnce()) -> Duration {
    let begun = processor_time();
    once();
    processor_time() - begun
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
