//! Runs the example with a store, kills it, and runs it again.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

/// Some seconds of work.
const LENGTH: usize = 3 << 20;

fn quickstart(directory: &Path, store: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quickstart"));
    command
        .current_dir(directory)
        .args(["input", "--store", store]);
    command
}

/// Returns bytes that cannot be compressed.
fn noise() -> Vec<u8> {
    let mut state = 1_u64;
    let byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(byte).take(LENGTH).collect()
}

/// Returns the lines of the timeline, and all that was printed.
#[track_caller]
fn timeline(output: &Output) -> (Vec<String>, String) {
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{errors}");
    assert!(printed.contains("the same as the input"), "{printed}");
    let lines = printed
        .lines()
        .skip_while(|line| !line.contains("Job-Status"));
    (lines.skip(1).map(str::to_owned).collect(), printed)
}

#[test]
fn s03_a_run_that_is_killed_is_continued_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("input"), noise()).unwrap();
    let mut first = quickstart(directory.path(), "jobs.db")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(first.stderr.take().unwrap()).lines();
    let is_under_way = |line: String| line.starts_with("running, ") && line.contains('%');
    assert!(lines.any(|line| is_under_way(line.unwrap())));
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(!directory.path().join("input.xz").exists());

    let second = quickstart(directory.path(), "jobs.db").output().unwrap();
    let (exchanges, printed) = timeline(&second);
    assert!(printed.contains("found again"), "{printed}");
    assert!(exchanges[0].contains("POST"), "{printed}");
    assert!(!exchanges[0].contains("attempt"), "{printed}");
    let again = |line: &String| line.contains("running, attempt 2");
    assert!(exchanges.iter().any(again), "{printed}");

    // The answer is kept, so that no third attempt begins.
    fs::remove_file(directory.path().join("input.xz")).unwrap();
    let third = quickstart(directory.path(), "jobs.db").output().unwrap();
    let (exchanges, printed) = timeline(&third);
    assert_eq!(exchanges.len(), 1, "{printed}");
    assert!(exchanges[0].contains("200"), "{printed}");
}

#[test]
fn a_store_that_cannot_be_opened_is_named_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("input"), "").unwrap();
    let output = quickstart(directory.path(), "none/jobs.db")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("none/jobs.db"), "{error}");
    assert!(
        error.contains("create it, or choose another path"),
        "{error}"
    );
}
