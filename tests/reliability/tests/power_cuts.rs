//! Some power cuts; `cargo run --release -p reliability --bin power-cuts` makes many.

use std::process::Command;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// The exit status if power cuts cannot be tried on this machine.
const NOT_RUN: i32 = 77;

fn main() {
    let trials = vec![Trial::ignorable_test(
        "s01_s02_s05_s06_what_was_acknowledged_outlives_power_cuts_but_not_without_syncs",
        power_cuts,
    )];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn power_cuts() -> Result<Completion, Failed> {
    let output = Command::new(env!("CARGO_BIN_EXE_power-cuts"))
        .args(["--points", "60", "--seed", "1"])
        .output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(NOT_RUN) {
        return test_services::not_run(stderr.trim());
    }
    if !output.status.success() {
        return Err(Failed::from(stderr));
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<Vec<usize>> = stdout.lines().filter_map(figures).collect();
    let [full, checkpoints, nothing] = &figures[..] else {
        return Err(format!("three rows are expected: {stdout}").into());
    };
    let lost = |row: &[usize]| row.last().copied();
    let is_cut = full.len() == 8 && full[..5].iter().all(|figure| *figure >= 20);
    if !is_cut || full[5..] != [0, 0, 0] || lost(checkpoints) < Some(1) || lost(nothing) < Some(1) {
        return Err(format!("unexpected figures: {stdout}").into());
    }
    Ok(Completion::Completed)
}

/// Returns the figures of a row of the table.
fn figures(line: &str) -> Option<Vec<usize>> {
    let cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
    cells.skip(1).map(|cell| cell.parse().ok()).collect()
}
