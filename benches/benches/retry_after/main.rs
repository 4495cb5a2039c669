//! The number of polls per job and the delay of its result, by strategy and by the distribution of the
//! jobs' durations; and a test that the polls of very many jobs stay within their budget.
//!
//! The simulation uses virtual time and fixed seeds, so that two runs print the same. It depends only on
//! the decisions of the estimators and of the client's policy, and not on the machine.
//!
//! ```text
//! cargo bench -p benches --bench retry_after
//! ```
//!
//! A job is polled until it has ended. `polls` is the number of polls per job. `delay` is the time from
//! the end of a job to the poll that finds it, divided by the duration of the job. The optimum is the
//! best possible schedule with the same number of polls, for durations that are known in advance.
//! `late` is the time that a caller waits beyond the duration of its job, divided by that duration: the
//! first figure is its median, and the second its 99th percentile. The round trip comes in addition.
//!
//! The last table has the delays of principals that share a budget, by their numbers of jobs.

mod fair;
mod optimum;
mod simulation;

use std::time::{Duration, Instant};

use tower_async_job::{Estimator, HalfElapsed, Learned, ObservedJob};

use self::simulation::{Client, Simulated, simulate};

const ROUTE: &str = "POST /report";
const JOBS: usize = 10_000;

fn main() {
    for (name, durations) in distributions() {
        compare(name, &durations);
    }
    defaults();
    load();
    fair::report();
    cost();
}

// ---------------------------------------------------------------------------- durations

fn distributions() -> [(&'static str, Vec<f64>); 4] {
    let mut random = Random(42);
    let mut make = |duration: &mut dyn FnMut(&mut Random, f64) -> f64| -> Vec<f64> {
        (0..JOBS)
            .map(|job| duration(&mut random, job as f64 / JOBS as f64))
            .collect()
    };
    [
        ("constant, 30 s", make(&mut |_, _| 30.0)),
        (
            "lognormal, median 30 s, sigma 1",
            make(&mut |random, _| random.lognormal(30.0, 1.0)),
        ),
        (
            "bimodal, half 3 s, half 60 s, each within 10 %",
            make(&mut |random, _| {
                let median = if random.uniform() < 0.5 { 3.0 } else { 60.0 };
                random.lognormal(median, 0.1)
            }),
        ),
        (
            "drifting, median from 10 s to 100 s, sigma 0.3",
            make(&mut |random, part| random.lognormal(10.0 * 10_f64.powf(part), 0.3)),
        ),
    ]
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number above 0 and up to 1.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.uniform()).cos();
        median * (sigma * normal).exp()
    }
}

// ---------------------------------------------------------------------------- strategies

fn compare(name: &str, durations: &[f64]) {
    println!("\n{name}: {JOBS} jobs, one a second");
    let arrivals = |job: usize| job as f64;
    let fixed = |seconds: u64| move |_: &ObservedJob<'_>| Duration::from_secs(seconds);
    let backoff = |pending: &ObservedJob<'_>| Duration::from_secs(1 << pending.polls.min(6));
    let report = |name: &str, estimator: &dyn Estimator, client: Client| {
        let simulated = simulate(durations, arrivals, estimator, client);
        println!("  {name:38}{simulated}");
        simulated.figures
    };
    let every_second = report("every second", &fixed(1), Client::Exact);
    let every_five = report("every 5 seconds", &fixed(5), Client::Exact);
    let exponential = report("1, 2, 4 … 64 seconds", &backoff, Client::Exact);
    let half_elapsed = report("half of elapsed", &HalfElapsed::default(), Client::Exact);
    let learned = report("learned", &Learned::new(), Client::Exact);
    report("both defaults", &Learned::new(), Client::Standard);
    report(
        "learned, client in whole seconds",
        &Learned::new(),
        Client::Seconds,
    );
    for polls in [3.0, 8.0] {
        let name = format!("learned, {polls} polls per job");
        let estimator = Learned::new().polls_per_job(polls);
        report(&name, &estimator, Client::Exact);
    }
    let optimal = optimum::of(durations, learned.polls);
    println!("  {:38}{optimal}", "optimum for as many polls as learned");
    if optimal.delay > 0.0 {
        let times = learned.delay / optimal.delay;
        println!("  learned: {times:.2} times the delay of the optimum");
    }
    for (name, other) in [
        ("every second", every_second),
        ("every 5 seconds", every_five),
        ("exponential backoff", exponential),
        ("half of elapsed", half_elapsed),
    ] {
        let better = other.polls < learned.polls && other.delay < learned.delay;
        assert!(!better, "{name} is better in both figures than learned");
    }
    if name.starts_with("lognormal") {
        assert!((learned.polls - 5.0).abs() < 0.1 && learned.delay <= 1.155 * optimal.delay);
    }
}

// ---------------------------------------------------------------------------- both defaults

/// Simulates the defaults of server and client, for short jobs of constant duration.
fn defaults() {
    const DURATION: f64 = 2.0;
    println!("\nconstant, 2 s, both defaults");
    let report = |name: &str, jobs: usize, per_second: f64, estimator: Learned| -> Simulated {
        let arrival = |job: usize| job as f64 / per_second;
        let simulated = simulate(&vec![DURATION; jobs], arrival, &estimator, Client::Standard);
        println!("  {name:38}{simulated}");
        simulated
    };
    let single = report("one job a second", JOBS, 1.0, Learned::new());
    let many = report("1,000 jobs a second", 10 * JOBS, 1_000.0, Learned::new());
    let one_core = Learned::new().polls_per_second(5_000);
    let few = report(
        "… with the budget of one core",
        10 * JOBS,
        1_000.0,
        one_core,
    );
    assert!(
        single.late(0.5) <= 0.02,
        "the answer to a single job is late"
    );
    assert!(
        many.late(0.99) <= 0.1 && few.late(0.99) <= 0.1,
        "answers are late under load"
    );
}

// ---------------------------------------------------------------------------- load

/// Simulates 100,000 jobs that are submitted within ten seconds and take about ten minutes.
fn load() {
    const PENDING: usize = 100_000;
    const BUDGET: u32 = 1_000;
    println!("\n{PENDING} jobs submitted within 10 s, lognormal, median 600 s, sigma 0.5");
    println!("polls per second, budget {BUDGET}");
    let mut random = Random(7);
    let durations: Vec<f64> = (0..PENDING).map(|_| random.lognormal(600.0, 0.5)).collect();
    let arrival = |job: usize| job as f64 / (PENDING / 10) as f64;
    let untaught = Learned::new().polls_per_second(BUDGET);
    let taught = Learned::new().polls_per_second(BUDGET);
    for _ in 0..1_000 {
        taught.completed(ROUTE, Duration::from_secs_f64(random.lognormal(600.0, 0.5)));
    }
    let half_elapsed = HalfElapsed::default();
    let strategies: [(&str, &dyn Estimator, bool); 3] = [
        ("half of elapsed", &half_elapsed, false),
        ("learned, knows nothing at first", &untaught, true),
        ("learned, knows the route", &taught, true),
    ];
    for (name, estimator, has_budget) in strategies {
        let simulated = simulate(&durations, arrival, estimator, Client::Exact);
        let most = simulated.polls.iter().copied().max().unwrap_or(0);
        let busy: Vec<usize> = simulated.polls.iter().copied().take(600).collect();
        let mean = busy.iter().sum::<usize>() / busy.len();
        println!("  {name:38}{mean:7} in the first 10 min, {most:6} at most {simulated}");
        assert!(
            !has_budget || most <= BUDGET as usize,
            "{name}: over the budget"
        );
    }
}

// ---------------------------------------------------------------------------- cost

/// Measures real time, for the order of magnitude.
fn cost() {
    let estimator = Learned::new();
    let mut random = Random(1);
    let durations: Vec<Duration> = (0..100_000)
        .map(|_| Duration::from_secs_f64(random.lognormal(30.0, 1.0)))
        .collect();
    let begun = Instant::now();
    for duration in &durations {
        estimator.completed(ROUTE, *duration);
    }
    let completed = begun.elapsed() / 100_000;
    let mut now = Instant::now();
    let begun = Instant::now();
    for duration in &durations {
        let mut pending = ObservedJob::new(ROUTE, *duration / 2);
        now += Duration::from_millis(5);
        pending.now = now;
        std::hint::black_box(estimator.retry_after(&pending));
    }
    let asked = begun.elapsed() / 100_000;
    println!("\ncost: {asked:?} per Retry-After, {completed:?} per end of a job");
}
