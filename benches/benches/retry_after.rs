//! How many polls a job costs and how long its result waits, by strategy and by how the durations
//! of jobs are distributed; and whether the polls of very many jobs stay within their budget.
//!
//! On virtual time, with fixed seeds: two runs print the same. Nothing is measured but what the
//! estimators decide, so numbers do not depend on the machine.
//!
//! ```text
//! cargo bench -p benches --bench retry_after
//! ```
//!
//! A job is polled for until it has ended. `polls` counts these polls per job; `delay` is the time
//! from the ends to the polls that found them, divided by the time that the jobs took. The optimum
//! is the best schedule there is for the very durations that come, known beforehand, with at most
//! as many polls.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fmt,
    time::{Duration, Instant},
};

use tower_async_job::{Estimator, HalfElapsed, Learned, Pending};

const ROUTE: &str = "POST /report";
const JOBS: usize = 10_000;

fn main() {
    for (name, durations) in distributions() {
        compare(name, &durations);
    }
    load();
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

    /// Above 0, up to 1.
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
    let fixed = |seconds: u64| move |_: &Pending<'_>| Duration::from_secs(seconds);
    let backoff = |pending: &Pending<'_>| Duration::from_secs(1 << pending.polls.min(6));
    let report = |name: &str, estimator: &dyn Estimator, clock: Clock| {
        let figures = simulate(durations, arrivals, estimator, clock).figures;
        println!("  {name:38}{figures}");
        figures
    };
    let every_second = report("every second", &fixed(1), Clock::Milliseconds);
    let every_five = report("every 5 seconds", &fixed(5), Clock::Milliseconds);
    let exponential = report("1, 2, 4 … 64 seconds", &backoff, Clock::Milliseconds);
    let half_elapsed = report(
        "half of elapsed",
        &HalfElapsed::default(),
        Clock::Milliseconds,
    );
    let learned = report("learned", &Learned::new(), Clock::Milliseconds);
    report(
        "learned, client in whole seconds",
        &Learned::new(),
        Clock::Seconds,
    );
    for polls in [3.0, 8.0] {
        let name = format!("learned, {polls} polls per job");
        report(
            &name,
            &Learned::new().polls_per_job(polls),
            Clock::Milliseconds,
        );
    }
    let optimal = Optimum::of(durations, learned.polls);
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
        assert!((learned.polls - 5.0).abs() < 0.1 && learned.delay <= 1.2 * optimal.delay);
    }
}

/// What a client minds.
#[derive(Clone, Copy, PartialEq)]
enum Clock {
    Milliseconds,
    /// Retry-After alone.
    Seconds,
}

#[derive(Clone, Copy)]
struct Figures {
    polls: f64,
    delay: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:7.2} polls {:8.4} delay", self.polls, self.delay)
    }
}

struct Simulated {
    figures: Figures,
    /// Of each second.
    polls: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    // Before a poll at the same time, which finds it ended.
    End,
    Submission,
    Poll { answers: u32 },
}

/// Lets jobs arrive, end and be polled for in the order of time.
fn simulate(
    durations: &[f64],
    arrival: impl Fn(usize) -> f64,
    estimator: &dyn Estimator,
    clock: Clock,
) -> Simulated {
    let mut events = BinaryHeap::new();
    let put = |events: &mut BinaryHeap<_>, at: f64, event, job| {
        // Non-negative numbers are in the order of their bits.
        events.push(Reverse((at.to_bits(), event, job)));
    };
    for job in 0..durations.len() {
        put(&mut events, arrival(job), Event::Submission, job);
    }
    let begun = Instant::now();
    let (mut pending, mut count, mut delay) = (0, 0_usize, 0.0);
    let mut polls = Vec::new();
    while let Some(Reverse((now, event, job))) = events.pop() {
        let now = f64::from_bits(now);
        let (arrived, duration) = (arrival(job), durations[job]);
        let answers = match event {
            Event::End => {
                pending -= 1;
                estimator.completed(ROUTE, Duration::from_secs_f64(duration));
                continue;
            }
            Event::Submission => {
                pending += 1;
                put(&mut events, arrived + duration, Event::End, job);
                0
            }
            Event::Poll { answers } => {
                count += 1;
                let second = now as usize;
                if polls.len() <= second {
                    polls.resize(second + 1, 0);
                }
                polls[second] += 1;
                if now >= arrived + duration {
                    delay += now - (arrived + duration);
                    continue;
                }
                answers
            }
        };
        let mut asked = Pending::new(ROUTE, Duration::from_secs_f64(now - arrived));
        asked.polls = answers;
        asked.jobs = pending;
        asked.now = begun + Duration::from_secs_f64(now);
        let after = estimator.retry_after(&asked).as_secs_f64();
        let after = match clock {
            Clock::Milliseconds => (after * 1e3).ceil() / 1e3,
            Clock::Seconds => after.ceil().max(1.0),
        };
        let poll = Event::Poll {
            answers: answers + 1,
        };
        put(&mut events, now + after, poll, job);
    }
    Simulated {
        figures: Figures {
            polls: count as f64 / durations.len() as f64,
            delay: delay / durations.iter().sum::<f64>(),
        },
        polls,
    }
}

// ---------------------------------------------------------------------------- the optimum

struct Optimum;

impl Optimum {
    /// The best schedule with at most so many polls per job for durations that are all known, by
    /// dynamic programming in the plain quadratic way, so that it shares nothing with what it is
    /// the measure of.
    fn of(durations: &[f64], polls: f64) -> Figures {
        let mut ends = durations.to_vec();
        ends.sort_by(f64::total_cmp);
        let count = ends.len();
        let sums: Vec<f64> = std::iter::once(0.0)
            .chain(ends.iter().scan(0.0, |sum, duration| {
                *sum += duration;
                Some(*sum)
            }))
            .collect();
        let at_price = |price: f64| {
            // Of what comes after so many jobs have ended: cost, polls and delay.
            let mut best = vec![(0.0, 0.0, 0.0); count + 1];
            for from in (0..count).rev() {
                let running = (count - from) as f64;
                let mut least = (f64::INFINITY, 0.0, 0.0);
                for to in from + 1..=count {
                    let delay = ends[to - 1] * (to - from) as f64 - (sums[to] - sums[from]);
                    if price * running + delay >= least.0 {
                        // The delay only grows, and what follows costs something.
                        break;
                    }
                    let (cost, polls, delays) = best[to];
                    let cost = price * running + delay + cost;
                    if cost < least.0 {
                        least = (cost, running + polls, delay + delays);
                    }
                }
                best[from] = least;
            }
            Figures {
                polls: best[0].1 / count as f64,
                delay: best[0].2 / sums[count],
            }
        };
        // The schedules that are best at some price, just above and just below so many polls.
        let (mut cheap, mut dear) = (0.0, ends[count - 1]);
        for _ in 0..25 {
            let price = (cheap + dear) / 2.0;
            if at_price(price).polls > polls {
                cheap = price;
            } else {
                dear = price;
            }
        }
        let (more, fewer) = (at_price(cheap), at_price(dear));
        if more.polls <= polls || more.delay >= fewer.delay {
            return fewer;
        }
        // One of them for some of the jobs, the other for the rest.
        let part = (polls - fewer.polls) / (more.polls - fewer.polls);
        Figures {
            polls,
            delay: fewer.delay + part * (more.delay - fewer.delay),
        }
    }
}

// ---------------------------------------------------------------------------- load

/// 100,000 jobs submitted within ten seconds, which take ten minutes or so.
fn load() {
    const PENDING: usize = 100_000;
    const BUDGET: usize = 1_000;
    println!("\n{PENDING} jobs submitted within 10 s, lognormal, median 600 s, sigma 0.5");
    println!("polls per second, budget {BUDGET}");
    let mut random = Random(7);
    let durations: Vec<f64> = (0..PENDING).map(|_| random.lognormal(600.0, 0.5)).collect();
    let arrival = |job: usize| job as f64 / (PENDING / 10) as f64;
    let untaught = Learned::new();
    let taught = Learned::new();
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
        let simulated = simulate(&durations, arrival, estimator, Clock::Milliseconds);
        let most = simulated.polls.iter().copied().max().unwrap_or(0);
        let busy: Vec<usize> = simulated.polls.iter().copied().take(600).collect();
        let mean = busy.iter().sum::<usize>() / busy.len();
        println!(
            "  {name:38}{mean:7} in the first 10 min, {most:6} at most {}",
            simulated.figures
        );
        assert!(!has_budget || most <= BUDGET, "{name}: over the budget");
    }
}

// ---------------------------------------------------------------------------- cost

/// Real time, for the order of magnitude.
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
        let mut pending = Pending::new(ROUTE, *duration / 2);
        now += Duration::from_millis(5);
        pending.now = now;
        std::hint::black_box(estimator.retry_after(&pending));
    }
    let asked = begun.elapsed() / 100_000;
    println!("\ncost: {asked:?} per Retry-After, {completed:?} per end of a job");
}
