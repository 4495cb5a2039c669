//! Running the command.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    time::timeout,
};

/// The time that a run may take before the test fails.
const LIMIT: Duration = Duration::from_secs(30);

/// The outcome of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Returns the handle that the command printed for resuming.
    pub(crate) fn handle(&self) -> String {
        self.stderr
            .lines()
            .find(|line| line.starts_with('{'))
            .unwrap_or_else(|| panic!("no handle: {self:?}"))
            .to_owned()
    }

    #[track_caller]
    pub(crate) fn exits_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        self
    }
}

/// Creates the command without input, and with its output captured.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_poll"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub(crate) async fn finish(child: Child) -> Ran {
    let output = timeout(LIMIT, child.wait_with_output())
        .await
        .expect("the command ends")
        .unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs the command with a short minimum delay.
pub(crate) async fn poll(arguments: &[&str]) -> Ran {
    let arguments = [&["--min-delay", "1ms"], arguments].concat();
    run(&arguments).await
}

/// Runs the command with its defaults.
pub(crate) async fn run(arguments: &[&str]) -> Ran {
    finish(command(arguments).spawn().unwrap()).await
}

/// Runs the command with input.
pub(crate) async fn run_with_input(arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = command(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    tokio::spawn(async move {
        // The command may exit before it has read all of its input.
        let _ = stdin.write_all(&input).await;
    });
    finish(child).await
}
