//! The cases that `costs` and `growth` run in separate processes: each case under callgrind, and the
//! items held in memory with the allocator of the system.

use std::{
    env,
    hint::black_box,
    io::{Write, stdin, stdout},
    time::{Duration, Instant},
};

use benches::{Case, entries, growth, memory};

/// The number of iterations before a case is counted.
const WARM_UP: u64 = 50;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["count", name, iterations] => {
            let mut case = made(name);
            let iterations = iterations.parse().expect("a number of iterations");
            counted_region(&mut *case, iterations);
        }
        ["hold", name] => {
            let held = memory::held().into_iter().find(|held| held.name == name);
            let held = held.expect("the name of something to hold");
            let runtime = memory::warm_runtime();
            let before = memory::resident().unwrap_or(0);
            let kept = (held.make)(&runtime);
            let after = memory::resident().unwrap_or(0);
            println!("{}", after.saturating_sub(before));
            black_box(kept);
        }
        ["polls", jobs, iterations] => {
            let iterations = iterations.parse().expect("a number of iterations");
            count_polls(jobs.parse().expect("a number of jobs"), iterations);
        }
        ["pending", jobs] => {
            let runtime = memory::warm_runtime();
            let before = memory::resident().unwrap_or(0);
            let kept = growth::pending(&runtime, jobs.parse().expect("a number of jobs"));
            let after = memory::resident().unwrap_or(0);
            println!("{}", after.saturating_sub(before));
            black_box(kept);
        }
        ["stalls", jobs] => {
            let runtime = memory::warm_runtime();
            print_stalls(growth::stalls(
                &runtime,
                jobs.parse().expect("a number of jobs"),
            ));
        }
        ["sweeps", jobs] => {
            let runtime = memory::warm_runtime();
            print_stalls(growth::sweeps(
                &runtime,
                jobs.parse().expect("a number of jobs"),
            ));
        }
        ["race", case, peer] => {
            let (case, peer, ratio) = race(made(case), made(peer));
            println!("{case} {peer} {ratio}");
        }
        _ => {
            eprintln!(
                "usage: under-measurement count CASE ITERATIONS | hold NAME | race CASE PEER | \
                 polls JOBS ITERATIONS | pending JOBS | stalls JOBS | sweeps JOBS"
            );
        }
    }
}

/// Runs a case. Callgrind collects only within this function, which it finds by name.
#[inline(never)]
fn counted_region(case: &mut dyn Case, iterations: u64) {
    black_box(case).run(black_box(iterations));
}

/// Polls many jobs after a line on standard input, which announces that callgrind counts.
///
/// The jobs are made before, since callgrind would slow that down.
fn count_polls(jobs: usize, iterations: usize) {
    let runtime = memory::warm_runtime();
    let mut pending = growth::pending(&runtime, jobs);
    let _entered = runtime.enter();
    pending.poll(WARM_UP as usize);
    println!("ready");
    stdout().flush().expect("someone reads it");
    stdin().read_line(&mut String::new()).expect("a line");
    counted_polls(&mut |times| pending.poll(times), iterations);
}

/// Polls the jobs. Callgrind collects only within this function, like [`counted_region`].
#[inline(never)]
fn counted_polls(poll: &mut dyn FnMut(usize), iterations: usize) {
    black_box(poll)(black_box(iterations));
}

/// Prints a line for each stall, in nanoseconds.
fn print_stalls(stalls: Vec<(&'static str, Duration)>) {
    for (name, stall) in stalls {
        println!("{name}: {}", stall.as_nanos());
    }
}

/// Finds the case of this name, and warms it up.
fn made(name: &str) -> Box<dyn Case> {
    let entry = entries().into_iter().find(|entry| entry.name == name);
    let mut case = (entry.expect("the name of a case").make)();
    case.run(WARM_UP);
    case
}

/// Prints nanoseconds per iteration of both cases, and their ratio: medians of many turns, so that the
/// load of the machine affects both equally.
fn race(mut case: Box<dyn Case>, mut peer: Box<dyn Case>) -> (f64, f64, f64) {
    const TURNS: usize = 201;
    const ITERATIONS: u64 = 100;
    let timed = |case: &mut dyn Case| {
        let begun = Instant::now();
        case.run(ITERATIONS);
        let spent = begun.elapsed().as_nanos() as f64 / ITERATIONS as f64;
        case.reset();
        spent
    };
    let turns: Vec<(f64, f64)> = (0..TURNS)
        .map(|_| (timed(&mut *case), timed(&mut *peer)))
        .collect();
    let median = |value: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = turns.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[TURNS / 2]
    };
    (
        median(|turn| turn.0),
        median(|turn| turn.1),
        median(|turn| turn.0 / turn.1),
    )
}
