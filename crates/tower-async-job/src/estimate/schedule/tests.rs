use super::*;

/// Returns one bin for each duration.
fn bins(durations: &[f64]) -> Vec<Bin> {
    let share = 1.0 / durations.len() as f64;
    let bin = |&end: &f64| Bin {
        end,
        mean: end,
        share,
    };
    durations.iter().map(bin).collect()
}

/// Returns the polls and the delay per job with a schedule.
fn follow(schedule: &Schedule, durations: &[f64]) -> (f64, f64) {
    let (mut polls, mut delay) = (0, 0.0);
    for duration in durations {
        let mut now = 0.0;
        while now < *duration {
            // The stops have less precision than the durations.
            now = schedule.next_after(now).expect("within what is known") + 1e-3;
            polls += 1;
        }
        delay += now - duration;
    }
    let count = durations.len() as f64;
    (f64::from(polls) / count, delay / count)
}

/// Returns the lowest cost of any schedule at a price per poll.
fn least(durations: &[f64], price: f64) -> f64 {
    let mut least = f64::INFINITY;
    // Each subset of the durations, with the last one.
    for stops in 0_u32..1 << (durations.len() - 1) {
        let (mut cost, mut from) = (0.0, 0);
        for to in 0..durations.len() {
            if to + 1 == durations.len() || stops & (1 << to) != 0 {
                cost += price * (durations.len() - from) as f64;
                cost += durations[from..=to]
                    .iter()
                    .map(|duration| durations[to] - duration)
                    .sum::<f64>();
                from = to + 1;
            }
        }
        least = least.min(cost);
    }
    least / durations.len() as f64
}

#[test]
fn plan_costs_as_little_as_the_best_of_all_schedules() {
    let durations = [0.5, 1.0, 1.1, 2.0, 4.5, 4.6, 9.0, 10.0, 30.0, 31.0];
    for price in [0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0] {
        let bins = bins(&durations);
        let mut planner = Planner::new(&bins);
        let polls = planner.plan(price);
        let (mut delay, mut from) = (0.0, 0);
        while from < durations.len() {
            let next = planner.next[from];
            delay += durations[from..=next]
                .iter()
                .map(|duration| durations[next] - duration)
                .sum::<f64>();
            from = next + 1;
        }
        let cost = price * polls + delay / durations.len() as f64;
        let least = least(&durations, price);
        assert!((cost - least).abs() < 1e-9, "{price}: {cost} for {least}");
    }
}

#[test]
fn one_poll_finds_what_always_takes_equally_long() {
    let schedule = Schedule::with_polls(&bins(&[30.0]), 5.0);
    assert_eq!(schedule.next_after(0.0), Some(30.0));
    assert_eq!(schedule.next_after(29.0), Some(30.0));
    assert_eq!(schedule.next_after(30.0), None);
    assert_eq!(schedule.median(), 30.0);
}

#[test]
fn more_polls_make_less_delay() {
    let durations: Vec<f64> = (1..=200).map(|n| f64::from(n * n) / 100.0).collect();
    let mut last = f64::INFINITY;
    for polls in [1.0, 2.0, 4.0, 8.0, 16.0] {
        let schedule = Schedule::with_polls(&bins(&durations), polls);
        let (made, delay) = follow(&schedule, &durations);
        assert!(made <= polls + 0.01 && made > 0.7 * polls, "{made} polls");
        assert!(delay < last, "{delay} s");
        last = delay;
    }
}

#[test]
fn nothing_known_is_no_schedule() {
    let schedule = Schedule::with_polls(&[], 5.0);
    assert!(schedule.is_empty());
    assert_eq!(schedule.next_after(0.0), None);
}
