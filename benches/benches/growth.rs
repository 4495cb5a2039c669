//! `cargo bench -p benches --bench growth` prints the costs by the number of pending jobs, as one table
//! in Markdown, in about three minutes.
//!
//! Every figure comes from a separate process. Instructions are those of user space, which callgrind
//! counts for polls through the layer; without valgrind they are missing. Stalls are in processor time
//! of the single thread, so that other processes do not affect them: the longest time that another task
//! waits for its turn, while sockets and timers are checked in between, or the longest single poll of a
//! future if the row says so.
//!
//! Stalls are measured without the fast bins of glibc's allocator. With fast bins, glibc defers the
//! merging of small freed chunks to one later call of `free`, which takes a second after a million jobs
//! have ended.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    path::Path,
    process::{Command, Stdio, exit},
    thread,
};

use benches::growth::SIZES;

/// The binary that is measured.
const UNDER_MEASUREMENT: &str = env!("CARGO_BIN_EXE_under-measurement");

/// The number of polls that are counted.
const POLLS: usize = 2_000;

/// The limit of the ratio of instructions with the most jobs to those with the fewest.
const MORE_INSTRUCTIONS: f64 = 1.05;

/// The limits in milliseconds: of any stall, and of one poll for operators.
const STALL: f64 = 2.0;
const ONE_POLL: f64 = 1.0;

/// One line of the table: a figure for each size.
struct Row {
    name: String,
    figures: [Option<f64>; SIZES.len()],
    goal: String,
    kept: bool,
}

fn main() {
    // `cargo test --benches` runs this too, without that argument.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let (instructions, resident, stalls) = thread::scope(|scope| {
        let counted = scope.spawn(|| SIZES.map(instructions));
        let resident = SIZES.map(resident);
        let stalls = SIZES.map(stalls);
        (counted.join().expect("no panic"), resident, stalls)
    });
    let mut rows = vec![instructions_row(instructions), resident_row(resident)];
    rows.extend(stall_rows(&stalls));
    print!("{}", markdown(&rows));
}

/// Counts the user instructions of one poll while `jobs` jobs are pending. Returns `None` without
/// valgrind.
fn instructions(jobs: usize) -> Option<f64> {
    let profiles = Path::new(env!("CARGO_TARGET_TMPDIR")).join("growth");
    std::fs::create_dir_all(&profiles).expect("a folder for the profiles");
    let profile = profiles.join(format!("polls-{jobs}"));
    let child = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--instr-atstart=no",
            "--collect-atstart=no",
        ])
        .arg("--toggle-collect=under_measurement::counted_polls")
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .args([
            UNDER_MEASUREMENT,
            "polls",
            &jobs.to_string(),
            &POLLS.to_string(),
        ])
        // The cost of malloc and free then hardly depends on earlier allocations.
        .env(
            "GLIBC_TUNABLES",
            "glibc.malloc.tcache_max=8192:glibc.malloc.tcache_count=64",
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!(
                "valgrind is not installed (apt-get install valgrind): no instructions counted"
            );
            return None;
        }
        child => child.expect("valgrind runs"),
    };
    let mut ready = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    output.read_line(&mut ready).expect("a line");
    let on = Command::new("callgrind_control")
        .args(["--instr=on", &child.id().to_string()])
        .output()
        .expect("it comes with valgrind");
    assert!(on.status.success(), "{on:?}");
    let mut input = child.stdin.take().expect("a pipe");
    writeln!(input, "count").expect("it waits for a line");
    let mut errors = String::new();
    let mut stderr = child.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut errors).expect("text");
    let status = child.wait().expect("it ends");
    assert!(status.success(), "{errors}");
    let profile = std::fs::read_to_string(profile).expect("a profile");
    let totals = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals:"))
        .expect("a total");
    let total: f64 = totals.trim().parse().expect("a number");
    if total == 0.0 {
        eprintln!("nothing was counted: {errors}");
        exit(1);
    }
    Some(total / POLLS as f64)
}

/// Measures the resident bytes of one job.
fn resident(jobs: usize) -> f64 {
    let output = measure("pending", jobs, None);
    output.trim().parse::<f64>().expect("a number of bytes") / jobs as f64
}

/// Measures the stalls by name, in milliseconds.
///
/// Each is the lesser of two runs, since a virtual machine counts interruptions as its own time.
fn stalls(jobs: usize) -> Vec<(String, f64)> {
    let [first, second] = [(); 2].map(|()| {
        let tunables = ("GLIBC_TUNABLES", "glibc.malloc.mxfast=0");
        measure("stalls", jobs, Some(tunables)) + &measure("sweeps", jobs, Some(tunables))
    });
    let stall = |line: &str| {
        let (name, nanoseconds) = line.split_once(": ").expect("a name and a time");
        let nanoseconds: f64 = nanoseconds.parse().expect("a number");
        (name.to_owned(), nanoseconds / 1e6)
    };
    let both = first.lines().map(stall).zip(second.lines().map(stall));
    both.map(|((name, first), (_, second))| (name, first.min(second)))
        .collect()
}

fn measure(what: &str, jobs: usize, tunables: Option<(&str, &str)>) -> String {
    let output = Command::new(UNDER_MEASUREMENT)
        .args([what, &jobs.to_string()])
        .envs(tunables)
        .stderr(Stdio::inherit())
        .output()
        .expect("the binary beside this one runs");
    assert!(output.status.success(), "{what} {jobs}");
    String::from_utf8(output.stdout).expect("text")
}

fn instructions_row(figures: [Option<f64>; SIZES.len()]) -> Row {
    let most = figures[0].map(|first| first * MORE_INSTRUCTIONS);
    Row {
        name: "instructions of a poll".to_owned(),
        figures,
        goal: format!("≤ {MORE_INSTRUCTIONS} × the first"),
        kept: figures.iter().all(|figure| *figure <= most),
    }
}

fn resident_row(figures: [f64; SIZES.len()]) -> Row {
    Row {
        name: "resident bytes of a job".to_owned(),
        figures: figures.map(Some),
        goal: "falling".to_owned(),
        kept: figures.is_sorted_by(|fewer, more| fewer >= more),
    }
}

fn stall_rows(stalls: &[Vec<(String, f64)>; SIZES.len()]) -> Vec<Row> {
    let names = stalls[0].iter().map(|(name, _)| name);
    names
        .enumerate()
        .map(|(index, name)| {
            let limit = if name.ends_with("one poll") {
                ONE_POLL
            } else {
                STALL
            };
            let figures = [0, 1, 2, 3].map(|size| Some(stalls[size][index].1));
            Row {
                name: format!("longest stall in ms: {name}"),
                figures,
                goal: format!("≤ {limit}"),
                kept: figures.iter().flatten().all(|figure| *figure <= limit),
            }
        })
        .collect()
}

fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| pending jobs |");
    for size in SIZES {
        text.push_str(&format!(" {} |", number(size as f64)));
    }
    text.push_str(" goal | kept |\n|---|---:|---:|---:|---:|---:|---|\n");
    for row in rows {
        text.push_str(&format!("| {} |", row.name));
        for figure in row.figures {
            text.push_str(&format!(" {} |", figure.map_or("–".to_owned(), number)));
        }
        let kept = match row.figures {
            figures if figures.contains(&None) => "",
            _ if row.kept => "yes",
            _ => "no",
        };
        text.push_str(&format!(" {} | {kept} |\n", row.goal));
    }
    text
}

/// Formats a number with thousands separators, and small numbers with a fraction.
fn number(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
