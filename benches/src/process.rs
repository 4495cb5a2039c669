//! Figures of a process, in Linux's `/proc`.

use std::{error::Error, fs, time::Duration};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A script that runs a command with as many open files as the system allows.
pub const WITH_ALL_FILES: &str = "ulimit -n \"$(ulimit -Hn)\" && exec \"$0\" \"$@\"";

/// The processor time of a process.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The part in user space.
    pub user: Duration,
    /// The part in the kernel.
    pub kernel: Duration,
}

/// Returns the processor time of the process with this number, in steps of 10 ms.
///
/// # Errors
///
/// Fails if the process has ended.
pub fn times(id: u32) -> Outcome<Times> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name in parentheses may have spaces in it; utime and stime are the 14th and 15th.
    let (_, fields) = stat.rsplit_once(") ").ok_or("no stat")?;
    let mut fields = fields.split(' ').skip(11);
    let mut ticks = || fields.next().unwrap_or_default().parse::<u64>();
    // USER_HZ is 100 wherever Rust runs on Linux.
    let time = |ticks| Duration::from_millis(10 * ticks);
    Ok(Times {
        user: time(ticks()?),
        kernel: time(ticks()?),
    })
}

/// Returns the number of open sockets of the process with this number, including listeners.
///
/// # Errors
///
/// Fails if the process has ended.
pub fn sockets(id: u32) -> Outcome<usize> {
    let mut sockets = 0;
    for descriptor in fs::read_dir(format!("/proc/{id}/fd"))? {
        // The file may have been closed in the meantime.
        let target = fs::read_link(descriptor?.path());
        let is_socket = target.is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
        sockets += usize::from(is_socket);
    }
    Ok(sockets)
}
