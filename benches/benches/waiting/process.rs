//! Processes of this binary, and what Linux says of them.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use crate::Outcome;

/// The longest that a process is waited for.
const PATIENCE: Duration = Duration::from_secs(45);

/// A process that says what there is to say in lines. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Starts this binary with these arguments, and with as many file descriptors as it may have.
    pub(crate) fn start(arguments: &[&str]) -> Outcome<Self> {
        let mut child = Command::new("sh")
            .args(["-c", "ulimit -n \"$(ulimit -Hn)\" && exec \"$0\" \"$@\""])
            .arg(env::current_exe()?)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            // Nobody listens any more once the process is dropped.
            lines.map(|line| sender.send(line)).all(|sent| sent.is_ok())
        });
        Ok(Self { child, lines })
    }

    /// Returns the next line, once there is one.
    pub(crate) fn line(&mut self) -> Outcome<String> {
        let line = self.lines.recv_timeout(PATIENCE);
        line.map_err(|_| "a process of the measurement has failed, or takes too long".into())
    }

    /// Returns how many bytes of its memory are resident.
    pub(crate) fn resident(&self) -> Outcome<u64> {
        let status = self.read("status")?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
            .ok_or("no VmRSS")?;
        Ok(1024 * resident.parse::<u64>()?)
    }

    /// Returns how many sockets it has open, those included that it listens on.
    pub(crate) fn sockets(&self) -> Outcome<usize> {
        let mut sockets = 0;
        for descriptor in fs::read_dir(self.path("fd"))? {
            // It may have been closed meanwhile.
            let target = fs::read_link(descriptor?.path());
            let is_socket =
                target.is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
            sockets += usize::from(is_socket);
        }
        Ok(sockets)
    }

    /// Returns the time that it has spent on a processor, in user space and in the kernel.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        let stat = self.read("stat")?;
        // The name in parentheses may have spaces in it; utime and stime are the 14th and 15th.
        let (_, fields) = stat.rsplit_once(") ").ok_or("no stat")?;
        let mut fields = fields.split(' ').skip(11);
        let mut ticks = || fields.next().unwrap_or_default().parse::<u64>();
        // USER_HZ is 100 wherever Rust runs on Linux.
        Ok(Duration::from_millis(10 * (ticks()? + ticks()?)))
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
