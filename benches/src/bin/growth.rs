//! What a poll costs while so many jobs are pending: `growth JOBS POLLS [count]`.
use benches::{
    Body, Headers, exchange,
    memory::{resident, warm_runtime},
    request,
};
use http::{Method, Request, Response, StatusCode, header::LOCATION};
use std::{
    collections::hash_map::DefaultHasher,
    convert::Infallible,
    hash::{Hash, Hasher},
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Notify;
use tower::{Layer, Service, service_fn};
use tower_async_job::{AsyncJobLayer, JobBody, Learned, store::MemoryStore};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let jobs: usize = arguments[0].parse().unwrap();
    let polls: usize = arguments[1].parse().unwrap();
    let mode = arguments.get(2).map_or("time", |mode| mode.as_str());
    let runtime = warm_runtime();
    let gate = Arc::new(Notify::new());
    let handler = service_fn({
        let gate = gate.clone();
        move |_: Request<JobBody<Body>>| {
            let gate = gate.clone();
            async move {
                gate.notified().await;
                Ok::<_, Infallible>(Response::new(Body::default()))
            }
        }
    });
    let estimator = if mode == "unbounded" {
        Learned::new().polls_per_second(u32::MAX)
    } else {
        Learned::new()
    };
    let layer = AsyncJobLayer::builder()
        .inline_wait(Duration::ZERO)
        .estimator(estimator)
        .store(Arc::new(MemoryStore::builder().max_jobs(2_000_000).build()))
        .build()
        .unwrap();
    let mut service = layer.layer(handler);
    let every = (jobs / 20_000).max(1);
    let mut locations = Vec::new();
    let before = resident().unwrap_or(0);
    let begun = Instant::now();
    runtime.block_on(async {
        for job in 0..jobs {
            let Ok(response) = service
                .call(request(Method::POST, "/report", Headers::Zero))
                .await;
            if job % every == 0 {
                let location = response.headers()[LOCATION].to_str().unwrap();
                let (path, _) = location.split_once('?').unwrap();
                locations.push(format!("{path}?poll=1&due=0"));
            }
            if job % 64 == 63 {
                tokio::task::yield_now().await;
            }
        }
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
    });
    let made = begun.elapsed();
    let after = resident().unwrap_or(0);
    let _entered = runtime.enter();
    // In an order that the caches do not know.
    locations.sort_by_key(|location| {
        let mut hasher = DefaultHasher::new();
        location.hash(&mut hasher);
        hasher.finish()
    });
    for location in locations.iter().take(64) {
        poll(&mut service, location);
    }
    if mode == "count" {
        counted_region(
            &mut |n| {
                for i in 0..n {
                    poll(&mut service, &locations[i % locations.len()]);
                }
            },
            polls,
        );
        return;
    }
    let mut rounds: Vec<f64> = (0..21)
        .map(|round| {
            let begun = Instant::now();
            for i in 0..polls {
                poll(
                    &mut service,
                    &locations[(i + round * polls) % locations.len()],
                );
            }
            begun.elapsed().as_nanos() as f64 / polls as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!(
        "{jobs} jobs: {:.0} bytes each, {:.2} us per submission, poll {:.0} ns median {:.0} ns least",
        (after - before) as f64 / jobs as f64,
        made.as_secs_f64() * 1e6 / jobs as f64,
        rounds[10],
        rounds[0]
    );
}

fn poll<S: Service<Request<Body>, Error = Infallible>>(service: &mut S, location: &str)
where
    S::Response: benches::server::Head,
{
    use benches::server::Head;
    let response = exchange(service, request(Method::GET, location, Headers::Two));
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    black_box(response);
}

#[inline(never)]
fn counted_region(run: &mut dyn FnMut(usize), polls: usize) {
    black_box(run)(black_box(polls));
}
