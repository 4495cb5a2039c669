//! The gateway as a process.

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr, Command},
    time::timeout,
};

/// A gateway, which is killed when dropped.
pub(crate) struct Gateway {
    process: Child,
    /// The addresses on which it listens, as it prints them.
    pub(crate) listening: Vec<String>,
    operators: Vec<String>,
    /// The file of its settings, if it has one.
    pub(crate) settings: Option<NamedTempFile>,
}

/// Returns the command of a gateway.
pub(crate) fn command<I: AsRef<str>>(arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_job-gateway"));
    // Each request is a line of its log.
    command.kill_on_drop(true).stderr(Stdio::null());
    for argument in arguments {
        command.arg(argument.as_ref());
    }
    command
}

impl Gateway {
    /// Starts a gateway before a server, with further arguments, on a free port.
    pub(crate) async fn before(upstream: &str, arguments: &[&str]) -> Self {
        let mut all = vec!["--upstream", upstream];
        if !arguments.contains(&"--listen") {
            all.extend(["--listen", "127.0.0.1:0"]);
        }
        all.extend(arguments);
        Self::start(command(all)).await
    }

    /// Starts a gateway with the settings of a file, on a free port.
    pub(crate) async fn with(settings: &str) -> Self {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(&file, settings).unwrap();
        let path = file.path().to_str().unwrap();
        let command = command(["--config", path, "--listen", "127.0.0.1:0"]);
        let mut gateway = Self::start(command).await;
        gateway.settings = Some(file);
        gateway
    }

    /// Starts a gateway, and waits until it is ready.
    pub(crate) async fn start(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (mut listening, mut operators) = (Vec::new(), Vec::new());
        let began = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                match line.strip_prefix("listening on ") {
                    Some(address) => listening.push(address.to_owned()),
                    None if line.starts_with("operators on ") => operators.push(line),
                    None => return assert_eq!(line, "ready"),
                }
            }
            panic!("the gateway has ended");
        };
        timeout(Duration::from_secs(20), began).await.unwrap();
        Self {
            process,
            listening,
            operators,
            settings: None,
        }
    }

    /// Returns the address and port of its first listener.
    pub(crate) fn address(&self) -> &str {
        self.listening[0].strip_prefix("http://").unwrap()
    }

    /// Returns the URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.listening[0])
    }

    /// Returns the URL of a path for operators.
    pub(crate) fn operators(&self, path: &str) -> String {
        format!(
            "{}{path}",
            self.operators[0].trim_start_matches("operators on ")
        )
    }

    /// Returns the standard error, if its command has piped it.
    pub(crate) fn log(&mut self) -> &mut ChildStderr {
        self.process.stderr.as_mut().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id().unwrap()
    }

    /// Returns the greatest memory that the process has had, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.unwrap().trim().trim_end_matches(" kB");
        peak.parse::<u64>().unwrap() * 1024
    }

    /// Returns the number of descriptors that the process has.
    pub(crate) fn descriptors(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap();
        open.count()
    }

    /// Returns the number of its descriptors and that of its tasks, while it serves no client.
    pub(crate) async fn usage(&self) -> (usize, usize) {
        // It is ready shortly before it accepts connections.
        super::get(self.url("/work/none")).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        (self.descriptors(), self.tasks().await)
    }

    /// Returns the number of tasks of its runtime, of which this question itself has a few.
    async fn tasks(&self) -> usize {
        let metrics = super::get(self.operators("/metrics")).await;
        let mut lines = metrics.text().lines();
        let tasks = lines.find_map(|line| line.strip_prefix("gateway_tasks "));
        tasks.expect("the number of tasks").parse().unwrap()
    }

    /// Waits until it has no more descriptors and tasks than before.
    pub(crate) async fn nothing_is_left(&self, before: (usize, usize)) {
        let mut after = (0, 0);
        for _ in 0..200 {
            after = (self.descriptors(), self.tasks().await);
            if after.0 <= before.0 && after.1 <= before.1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{after:?} descriptors and tasks instead of {before:?}");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.id().try_into().unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Waits for the end of the process.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        super::soon(self.process.wait()).await.unwrap()
    }
}
