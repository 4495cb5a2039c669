//! `cargo bench -p benches --bench costs` prints what the layers cost, as one table in Markdown.
//!
//! Instructions are those of user space, counted by callgrind in a process without instrumented
//! allocator; allocations and requested bytes are counted here; resident bytes are what the
//! operating system says of a process that does nothing else; times are told as ratios only, of two
//! cases that take turns. Valgrind is the only thing to install, and without it only the instructions
//! are missing.
//!
//! With `-- --check`, the counts alone are compared with the record in `costs.json`, and anything that
//! got worse is an error. With `-- --record`, they become that record.

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

/// How often a case is done to count its allocations or instructions.
const ITERATIONS: u64 = 1_000;

/// The binary that does the same without the instrumented allocator.
const UNDER_MEASUREMENT: &str = env!("CARGO_BIN_EXE_under-measurement");

/// What all cases cost, per iteration.
struct Costs {
    instructions: Option<BTreeMap<&'static str, f64>>,
    allocations: BTreeMap<&'static str, f64>,
    held: BTreeMap<&'static str, Held>,
}

/// What one held thing takes, in bytes.
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

/// Where the profiles are left, one per case, for `callgrind_annotate`.
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
            // Both count the differences that reallocations make, too.
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
