use std::{
    any::type_name,
    env,
    io::{BufRead, BufReader, Lines, Write},
    process::{self, ChildStdout, Command, Stdio},
};

use crate::{nodes::Nodes, roles};

/// The environment variables with the role of a child, and with the type and the address of the
/// data.
const ROLE: &str = "TEST_NODES_ROLE";
const TYPE: &str = "TEST_NODES_TYPE";
const ADDRESS: &str = "TEST_NODES_ADDRESS";

/// Another process, which is the test binary itself. Dropping it kills it.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a process that plays a role on the data.
    pub fn start<N: Nodes>(role: &str, data: &N) -> Self {
        Self::start_by(&mut Command::new(env::current_exe().unwrap()), role, data)
    }

    /// Starts a process by a command that runs the test binary with its further arguments.
    pub fn start_by<N: Nodes>(command: &mut Command, role: &str, data: &N) -> Self {
        let mut process = command
            .args(["plays_a_role", "--nocapture", "--quiet"])
            .env(ROLE, role)
            .env(TYPE, type_name::<N>())
            .env(ADDRESS, data.address())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// Sends a line to its standard input.
    pub fn send(&mut self, line: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Returns the next word that it says.
    pub fn word(&mut self) -> Option<String> {
        // The test runner has lines of its own.
        let said = |line: String| line.split_once("say ").map(|(_, word)| word.to_owned());
        self.lines.by_ref().map_while(Result::ok).find_map(said)
    }

    /// Returns all words that it says until it ends.
    pub fn rest(mut self) -> Vec<String> {
        std::iter::from_fn(|| self.word()).collect()
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Kills it, as by `SIGKILL`, and returns all words that it has said.
    pub fn kill(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::iter::from_fn(|| self.word()).collect()
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

/// Plays the role of a child of a test on these stores, and returns whether there is one.
pub fn play<N: Nodes>() -> bool {
    let of_type = env::var(TYPE).is_ok_and(|name| name == type_name::<N>());
    let (true, Ok(role), Ok(address)) = (of_type, env::var(ROLE), env::var(ADDRESS)) else {
        return false;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(roles::play(&role, &N::at(&address)));
    true
}
