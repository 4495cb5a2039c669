//! `cargo bench -p benches --bench costs` prints the costs of the layers as one table in Markdown.
//!
//! Instructions are those of user space, which callgrind counts in a process without an instrumented
//! allocator. Allocations and requested bytes are counted in this process. Resident bytes are those of
//! a separate process, as reported by the operating system. Times are printed only as ratios of two
//! cases that take turns. The benchmark needs valgrind; without it, only the instructions are missing.
//!
//! With `-- --check`, the counts are compared with the record in `costs.json`, and a higher count is an
//! error. With `-- --record`, the counts become the record.

mod callgrind;
mod goals;
mod ratio;
mod record;
mod table;

use std::{
    alloc::System,
    collections::BTreeMap,
    hint::black_box,
    path::Path,
    process::{Command, ExitCode},
};

use benches::{entries, memory};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use self::record::{Comparison, Record, Toolchain};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The number of iterations in which allocations or instructions of a case are counted.
const ITERATIONS: u64 = 1_000;

/// The binary that runs the same cases without the instrumented allocator.
const UNDER_MEASUREMENT: &str = env!("CARGO_BIN_EXE_under-measurement");

/// The costs of all cases, per iteration.
struct Costs {
    instructions: Option<BTreeMap<&'static str, f64>>,
    allocations: BTreeMap<&'static str, f64>,
    held: BTreeMap<&'static str, Held>,
}

/// The memory of one held item, in bytes.
#[derive(Debug, Clone, Copy)]
struct Held {
    requested: f64,
    resident: f64,
}

fn main() -> ExitCode {
    let asked = |option: &str| std::env::args().any(|argument| argument == option);
    // `cargo test --benches` runs this too, without that argument.
    if !asked("--bench") {
        return ExitCode::SUCCESS;
    }
    let instructions = match callgrind::count(UNDER_MEASUREMENT, ITERATIONS, &profiles()) {
        Ok(instructions) => Some(instructions),
        Err(callgrind::Error::Missing) => {
            eprintln!(
                "valgrind is not installed (apt-get install valgrind): no instructions counted"
            );
            None
        }
        Err(callgrind::Error::Failed(reason)) => {
            eprintln!("callgrind failed: {reason}");
            return ExitCode::FAILURE;
        }
    };
    let check = asked("--check");
    let costs = Costs {
        instructions,
        allocations: count_allocations(),
        held: if check {
            BTreeMap::new()
        } else {
            measure_held()
        },
    };
    let record = Record::of(&costs);
    if check {
        return compare(record);
    }
    if asked("--record")
        && let Some(record) = record
        && let Err(error) = record.write()
    {
        eprintln!("the record could not be written: {error}");
        return ExitCode::FAILURE;
    }
    print!("{}", table::markdown(&goals::rows(&costs)));
    println!();
    print!("{}", Toolchain::markdown());
    println!();
    print!("{}", goals::traffic());
    println!();
    print!("{}", ratio::markdown(UNDER_MEASUREMENT));
    println!();
    print!("{}", goals::everything(&costs));
    ExitCode::SUCCESS
}

/// Compares a run with the record in the repository.
fn compare(run: Option<Record>) -> ExitCode {
    const RECORD_ANEW: &str = "record it by `cargo bench -p benches --bench costs -- --record`";
    let Some(run) = run else {
        return ExitCode::FAILURE;
    };
    let recorded = match Record::read() {
        Ok(recorded) => recorded,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match recorded.compare(&run) {
        Comparison::AsRecorded => println!("no case costs more than recorded"),
        Comparison::OtherToolchain(which) => {
            println!("nothing was compared, {which}: {RECORD_ANEW}")
        }
        Comparison::Worse(cases) => {
            eprintln!("worse than recorded in benches/costs.json:");
            cases.iter().for_each(|case| eprintln!("  {case}"));
            eprintln!("if that is meant to be, {RECORD_ANEW}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The folder of the profiles, one per case, for `callgrind_annotate`.
fn profiles() -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("costs")
}

fn count_allocations() -> BTreeMap<&'static str, f64> {
    entries()
        .into_iter()
        .map(|entry| {
            let mut case = (entry.make)();
            case.run(50);
            let region = Region::new(ALLOCATOR);
            case.run(ITERATIONS);
            let change = region.change();
            let count = change.allocations + change.reallocations;
            (entry.name, count as f64 / ITERATIONS as f64)
        })
        .collect()
}

fn measure_held() -> BTreeMap<&'static str, Held> {
    memory::held()
        .into_iter()
        .map(|held| {
            let runtime = memory::warm_runtime();
            let region = Region::new(ALLOCATOR);
            let kept = (held.make)(&runtime);
            let change = region.change();
            black_box(kept);
            // Both counts include the changes of size by reallocations.
            let live = change.bytes_allocated as f64 - change.bytes_deallocated as f64;
            let output = Command::new(UNDER_MEASUREMENT)
                .args(["hold", held.name])
                .output()
                .expect("the binary beside this one runs");
            let resident = String::from_utf8_lossy(&output.stdout);
            let resident: f64 = resident.trim().parse().expect("a number of bytes");
            let jobs = memory::JOBS as f64;
            let held_bytes = Held {
                requested: live / jobs,
                resident: resident / jobs,
            };
            (held.name, held_bytes)
        })
        .collect()
}
