//! A short run of the harness on each store in servers, with every scenario once.

mod printed;

use std::process::Command;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// The exit status if the servers cannot be had on this machine.
const NOT_RUN: i32 = 77;

/// The further scenarios on a single server.
const SERVER: [&str; 9] = [
    "clock shifted by an hour",
    "kill while the store is full",
    "restored from a backup",
    "links of a process cut",
    "links of all processes cut",
    "links of a process half open",
    "links of all processes half open",
    "kill of the server",
    "restart of the server",
];

const POSTGRES: [&str; 1] = ["notifications cut"];

const CLUSTER: [&str; 3] = ["kill of a master", "failover by command", "slots migrated"];

fn main() {
    let trials = vec![
        Trial::ignorable_test("every_scenario_once_on_postgres_breaks_no_promise", || {
            run("postgres", &[&SERVER, &POSTGRES])
        }),
        Trial::ignorable_test("every_scenario_once_on_pgbouncer_breaks_no_promise", || {
            run(
                "pgbouncer",
                &[&SERVER, &POSTGRES, &["restart of PgBouncer"]],
            )
        }),
        Trial::ignorable_test("every_scenario_once_on_redis_breaks_no_promise", || {
            run("redis", &[&SERVER])
        }),
        Trial::ignorable_test("every_scenario_once_on_valkey_breaks_no_promise", || {
            run("valkey", &[&SERVER])
        }),
        Trial::ignorable_test("every_scenario_once_on_a_cluster_breaks_no_promise", || {
            run("redis-cluster", &[&CLUSTER])
        }),
    ];
    let mut arguments = Arguments::from_args();
    // Each has many processes.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit();
}

fn run(store: &str, scenarios: &[&[&str]]) -> Result<Completion, Failed> {
    let directory = tempfile::tempdir()?;
    let output = Command::new(env!("CARGO_BIN_EXE_reliability"))
        .args(["--short", "--at-once", "6", "--store", store, "--directory"])
        .arg(directory.path())
        .output()?;
    if output.status.code() == Some(NOT_RUN) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return test_services::not_run(stderr.trim());
    }
    let printed = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        // For a look at the files.
        let kept = directory.keep();
        return Err(format!("{printed}\nfiles: {}", kept.display()).into());
    }
    printed::check_short_run(&printed, &scenarios.concat());
    Ok(Completion::Completed)
}
