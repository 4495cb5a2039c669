//! Short runs of the harness with `job-gateway`: kills on each store, a deploy, and POSTs when idle
//! connections expire.

mod printed;

use std::process::Command;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use printed::figure;

/// The exit status if the gateway or the servers cannot be had on this machine.
const NOT_RUN: i32 = 77;

/// The scenarios of the short run.
const SCENARIOS: [&str; 7] = [
    "kill at any moment",
    "kill during acceptance",
    "kill during the end of a job",
    "kill while the store is created",
    "kill of all processes at once",
    "kill of the server behind gateways",
    "kill of a gateway and the server behind it",
];

fn main() {
    let mut trials = vec![
        Trial::ignorable_test("a_deploy_of_the_server_costs_no_job_and_no_attempt", deploy),
        Trial::ignorable_test("posts_at_the_expiry_of_connections_arrive_once", posts),
    ];
    for store in ["sqlite", "postgres", "redis"] {
        let name = format!("kills_of_gateways_on_{store}_and_their_server_break_no_promise");
        trials.push(Trial::ignorable_test(name, move || kills(store)));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Runs the harness, and checks what it prints.
fn run(arguments: &[&str], check: impl FnOnce(&str)) -> Result<Completion, Failed> {
    let directory = tempfile::tempdir()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_reliability"));
    command.args(arguments);
    if arguments.contains(&"--short") {
        command.arg("--directory").arg(directory.path());
    }
    let output = command.output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(NOT_RUN) {
        return test_services::not_run(stderr.trim());
    }
    let printed = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        // For a look at the files.
        let kept = directory.keep();
        return Err(format!("{printed}\n{stderr}\nfiles: {}", kept.display()).into());
    }
    check(&printed);
    Ok(Completion::Completed)
}

fn kills(store: &str) -> Result<Completion, Failed> {
    let arguments = ["--gateway", "--short", "--at-once", "2", "--store", store];
    run(&arguments, |printed| {
        assert!(figure(printed, "kills") >= 9, "{printed}");
        assert!(figure(printed, "jobs run more than once") > 0, "{printed}");
        assert_eq!(figure(printed, "replayable jobs lost or unknown"), 0);
        for scenario in SCENARIOS {
            let row = format!("\n| {scenario} | ");
            assert!(printed.contains(&row), "{scenario}: {printed}");
        }
    })
}

fn deploy() -> Result<Completion, Failed> {
    run(&["deploy", "--jobs", "1000", "--outage", "3"], |printed| {
        assert_eq!(figure(printed, "answered with 200"), 1000);
        assert_eq!(figure(printed, "broken promises"), 0);
    })
}

fn posts() -> Result<Completion, Failed> {
    run(
        &["keep-alive", "--posts", "150", "--at-once", "50"],
        |printed| {
            for server in ["Node", "gunicorn"] {
                let row = format!("\n| {server} | 150 | 150 | 0 | 150 | 0 |");
                assert!(printed.contains(&row), "{printed}");
            }
        },
    )
}
