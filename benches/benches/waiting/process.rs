//! Processes of this binary, and their figures in Linux's `/proc`.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use benches::process::{self, WITH_ALL_FILES};

use crate::Outcome;

/// The maximum time to wait for a process.
const PATIENCE: Duration = Duration::from_secs(45);

/// A process that reports in lines on standard output. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Starts this binary with these arguments, and with the maximum of file descriptors.
    pub(crate) fn start(arguments: &[&str]) -> Outcome<Self> {
        let mut child = Command::new("sh")
            .args(["-c", WITH_ALL_FILES])
            .arg(env::current_exe()?)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            // The receiver is gone once the process is dropped.
            lines.map(|line| sender.send(line)).all(|sent| sent.is_ok())
        });
        Ok(Self { child, lines })
    }

    /// Waits for the next line.
    pub(crate) fn line(&mut self) -> Outcome<String> {
        let line = self.lines.recv_timeout(PATIENCE);
        line.map_err(|_| "a process of the measurement has failed, or takes too long".into())
    }

    /// Returns the resident memory, in bytes.
    pub(crate) fn resident(&self) -> Outcome<u64> {
        let status = self.read("status")?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
            .ok_or("no VmRSS")?;
        Ok(1024 * resident.parse::<u64>()?)
    }

    /// Returns the number of open sockets, including listeners.
    pub(crate) fn sockets(&self) -> Outcome<usize> {
        process::sockets(self.child.id())
    }

    /// Returns the processor time, in user space and in the kernel.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        let times = process::times(self.child.id())?;
        Ok(times.user + times.kernel)
    }

    fn read(&self, name: &str) -> Outcome<String> {
        Ok(fs::read_to_string(self.path(name))?)
    }

    fn path(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
