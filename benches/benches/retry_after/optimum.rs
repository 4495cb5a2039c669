//! The optimal schedule.

use crate::simulation::Figures;

/// Computes the best schedule with at most `polls` polls per job, for known durations.
///
/// It uses plain quadratic dynamic programming, and shares no code with the estimators.
pub(crate) fn of(durations: &[f64], polls: f64) -> Figures {
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
        // Cost, polls and delay of the rest, by the number of jobs that have ended.
        let mut best = vec![(0.0, 0.0, 0.0); count + 1];
        for from in (0..count).rev() {
            let running = (count - from) as f64;
            let mut least = (f64::INFINITY, 0.0, 0.0);
            for to in from + 1..=count {
                let delay = ends[to - 1] * (to - from) as f64 - (sums[to] - sums[from]);
                if price * running + delay >= least.0 {
                    // The delay only grows, and the rest has a positive cost.
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
    // The optimal schedules at some price, with just more and just fewer polls than allowed.
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
    // Uses one schedule for some of the jobs, and the other one for the rest.
    let part = (polls - fewer.polls) / (more.polls - fewer.polls);
    Figures {
        polls,
        delay: fewer.delay + part * (more.delay - fewer.delay),
    }
}
