//! Principals that share a budget, on a manual clock.

use std::{cmp::Reverse, collections::BinaryHeap};

use std::time::Duration;

use super::{super::time::seconds, *};

const BUDGET: u32 = 900;

/// A principal whose jobs are submitted together, at one second.
#[derive(Clone, Copy)]
struct Principal {
    from: u32,
    jobs: usize,
}

/// The delays announced to a principal's jobs, and the polls that followed.
#[derive(Clone, Default)]
struct Told {
    first: f64,
    longest: f64,
    polls: usize,
}

struct Simulated {
    told: Vec<Told>,
    /// By second.
    polls: Vec<u32>,
}

impl Simulated {
    #[track_caller]
    fn assert_at_most(&self, limit: u32, seconds: std::ops::Range<usize>) {
        let most = self.polls[seconds].iter().max().copied();
        assert!(most <= Some(limit), "{most:?} polls in a second");
    }
}

/// Polls endless jobs: a second after the last poll, or at a later announced time.
fn simulate(principals: &[Principal], length: usize) -> Simulated {
    let begun = Instant::now();
    let load = Load::new(BUDGET, begun);
    let mut due: BinaryHeap<_> = (principals.iter().enumerate())
        .flat_map(|(owner, principal)| {
            let submitted = Duration::from_secs(principal.from.into());
            std::iter::repeat_n(Reverse((submitted, true, owner)), principal.jobs)
        })
        .collect();
    let mut told = vec![Told::default(); principals.len()];
    let mut polls = vec![0; length];
    let mut own = vec![0_usize; principals.len()];
    let (mut jobs, mut owners) = (0, 0);
    while let Some(Reverse((now, is_submission, owner))) = due.pop()
        && let Some(polls) = polls.get_mut(now.as_secs() as usize)
    {
        if is_submission {
            own[owner] += 1;
            jobs += 1;
            owners += usize::from(own[owner] == 1);
        } else {
            *polls += 1;
            told[owner].polls += 1;
        }
        let mut pending = ObservedJob::new("POST /report", Duration::ZERO);
        pending.now = begun + now;
        pending.own_jobs = own[owner];
        pending.jobs = jobs;
        pending.principals = owners;
        let delay = load.raise(1.0, &pending);
        let told = &mut told[owner];
        if is_submission && own[owner] == 1 {
            told.first = delay;
        }
        told.longest = told.longest.max(delay);
        due.push(Reverse((now + seconds(delay), false, owner)));
    }
    Simulated { told, polls }
}

#[test]
fn few_jobs_of_one_principal_are_polled_as_if_another_had_none() {
    let crowd = Principal {
        from: 0,
        jobs: 10_000,
    };
    let single = Principal { from: 2, jobs: 1 };
    let simulated = simulate(&[crowd, single], 120);
    let [crowd, single] = &simulated.told[..] else {
        panic!("two principals");
    };
    assert_eq!((single.first, single.longest), (1.0, 1.0));
    assert!(crowd.longest > 10.0, "the budget is not used up");
    // The polls before its arrival, then all together.
    simulated.assert_at_most(BUDGET + 1, 0..120);
    // The budget stays in use: all slots except one in nine are full.
    let expected = 120 * (BUDGET as usize) * 3 / 4;
    assert!(crowd.polls > expected, "{} polls", crowd.polls);
}

#[test]
fn principals_with_one_job_each_share_the_budget_as_jobs_do() {
    let single = Principal { from: 0, jobs: 1 };
    let simulated = simulate(&vec![single; 3_000], 60);
    simulated.assert_at_most(BUDGET, 0..60);
    let longest = simulated.told.iter().map(|told| told.longest);
    let longest = longest.fold(0.0, f64::max);
    assert!(longest < 1.0 + 2.0 * 3_000.0 / 800.0 + 0.2, "{longest} s");
}

#[test]
fn many_principals_with_one_job_each_have_their_share_beside_a_crowd() {
    const SINGLES: usize = 2_000;
    let crowd = Principal {
        from: 0,
        jobs: 5_000,
    };
    let single = Principal { from: 3, jobs: 1 };
    let mut principals = vec![single; SINGLES];
    principals.push(crowd);
    let simulated = simulate(&principals, 90);
    let (crowd, singles) = simulated.told.split_last().expect("principals");
    // Simultaneous arrivals use up to half of the budget, on top of the polls of the crowd.
    simulated.assert_at_most(BUDGET + BUDGET / 2, 0..30);
    simulated.assert_at_most(BUDGET + BUDGET / 10, 30..90);
    let polls: usize = singles.iter().map(|told| told.polls).sum();
    let each = polls as f64 / SINGLES as f64 / 5_000_f64.recip() / crowd.polls as f64;
    assert!(each > 2.0, "a single job is polled {each} times as often");
    assert!(crowd.polls > 30 * 90, "the crowd is starved");
}

#[test]
fn principals_with_about_as_many_jobs_are_treated_alike() {
    let principal = |jobs| Principal { from: 0, jobs };
    let sizes: Vec<_> = (0..50).map(|number| principal(75 + number)).collect();
    let simulated = simulate(&sizes, 60);
    // At first, later arrivals have few jobs compared with earlier ones.
    simulated.assert_at_most(BUDGET + BUDGET / 2, 0..10);
    simulated.assert_at_most(BUDGET, 10..60);
    let each = |number: usize| simulated.told[number].polls as f64 / sizes[number].jobs as f64;
    let (fewest, most) = (each(0), each(49));
    assert!(
        (fewest / most - 1.0).abs() < 0.2,
        "{fewest} and {most} polls of a job"
    );
}
