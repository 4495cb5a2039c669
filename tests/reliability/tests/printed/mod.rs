//! The tables that the harness prints.
#![allow(dead_code, reason = "each program of tests uses a part")]

/// The scenarios on all stores.
const ALL: [&str; 12] = [
    "kill at any moment",
    "kill during acceptance",
    "kill during the end of a job",
    "kill while a long result is stored",
    "kill during start-up",
    "kill while the store is created",
    "kill of all processes at once",
    "stopped beyond the lease, continued",
    "SIGTERM once",
    "SIGTERM twice",
    "job that kills its process",
    "upgraded and rolled back",
];

/// Returns a figure of the table.
pub(crate) fn figure(printed: &str, name: &str) -> u64 {
    let row = printed.split(&format!("| {name} | ")).nth(1);
    let value = row.and_then(|row| row.split(' ').next());
    value.and_then(|value| value.parse().ok()).expect(name)
}

/// Fails unless each scenario of all stores, and each of these, has a row, no job was lost, and some
/// were cancelled and notified of.
pub(crate) fn check_short_run(printed: &str, scenarios: &[&str]) {
    let kills = figure(printed, "kills");
    assert!(kills >= 10, "{printed}");
    assert_eq!(figure(printed, "replayable jobs lost or unknown"), 0);
    assert!(figure(printed, "recoveries") > 0, "{printed}");
    assert!(figure(printed, "wakes on other processes") > 0, "{printed}");
    assert!(figure(printed, "jobs cancelled") > 0, "{printed}");
    let notified = "jobs whose end was notified of";
    assert!(figure(printed, notified) > 0, "{printed}");
    for scenario in ALL.iter().chain(scenarios) {
        let row = format!("\n| {scenario} | ");
        assert!(printed.contains(&row), "{scenario}: {printed}");
    }
}
