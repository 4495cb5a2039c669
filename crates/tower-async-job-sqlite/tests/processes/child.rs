//! Other processes, which are this test binary.

use std::{
    env,
    io::{BufRead, BufReader, Lines, Write},
    path::{Path, PathBuf},
    process::{self, ChildStdout, Command, Stdio},
    time::Duration,
};

use tower_async_job_core::{Created, IdempotencyKey, JobId, JobStore, NewJob};

use crate::{CHUNK, CHUNKS, add, claim, done, offer, open, replayable, streamed};

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
            .args(["--exact", "child::role", "--nocapture", "--quiet"])
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

fn say(word: impl std::fmt::Display) {
    // At once, since the process may be killed.
    let mut out = std::io::stdout().lock();
    writeln!(out, "say {word}").unwrap();
    out.flush().unwrap();
}

fn id(text: &str) -> JobId {
    text.trim().parse().unwrap()
}

/// Plays the role of a child; without one, it is a test that passes.
#[test]
fn role() {
    let (Ok(role), Some(file)) = (env::var(ROLE), env::var_os(FILE)) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(play(&role, PathBuf::from(file)));
}

async fn play(role: &str, file: PathBuf) {
    let store = open(&file).await;
    match role {
        "open" => say("opened"),
        // Claims and finishes jobs until there are none.
        "claim" => loop {
            let claims = claim(&store, 3).await;
            if claims.is_empty() {
                return;
            }
            for claim in claims {
                store.finish(&claim.lease, done().into()).await.unwrap();
                say(claim.lease.id.encode());
            }
        },
        // The same, for ever.
        "work" => loop {
            for claim in claim(&store, 3).await {
                tokio::time::sleep(Duration::from_millis(2)).await;
                // Its lease may have ended.
                if store.finish(&claim.lease, done().into()).await.is_ok() {
                    say(claim.lease.id.encode());
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        },
        // Cancels the jobs whose ids it reads.
        "cancel" => {
            say("ready");
            for line in std::io::stdin().lines() {
                store.cancel(&id(&line.unwrap())).await.unwrap();
                say("cancelled");
            }
        }
        // Offers a job for each line that it reads.
        "offer" => {
            say("ready");
            for _ in std::io::stdin().lines() {
                say(offer(&store).await.encode());
            }
        }
        // Creates jobs with one key each, for ever.
        "create" => {
            for number in 0.. {
                let key = IdempotencyKey::new(number.to_string(), [1; 32]).unwrap();
                let job = NewJob::new(JobId::random()).with_idempotency(key);
                let id = job.id;
                let created = store.create(job).await.unwrap();
                assert!(matches!(created, Created::New { .. }));
                say(id.encode());
            }
        }
        // Runs jobs with a result in chunks, for ever.
        "finish" => loop {
            let lease = add(&store, replayable()).await;
            say(lease.id.encode());
            for index in 0..CHUNKS {
                let data = vec![7; CHUNK].into();
                store.write_chunk(&lease, index, data).await.unwrap();
            }
            store.finish(&lease, streamed().into()).await.unwrap();
        },
        // Runs a job, and one that may be run again, for ever.
        "run" => {
            let lost = add(&store, NewJob::new(JobId::random())).await;
            let again = add(&store, replayable()).await;
            say(lost.id.encode());
            say(again.id.encode());
            loop {
                tokio::time::sleep(crate::LEASE / 3).await;
                store.renew(&[lost, again]).await.unwrap();
            }
        }
        other => panic!("no role is called {other}"),
    }
}
