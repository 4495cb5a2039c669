//! Principals that share a budget, and the delays that their jobs get.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

use tower_async_job::{Estimator, Learned, ObservedJob};

use crate::ROUTE;

const BUDGET: u32 = 1_000;
const SECONDS: usize = 300;

/// A group of principals with the same number of jobs each, which are submitted within a second and
/// never end.
struct Group {
    from: f64,
    principals: usize,
    jobs: usize,
}

/// The delays of a group, in seconds.
#[derive(Default)]
struct Told {
    first: f64,
    sum: f64,
    count: usize,
}

pub(crate) fn report() {
    println!("\nprincipals that share a budget of {BUDGET} polls a second");
    let crowd = || Group {
        from: 0.0,
        principals: 1,
        jobs: 10_000,
    };
    let singles = |principals| Group {
        from: 5.0,
        principals,
        jobs: 1,
    };
    let first = compare("10,000 jobs of one, 1 of another", &[crowd(), singles(1)]);
    assert!(first <= 1.0, "the single job waits for those of the crowd");
    compare(
        "10,000 jobs of one, 1 of each of 1,000",
        &[crowd(), singles(1_000)],
    );
    compare(
        "10,000 jobs of one, 1 of each of 10,000",
        &[crowd(), singles(10_000)],
    );
    compare("1 job of each of 10,000", &[singles(10_000)]);
}

/// Returns the first delay of the last group.
fn compare(name: &str, groups: &[Group]) -> f64 {
    let (told, polls) = simulate(groups, true);
    let (alone, _) = simulate(groups, false);
    let most = |polls: &[usize]| polls.iter().copied().max().unwrap_or(0);
    println!(
        "  {name}: {} polls in a second at most, {} after a minute",
        most(&polls),
        most(&polls[60..])
    );
    for ((group, told), alone) in groups.iter().zip(&told).zip(&alone) {
        println!(
            "    of {:6} jobs each: first delay {:5.2} s, mean {:5.2} s; where nothing is shared, {:5.2} and {:5.2} s",
            group.jobs,
            told.first,
            told.sum / told.count as f64,
            alone.first,
            alone.sum / alone.count as f64,
        );
    }
    told.last().map_or(0.0, |told| told.first)
}

/// Polls all jobs. Returns the delays of each group, and the number of polls in each second. If the
/// budget is not shared, the estimator gets no principals.
fn simulate(groups: &[Group], shared: bool) -> (Vec<Told>, Vec<usize>) {
    let begun = Instant::now();
    let estimator = Learned::new().polls_per_second(BUDGET);
    let mut due = BinaryHeap::new();
    let mut owned = Vec::new();
    for (
        group,
        Group {
            from,
            principals,
            jobs,
        },
    ) in groups.iter().enumerate()
    {
        for principal in 0..principals * jobs {
            let part = principal as f64 / (principals * jobs) as f64;
            let at = Duration::from_secs_f64(from + part);
            due.push(Reverse((
                at,
                None,
                group,
                owned.len() + principal % principals,
            )));
        }
        owned.resize(owned.len() + principals, 0_usize);
    }
    let mut told: Vec<Told> = groups.iter().map(|_| Told::default()).collect();
    let mut polls = vec![0; SECONDS];
    let (mut jobs, mut principals) = (0, 0);
    while let Some(Reverse((now, submitted, group, principal))) = due.pop()
        && let Some(count) = polls.get_mut(now.as_secs() as usize)
    {
        if submitted.is_some() {
            *count += 1;
        } else {
            owned[principal] += 1;
            jobs += 1;
            principals += usize::from(owned[principal] == 1);
        }
        let submitted = submitted.unwrap_or(now);
        let mut pending = ObservedJob::new(ROUTE, now - submitted);
        pending.now = begun + now;
        pending.jobs = jobs;
        pending.own_jobs = if shared { owned[principal] } else { jobs };
        pending.principals = if shared { principals } else { 1 };
        let delay = estimator.retry_after(&pending);
        let told = &mut told[group];
        if told.count == 0 {
            told.first = delay.as_secs_f64();
        }
        told.sum += delay.as_secs_f64();
        told.count += 1;
        due.push(Reverse((now + delay, Some(submitted), group, principal)));
    }
    (told, polls)
}
