//! A short run of the harness, with every scenario once.

mod printed;

use std::{
    fs,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use printed::{check_short_run, figure};

#[test]
fn every_scenario_once_breaks_no_promise() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_reliability"))
        .args(["--short", "--directory"])
        .arg(directory.path())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    if !output.status.success() {
        // For a look at the files.
        let kept = directory.keep();
        panic!("{printed}\nfiles: {}", kept.display());
    }
    check_short_run(
        &printed,
        &[
            "clock shifted by an hour",
            "kill while the store is full",
            "restored from a backup",
        ],
    );
}

#[test]
fn figures_of_a_stopped_run_are_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let run = |kills: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reliability"));
        command.args(["--at-once", "1", "--kills", kills, "--directory"]);
        let output = command.arg(directory.path()).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{printed}");
        printed
    };
    // No kills are wanted yet, and none are made.
    assert_eq!(figure(&run("0"), "kills"), 0);
    let figures = directory.path().join("figures.json");
    let figures_text = fs::read_to_string(&figures).unwrap_or_default();
    assert_eq!(figures_text, "", "nothing was run");
    let seven = r#"{"store":"sqlite","lease_millis":2000,"first_seed":5,"rounds_begun":3,
        "seconds":60,"sums":{"rounds":3,"kills":7,"kills_by_scenario":{"any":7},
        "other_faults":{},"calls":9,"jobs":9,"lost_not_replayable":1,"lost":0,"run_twice":2,
        "leases_lost":0,"failed":0,"poisoned":0,"recoveries":{"1500":1,"2500":1}},
        "failures":[{"seed":6,"promises":["one-result"]}]}"#;
    fs::write(&figures, seven).unwrap();
    let printed = run("7");
    assert_eq!(figure(&printed, "kills"), 7);
    assert_eq!(figure(&printed, "rounds with a broken promise"), 1);
    assert!(printed.contains("| recovery, p50 | 1.500 s |"), "{printed}");
    assert!(printed.contains("| recovery, p99 | 2.500 s |"), "{printed}");
    assert!(printed.contains("| seeds | 5 to 7 |"), "{printed}");
}

#[test]
fn seeds_of_the_short_run_repeat_its_rounds() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_reliability"))
        .args(["--seed", "3", "--directory"])
        .arg(directory.path())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    let rows: Vec<_> = printed
        .split("| scenario |")
        .nth(1)
        .unwrap()
        .trim_end()
        .lines()
        .collect();
    assert_eq!(
        rows[2..],
        ["| kill while the store is full | 3 | 0 |"],
        "{printed}"
    );
}

#[test]
fn run_that_is_interrupted_keeps_its_figures_and_is_continued() {
    let directory = tempfile::tempdir().unwrap();
    let command = |kills: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reliability"));
        command.args(["--at-once", "1", "--kills", kills, "--directory"]);
        command.arg(directory.path());
        command
    };
    let run = command("1000").stdout(Stdio::piped()).spawn().unwrap();
    sleep(Duration::from_secs(5));
    let interrupt = ["-INT", &run.id().to_string()];
    assert!(
        Command::new("kill")
            .args(interrupt)
            .status()
            .unwrap()
            .success()
    );
    let output = run.wait_with_output().unwrap();
    let first = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{first}");
    assert!(first.contains("ending the rounds"), "{first}");
    assert_eq!(figure(&first, "rounds (stores)"), 1);
    let kills = figure(&first, "kills");
    assert!((1..1000).contains(&kills), "{first}");
    // One more kill than there were: a further round, whose figures are added.
    let output = command(&(kills + 1).to_string()).output().unwrap();
    let second = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{second}");
    assert_eq!(figure(&second, "rounds (stores)"), 2, "{second}");
    assert!(figure(&second, "kills") > kills, "{second}");
    assert!(figure(&second, "calls") > figure(&first, "calls"));
}
