//! Other processes, which are the test binary itself.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    env,
    future::Future,
    io::{BufRead, BufReader, Lines, Write},
    path::{Path, PathBuf},
    process::{self, ChildStdout, Command, Stdio},
};

/// The environment variable with the role of a child, and the path of the file.
const ROLE: &str = "TOWER_ASYNC_JOB_SQLITE_ROLE";
const FILE: &str = "TOWER_ASYNC_JOB_SQLITE_FILE";

/// Another process. Dropping it kills it.
pub(crate) struct Child {
    process: process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a process with a role, and the words that it reads.
    pub(crate) fn start(role: &str, file: &Path) -> Self {
        Self::spawn(&mut Command::new(env::current_exe().unwrap()), role, file)
    }

    /// Starts a process like [`start`](Self::start), whose new files everyone may read and write.
    #[cfg(unix)]
    pub(crate) fn start_open(role: &str, file: &Path) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"umask 0; exec "$0" "$@""#]);
        Self::spawn(shell.arg(env::current_exe().unwrap()), role, file)
    }

    fn spawn(command: &mut Command, role: &str, file: &Path) -> Self {
        let mut process = command
            .args(["--exact", "roles::role", "--nocapture", "--quiet"])
            .env(ROLE, role)
            .env(FILE, file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// Sends a line to its standard input.
    pub(crate) fn send(&mut self, line: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Returns the next word that it says.
    pub(crate) fn next(&mut self) -> Option<String> {
        // The test runner has lines of its own.
        let said = |line: String| line.split_once("say ").map(|(_, word)| word.to_owned());
        self.lines.by_ref().map_while(Result::ok).find_map(said)
    }

    /// Returns all words that it says until it ends.
    pub(crate) fn rest(mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Sends it a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Kills it, as by `SIGKILL`, and returns all words that it has said.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::iter::from_fn(|| self.next()).collect()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // An error: it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Says a word to the parent, at once, since the process may be killed.
pub(crate) fn say(word: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "say {word}").unwrap();
    out.flush().unwrap();
}

/// Plays the role of a child; without one, does nothing.
pub(crate) fn play<F: Future<Output = ()>>(play: impl FnOnce(String, PathBuf) -> F) {
    let (Ok(role), Some(file)) = (env::var(ROLE), env::var_os(FILE)) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(play(role, PathBuf::from(file)));
}
