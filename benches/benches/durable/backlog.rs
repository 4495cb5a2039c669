//! The drain of a backlog: workers claim jobs in batches and finish them, until none is left.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep};
use tower_async_job::store::{ClaimQuery, JobId, JobStore, NewJob, Outcome, Start};

use crate::store::{request, result};

/// The number of jobs that wait at the beginning.
const JOBS: usize = 100_000;

/// The number of tasks that submit them.
const CLIENTS: usize = 256;

/// The number of workers, and of the jobs that each claims at once.
const WORKERS: usize = 4;
const BATCH: usize = 32;

/// The factor within which the 99th percentile of the last claims is that of the first.
const FLAT: f64 = 3.0;

/// Fills a store, and drains it; returns a row of the table.
pub(crate) async fn measure(name: &str, store: Arc<dyn JobStore>) -> String {
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(submit(store.clone(), JOBS.div_ceil(CLIENTS)));
    }
    let jobs = clients.join_all().await.into_iter().sum();
    let filled = jobs as f64 / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let left = Arc::new(AtomicUsize::new(jobs));
    let claims = Arc::new(Mutex::new(Vec::new()));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(work(store.clone(), left.clone(), claims.clone()));
    }
    workers.join_all().await;
    let drained = jobs as f64 / begun.elapsed().as_secs_f64();
    let claims = claims.lock().expect("no panic");
    let tenths: Vec<_> = claims.chunks(claims.len().div_ceil(10)).collect();
    let row = |share: f64| {
        let figures = tenths.iter().map(|tenth| percentile(tenth, share));
        figures.collect::<Vec<_>>()
    };
    let (half, most) = (row(0.5), row(0.99));
    let growth = most[most.len() - 1] / most[0];
    let words = |figures: &[f64]| {
        let figures = figures.iter().map(|figure| format!("{figure:.1}"));
        figures.collect::<Vec<_>>().join(" ")
    };
    format!(
        "| {name} | {filled:.0} | {drained:.0} | {} | {} | {growth:.1} | {} |",
        words(&half),
        words(&most),
        if growth <= FLAT { "yes" } else { "no" },
    )
}

/// Submits jobs one after another, which no one holds; returns their number.
async fn submit(store: Arc<dyn JobStore>, jobs: usize) -> usize {
    let request = request();
    for _ in 0..jobs {
        let job = NewJob::new(JobId::random())
            .with_start(Start::Offered)
            .with_route("/report")
            .with_request(request.clone());
        store.create(job).await.expect("there is room");
    }
    jobs
}

/// Claims jobs and finishes them until none is left, and notes the duration of each claim.
async fn work(
    store: Arc<dyn JobStore>,
    left: Arc<AtomicUsize>,
    durations: Arc<Mutex<Vec<Duration>>>,
) {
    let result = result();
    while left.load(Ordering::Relaxed) > 0 {
        let begun = Instant::now();
        let claims = store.claim(&ClaimQuery::new(BATCH)).await.expect("claims");
        let duration = begun.elapsed();
        if claims.jobs.is_empty() {
            // Others have claimed the last.
            sleep(Duration::from_millis(1)).await;
            continue;
        }
        durations.lock().expect("no panic").push(duration);
        left.fetch_sub(claims.jobs.len(), Ordering::Relaxed);
        let mut ends = JoinSet::new();
        for claim in claims.jobs {
            let (store, outcome) = (store.clone(), Outcome::Done(result.clone()));
            ends.spawn(async move { store.finish(&claim.lease, outcome.into()).await });
        }
        for end in ends.join_all().await {
            end.expect("held");
        }
    }
}

/// Returns a percentile in milliseconds.
fn percentile(durations: &[Duration], share: f64) -> f64 {
    let mut sorted = durations.to_vec();
    sorted.sort();
    let place = (sorted.len() as f64 * share).ceil() as usize;
    1e3 * sorted[place.saturating_sub(1)].as_secs_f64()
}
