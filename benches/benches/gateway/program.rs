//! The processes that are measured, and their figures in Linux's `/proc`.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use benches::process::WITH_ALL_FILES;

use crate::{MEASURED_CORE, Outcome};

/// A process on the measured core, which is killed when this is dropped.
pub(crate) struct Program {
    child: Child,
}

/// The memory of a process in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    /// Shared pages count in part.
    pub(crate) proportional: u64,
}

impl Program {
    /// Starts a command on the measured core. Its standard output is piped.
    pub(crate) fn start(command: &Command, errors: Stdio) -> Outcome<Self> {
        let mut pinned = Command::new("sh");
        pinned.args(["-c", WITH_ALL_FILES, "taskset", "-c", MEASURED_CORE]);
        pinned.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            pinned.env(name, value.unwrap_or_default());
        }
        pinned.stdin(Stdio::null()).stdout(Stdio::piped());
        Ok(Self {
            child: pinned.stderr(errors).spawn()?,
        })
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the processor time of all threads, in user space and in the kernel.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(self.path("task"))? {
            let figures = fs::read_to_string(thread?.path().join("schedstat"))?;
            let time = figures.split(' ').next().unwrap_or_default();
            nanoseconds += time.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    pub(crate) fn memory(&self) -> Outcome<Memory> {
        let rollup = fs::read_to_string(self.path("smaps_rollup"))?;
        let of = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
            let kib: Option<u64> = kib.and_then(|kib| kib.parse().ok());
            kib.map(|kib| kib * 1024).ok_or("no memory")
        };
        Ok(Memory {
            resident: of("Rss:")?,
            proportional: of("Pss:")?,
        })
    }

    fn path(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.id())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
