//! Tests with fixed seeds and manual clocks, so that all runs are equal.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

use http_polling::Progress;

use super::{load::Load, time::now, *};

const SECOND: Duration = Duration::from_secs(1);
const ROUTE: &str = "POST /report";

/// SplitMix64.
struct Random(u64);

impl Random {
    /// Returns a number above 0, up to 1.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((mixed ^ (mixed >> 31)) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        median * (sigma * radius * (std::f64::consts::TAU * self.uniform()).cos()).exp()
    }
}

fn teach(estimator: &Learned, route: &str, duration: Duration, times: usize) {
    for _ in 0..times {
        estimator.completed(route, duration);
    }
}

fn after(estimator: &impl Estimator, route: &str, elapsed: Duration) -> Duration {
    estimator.retry_after(&ObservedJob::new(route, elapsed))
}

/// Returns one of `jobs` pending jobs.
fn among(jobs: usize, now: Instant) -> ObservedJob<'static> {
    ObservedJob {
        jobs,
        now,
        ..ObservedJob::new(ROUTE, Duration::ZERO)
    }
}

#[track_caller]
fn assert_about(actual: Duration, expected: Duration) {
    let range = expected..expected + expected / 32;
    assert!(range.contains(&actual), "{actual:?}, not {expected:?}");
}

/// Polls for jobs in sequence; returns polls per job, and the relative delay.
fn poll_for(
    estimator: &impl Estimator,
    durations: impl IntoIterator<Item = f64>,
    progress: impl Fn(f64) -> Option<Progress>,
) -> (f64, f64) {
    let begun = Instant::now();
    let (mut clock, mut jobs, mut polls, mut delay, mut sum) = (0.0, 0, 0, 0.0, 0.0);
    for duration in durations {
        let mut elapsed = 0.0;
        while elapsed < duration {
            let reported = progress(elapsed / duration);
            let mut pending = ObservedJob::new(ROUTE, Duration::from_secs_f64(elapsed));
            pending.progress = reported.as_ref();
            pending.now = begun + Duration::from_secs_f64(clock + elapsed);
            elapsed += estimator.retry_after(&pending).as_secs_f64();
            polls += 1;
        }
        estimator.completed(ROUTE, Duration::from_secs_f64(duration));
        clock += elapsed;
        jobs += 1;
        delay += elapsed - duration;
        sum += duration;
    }
    (f64::from(polls) / f64::from(jobs), delay / sum)
}

fn unreported(_: f64) -> Option<Progress> {
    None
}

#[test]
fn unknown_routes_are_asked_for_after_a_second_and_then_by_half_of_elapsed() {
    let estimator = Learned::new();
    assert_eq!(after(&estimator, ROUTE, Duration::ZERO), SECOND);
    assert_about(after(&estimator, ROUTE, 20 * SECOND), 10 * SECOND);
    assert_about(after(&estimator, ROUTE, 900 * SECOND), 60 * SECOND);
}

#[test]
fn constant_durations_cost_one_poll() {
    let estimator = Learned::new();
    teach(&estimator, ROUTE, 30 * SECOND, 20);
    assert_about(after(&estimator, ROUTE, Duration::ZERO), 30 * SECOND);
    assert_about(after(&estimator, ROUTE, 10 * SECOND), 20 * SECOND);
    let (polls, delay) = poll_for(&estimator, [30.0; 100], unreported);
    assert!(polls < 1.01 && delay < 0.02, "{polls} polls, {delay}");
}

#[test]
fn lognormal_durations_cost_five_polls_for_a_small_delay() {
    let mut random = Random(42);
    let durations = (0..10_000).map(|_| random.lognormal(30.0, 1.0));
    let (polls, delay) = poll_for(&Learned::new(), durations, unreported);
    // The optimum for 5 polls is about 0.10 to 0.11, depending on the draw.
    assert!(polls < 5.1 && delay < 0.125, "{polls} polls, {delay}");
}

#[test]
fn more_polls_buy_less_delay() {
    let poll = |polls_per_job: f64| {
        let mut random = Random(42);
        let durations = (0..2_000).map(|_| random.lognormal(30.0, 1.0));
        let estimator = Learned::new().polls_per_job(polls_per_job);
        poll_for(&estimator, durations, unreported)
    };
    let ((few, long), (many, short)) = (poll(3.0), poll(8.0));
    assert!((2.8..3.2).contains(&few) && (7.6..8.4).contains(&many));
    assert!(short < long / 2.0);
    assert!(poll(f64::NAN).0 < 1.5);
}

#[test]
fn learned_durations_follow_change() {
    let estimator = Learned::new();
    teach(&estimator, ROUTE, 5 * SECOND, 2_000);
    let (at_first, _) = poll_for(&estimator, [50.0; 20], unreported);
    assert!(at_first < 15.0, "{at_first} polls");
    let (soon, _) = poll_for(&estimator, [50.0; 200], unreported);
    assert!(soon < 3.0, "{soon} polls");
    teach(&estimator, ROUTE, 50 * SECOND, 1_000);
    let (then, delay) = poll_for(&estimator, [50.0; 100], unreported);
    assert!(then < 1.01 && delay < 0.03, "{then} polls, {delay}");
}

#[test]
fn work_beyond_all_that_is_known_is_asked_for_ever_more_rarely() {
    let estimator = Learned::new();
    teach(&estimator, ROUTE, 8 * SECOND, 100);
    assert_about(after(&estimator, ROUTE, 9 * SECOND), 9 * SECOND / 8);
    let long = after(&estimator, ROUTE, 40 * SECOND);
    assert!(long > 15 * SECOND && long < 17 * SECOND, "{long:?}");
    assert_about(after(&estimator, ROUTE, 900 * SECOND), 60 * SECOND);
}

#[test]
fn queued_jobs_wait_for_as_long_as_one_that_begins() {
    let estimator = Learned::new();
    teach(&estimator, ROUTE, 8 * SECOND, 100);
    let mut pending = ObservedJob::new(ROUTE, 2 * SECOND);
    pending.running_for = None;
    pending.attempt = 0;
    assert_about(estimator.retry_after(&pending), 8 * SECOND);
    pending.age = 40 * SECOND;
    assert_about(estimator.retry_after(&pending), 20 * SECOND);
    // After a run that came to no end, most of its age is no wait.
    pending.attempt = 1;
    assert_about(estimator.retry_after(&pending), 8 * SECOND);
    pending.age = 640 * SECOND;
    assert_about(estimator.retry_after(&pending), 20 * SECOND);
}

#[test]
fn jobs_of_silent_nodes_are_asked_for_once_they_are_taken_over() {
    let estimator = Learned::new();
    teach(&estimator, ROUTE, 600 * SECOND, 100);
    let done = Progress::fraction(0.26);
    let estimators: [&dyn Estimator; 2] = [&estimator, &HalfElapsed::default()];
    for (estimator, progress) in [
        (estimators[0], None),
        (estimators[0], Some(&done)),
        (estimators[1], None),
        (estimators[1], Some(&done)),
    ] {
        let mut pending = ObservedJob::new(ROUTE, 29 * SECOND);
        pending.progress = progress;
        for running_for in [Some(29 * SECOND), None] {
            pending.running_for = running_for;
            for left in [14, 1, 0] {
                pending.renewed_ago = Some((30 - left) * SECOND);
                pending.lease_remaining = Some(left * SECOND);
                assert_about(estimator.retry_after(&pending), (left + 1) * SECOND);
                assert!(!estimator.is_guess(&pending));
            }
        }
    }
}

#[test]
fn progress_that_may_stand_still_counts_until_a_further_run_would_end() {
    let estimator = Learned::new().between(SECOND, 3_600 * SECOND);
    let done = Progress::fraction(0.25);
    let mut pending = ObservedJob::new(ROUTE, 10 * SECOND);
    pending.progress = Some(&done);
    let mut after = |ran: u32, ago: u32| {
        pending.running_for = Some(ran * SECOND);
        pending.renewed_ago = Some(ago * SECOND);
        pending.lease_remaining = Some((30 - ago) * SECOND);
        estimator.retry_after(&pending)
    };
    // Not yet renewed: of a dead run nothing is known but its progress.
    assert_about(after(10, 10), 21 * SECOND);
    assert_about(after(14, 14), 17 * SECOND);
    // Then a further run takes as long as this one seems to take.
    assert_about(after(12, 10), (21 + 8) * SECOND);
    assert_about(after(100, 10), 300 * SECOND);
    assert_about(after(100, 0), 300 * SECOND);
    assert_about(after(4, 4), 12 * SECOND);
}

#[test]
fn progress_comes_before_what_was_learned() {
    let estimator = Learned::new();
    teach(&estimator, ROUTE, 8 * SECOND, 100);
    let half = Progress::fraction(0.5);
    let mut pending = ObservedJob::new(ROUTE, 30 * SECOND);
    pending.progress = Some(&half);
    assert_about(estimator.retry_after(&pending), 30 * SECOND);
    // Without a pace, nothing can be estimated.
    let nothing = Progress::fraction(0.0);
    pending.progress = Some(&nothing);
    pending.running_for = Some(Duration::ZERO);
    assert_about(estimator.retry_after(&pending), 8 * SECOND);
    pending.progress = Some(&half);
    assert_about(estimator.retry_after(&pending), 8 * SECOND);
}

#[test]
fn progress_needs_few_polls_and_no_past() {
    let in_steps =
        |steps: f64| move |done: f64| Some(Progress::fraction((done * steps).floor() / steps));
    for duration in [20.0, 300.0, 3_000.0] {
        let estimator = Learned::new().between(SECOND / 10, 3_600 * SECOND);
        let (polls, delay) = poll_for(&estimator, [duration], in_steps(100.0));
        assert!(polls <= 12.0 && delay < 0.1, "{duration}: {polls}, {delay}");
    }
    // Standing still at 99 % does not cause endless polls.
    let still = |done: f64| Some(Progress::fraction((done * 4.0).min(0.99)));
    let (polls, _) = poll_for(&Learned::new(), [1_000.0], still);
    assert!(polls < 70.0, "{polls} polls");
}

#[test]
fn routes_learn_apart_and_rare_ones_together() {
    let estimator = Learned::new();
    teach(&estimator, "POST /slow", 60 * SECOND, 8);
    teach(&estimator, "POST /fast", 5 * SECOND, 8);
    assert_about(after(&estimator, "POST /slow", Duration::ZERO), 60 * SECOND);
    assert_about(after(&estimator, "POST /fast", Duration::ZERO), 5 * SECOND);

    let estimator = Learned::new();
    for item in 0..100 {
        teach(&estimator, &format!("POST /items/{item}"), 20 * SECOND, 1);
    }
    assert_about(
        after(&estimator, "POST /items/new", Duration::ZERO),
        20 * SECOND,
    );
}

#[test]
fn made_up_routes_take_no_memory_and_displace_nothing() {
    let estimator = Learned::new().max_routes(4);
    teach(&estimator, ROUTE, 40 * SECOND, 8);
    for made_up in 0..20_000 {
        teach(&estimator, &format!("GET /{made_up}"), 3 * SECOND, 1);
    }
    teach(&estimator, &"x".repeat(10_000), 3 * SECOND, 20);
    assert_eq!(estimator.routes_kept(), (1, 256));
    assert_about(after(&estimator, ROUTE, Duration::ZERO), 40 * SECOND);

    for route in 0..10 {
        teach(&estimator, &format!("PUT /{route}"), 10 * SECOND, 8);
    }
    assert_eq!(estimator.routes_kept().0, 4);
    assert_about(after(&estimator, "PUT /9", Duration::ZERO), 10 * SECOND);
}

#[test]
fn bounds_hold_whatever_was_learned() {
    let estimator = Learned::new().between(2 * SECOND, 10 * SECOND);
    teach(&estimator, "short", SECOND / 10, 8);
    teach(&estimator, "long", 3_600 * SECOND, 8);
    assert_about(after(&estimator, "short", Duration::ZERO), 2 * SECOND);
    assert_about(after(&estimator, "long", Duration::ZERO), 10 * SECOND);
    assert!(after(&estimator, "long", Duration::MAX) < 11 * SECOND);
    teach(&estimator, "extremes", Duration::MAX, 4);
    teach(&estimator, "extremes", Duration::ZERO, 4);
    assert!(after(&estimator, "extremes", Duration::ZERO) <= 11 * SECOND);
}

#[test]
fn no_second_is_told_more_polls_than_the_budget() {
    const BUDGET: u32 = 90;
    let begun = Instant::now();
    let load = Load::new(BUDGET, begun);
    let jobs = 9_000;
    // All at once, with three answers each; each job has its own clock.
    let mut due = vec![0.0; jobs];
    let mut polls = vec![0; 2_000];
    for _ in 0..3 {
        due.sort_by(f64::total_cmp);
        for due in &mut due {
            let now = begun + Duration::from_secs_f64(*due);
            *due += load.raise(1.0, &among(jobs, now));
            polls[*due as usize] += 1;
        }
    }
    let most = polls.iter().max().copied();
    assert!(most <= Some(BUDGET), "{most:?}");
    // Polls are not rarer than necessary: one poll of each job takes at least 100 s.
    let latest = due.iter().copied().fold(0.0, f64::max);
    assert!(latest < 700.0, "{latest} s");
}

#[test]
fn whoever_polls_without_end_delays_others_by_little() {
    let begun = Instant::now();
    let load = Load::new(100, begun);
    for _ in 0..100_000 {
        load.raise(1.0, &among(10, begun));
    }
    let raised = load.raise(1.0, &among(10, begun));
    assert!(raised < 1.5, "{raised} s");
}

#[test]
fn small_budgets_and_no_budget_are_kept_on_average() {
    for polls in [0, 1, 5] {
        let begun = Instant::now();
        let load = Load::new(polls, begun);
        let jobs = 100;
        let latest = (0..jobs)
            .map(|_| load.raise(1.0, &among(jobs, begun)))
            .fold(0.0, f64::max);
        let needed = jobs as f64 / f64::from(polls.max(1));
        assert!(
            latest > 0.9 * needed && latest < 2.5 * needed,
            "{polls}: {latest} s"
        );
    }
}

#[test]
fn half_elapsed_keeps_its_bounds() {
    let estimator = HalfElapsed::between(SECOND, SECOND / 2);
    assert_eq!(after(&estimator, ROUTE, 100 * SECOND), SECOND);
    assert_eq!(after(&estimator, ROUTE, Duration::MAX), SECOND);
    let done = Progress::fraction(0.75);
    let mut pending = ObservedJob::new(ROUTE, 30 * SECOND);
    pending.progress = Some(&done);
    assert_eq!(HalfElapsed::default().retry_after(&pending), 10 * SECOND);
}

#[test]
fn budget_holds_for_few_jobs_that_poll_fast() {
    const JOBS: u32 = 500;
    let bounds = Duration::from_millis(10)..=Duration::from_secs(60);
    let learned = Learned::new()
        .polls_per_second(10_000)
        .between(*bounds.start(), *bounds.end());
    let begun = now();
    let progress = Progress::fraction(0.5);
    let due = (0..JOBS).map(|job| Reverse((Duration::from_micros(job.into()), job)));
    let mut due: BinaryHeap<_> = due.collect();
    let mut polls = [0; 4];
    while let Some(Reverse((at, job))) = due.pop()
        && let Some(count) = polls.get_mut(at.as_secs() as usize)
    {
        *count += 1;
        let mut pending = ObservedJob::new("POST /report", *bounds.start());
        pending.progress = Some(&progress);
        pending.jobs = JOBS as usize;
        pending.now = begun + at;
        due.push(Reverse((at + learned.retry_after(&pending), job)));
    }
    assert!(polls.iter().all(|polls| *polls <= 10_000), "{polls:?}");
}
