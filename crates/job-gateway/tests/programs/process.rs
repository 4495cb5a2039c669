//! Programs that run to their end.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use test_services::{Missing, program};

/// The time limit of a program on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns a command of a program of the system.
pub(crate) fn installed(name: &str, arguments: &[&str]) -> Result<Command, Missing> {
    let mut command = Command::new(program(&[name]).map_err(|reason| Missing::new(name, reason))?);
    command.args(arguments);
    Ok(command)
}

/// Runs a command, and returns its standard output.
pub(crate) async fn run(mut command: Command, arguments: &[&str]) -> String {
    command.args(arguments).stdin(Stdio::null());
    // The server is on this machine, so that no proxy is used.
    command.env("no_proxy", "*").env("NO_PROXY", "*");
    let running = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, running).await;
    let output = output.expect("the program ends").unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
