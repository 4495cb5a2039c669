//! A process under test.

use std::{fs::File, net::SocketAddr, path::Path, process::Stdio, sync::Arc, time::Duration};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::watch,
    time::timeout,
};

use crate::{
    history::{Event, History, Notice, ProcessId, Received, Run},
    scenario::Scenario,
};

/// The lease of all stores.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// The settings of processes under test.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) lease: Duration,
    pub(crate) grace: Duration,
}

/// A process under test. It is killed when the last clone of it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) id: ProcessId,
    pid: Pid,
    input: tokio::sync::Mutex<ChildStdin>,
    address: watch::Receiver<Option<SocketAddr>>,
    ended: watch::Receiver<bool>,
    history: Arc<History>,
}

impl Process {
    /// Starts a process by its command, and appends its log to a file.
    pub(crate) fn start(
        id: ProcessId,
        mut command: Command,
        log: &Path,
        history: &Arc<History>,
    ) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C is for the harness.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a process")?;
        let pid = child
            .id()
            .and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        let input = child.stdin.take().expect("piped");
        let output = child.stdout.take().expect("piped");
        let (address, addresses) = watch::channel(None);
        let (end, ended) = watch::channel(false);
        history.push(Event::Started(id));
        tokio::spawn({
            let history = history.clone();
            async move {
                listen(id, output, &address, &history).await;
                let is_clean = is_clean(child).await;
                history.push(Event::Ended {
                    process: id,
                    is_clean,
                });
                let _ = end.send(true);
            }
        });
        Ok(Self {
            id,
            pid: pid.context("the process has a number")?,
            input: tokio::sync::Mutex::new(input),
            address: addresses,
            ended,
            history: history.clone(),
        })
    }

    /// Returns the address, once the process listens.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        *self.address.borrow()
    }

    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Waits until the process listens. Returns whether it does.
    pub(crate) async fn listening(&self) -> bool {
        let mut address = self.address.clone();
        let listens = address.wait_for(Option::is_some).await;
        listens.is_ok()
    }

    /// Waits for the end of the process.
    pub(crate) async fn ended(&self) {
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Waits for the end of the process, which is killed if it takes longer than that.
    pub(crate) async fn ended_within(&self, time: Duration) -> bool {
        if timeout(time, self.ended()).await.is_ok() {
            return true;
        }
        self.signal(Signal::KILL);
        self.ended().await;
        false
    }

    /// Kills the process. Returns false if it has ended already.
    pub(crate) fn kill(&self, scenario: Scenario) -> bool {
        let is_alive = !self.has_ended();
        if is_alive {
            self.history.push(Event::Killed(self.id, scenario));
            self.signal(Signal::KILL);
        }
        is_alive
    }

    pub(crate) fn stop(&self) {
        self.history.push(Event::Stopped(self.id));
        self.signal(Signal::STOP);
    }

    pub(crate) fn proceed(&self) {
        self.signal(Signal::CONT);
    }

    pub(crate) fn terminate(&self, scenario: Option<Scenario>) {
        self.history.push(Event::Terminated(self.id, scenario));
        self.signal(Signal::TERM);
    }

    /// Shifts the time of day of the process.
    pub(crate) async fn shift(&self, seconds: i64) {
        self.history.push(Event::Shifted(self.id));
        let line = format!("clock {seconds}\n");
        // An error: it has ended.
        let _ = self.input.lock().await.write_all(line.as_bytes()).await;
    }

    fn signal(&self, signal: Signal) {
        if !self.has_ended() {
            // An error: it has ended.
            let _ = kill_process(self.pid, signal);
        }
    }
}

/// Notes what the process says, until it ends.
async fn listen(
    id: ProcessId,
    output: ChildStdout,
    address: &watch::Sender<Option<SocketAddr>>,
    history: &History,
) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["listening", at] | ["listening", "on", at] => {
                let at = at.strip_prefix("http://").unwrap_or(at);
                let _ = address.send(at.parse().ok());
            }
            ["lease-lost"] => history.push(Event::LeaseLost(id)),
            ["run", ..] => history.extend(run(id, &words).map(Event::Run)),
            ["notified", number, handle, state] => {
                history.extend(notice(number, handle, state).map(Event::Notified));
            }
            ["returned", ..] => history.extend(returned(id, &words)),
            _ => {}
        }
    }
}

/// Returns the run of a line, which a node or the server behind a gateway says.
fn run(id: ProcessId, words: &[&str]) -> Option<Run> {
    let [_, number, attempt, nonce, handle, rest @ ..] = words else {
        return None;
    };
    let (process, received) = match rest {
        [gateway, key] => {
            let key = (*key != "-").then(|| (*key).to_owned());
            (gateway.parse().ok()?, Some(Received { by: id, key }))
        }
        _ => (id, None),
    };
    Some(Run {
        process,
        number: number.parse().ok()?,
        attempt: attempt.parse().ok()?,
        nonce: (*nonce).to_owned(),
        handle: (*handle).to_owned(),
        received,
    })
}

/// Returns the notification of a line.
fn notice(number: &str, handle: &str, state: &str) -> Option<Notice> {
    Some(Notice {
        number: number.parse().ok()?,
        handle: handle.to_owned(),
        state: state.parse().ok()?,
    })
}

/// Returns the end of a handler of a line.
fn returned(id: ProcessId, words: &[&str]) -> Option<Event> {
    let [_, number, gateway @ ..] = words else {
        return None;
    };
    let process = match gateway {
        [gateway] => gateway.parse().ok()?,
        _ => id,
    };
    let number = number.parse().ok()?;
    Some(Event::Returned { process, number })
}

async fn is_clean(mut child: Child) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let status = child.wait().await;
    let expected = [Signal::KILL, Signal::TERM].map(|signal| Some(signal.as_raw()));
    status.is_ok_and(|status| status.success() || expected.contains(&status.signal()))
}
