//! A disk that is full.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::Ordering,
    time::Duration,
};

use http_polling::JobState;
use tokio::time::sleep;

use crate::{
    calls::{Call, Work},
    check::Promise,
    history::{Answer, Event},
    round::Round,
    scenario::Scenario,
};

/// The size of the disk, or else of the file.
const SIZE: u64 = 16 << 20;

/// The room that may be left on a full disk: less than the longest answer takes.
const NEARLY: u64 = 2 << 20;

/// The most calls that are made to fill it.
const CALLS: usize = 2000;

/// The calls that are under way at once.
const AT_ONCE: usize = 8;

/// The tries to read a result.
const TRIES: usize = 5;

/// A small disk: a file system in memory where the user may mount one. Otherwise, the size of the
/// file is limited.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    is_mounted: bool,
}

impl Disk {
    pub(crate) fn new(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join("disk");
        fs::create_dir_all(&path)?;
        let size = format!("size={SIZE}");
        let is_mounted = does(
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]),
            &path,
        );
        Ok(Self { path, is_mounted })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the files take nearly all room.
    fn is_full(&self) -> anyhow::Result<bool> {
        let mut taken = 0;
        for file in fs::read_dir(&self.path)? {
            taken += file?.metadata()?.len();
        }
        Ok(taken + NEARLY > SIZE)
    }

    /// Makes room.
    fn enlarge(&self) -> bool {
        let size = format!("remount,size={}", 32 * SIZE);
        self.is_mounted && does(Command::new("mount").args(["-o", &size]), &self.path)
    }

    /// Copies its files to a directory.
    pub(crate) fn keep(&self, directory: &Path) -> anyhow::Result<()> {
        for file in fs::read_dir(&self.path)? {
            let file = file?;
            fs::copy(file.path(), directory.join(file.file_name()))?;
        }
        Ok(())
    }

    /// Unmounts a disk that a harness has left which was killed.
    pub(crate) fn forget(directory: &Path) {
        let path = directory.join("disk");
        if path.exists() {
            does(&mut Command::new("umount"), &path);
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            does(&mut Command::new("umount"), &self.path);
        }
    }
}

/// Returns whether the command succeeds with this path.
fn does(command: &mut Command, path: &Path) -> bool {
    let output = command.arg(path).output();
    output.is_ok_and(|output| output.status.success())
}

/// Fills the disk with jobs, kills processes on it, and makes room.
pub(crate) async fn run(round: &mut Round, disk: &Disk) -> anyhow::Result<()> {
    let fleet = round.fleet.clone();
    let max_bytes = fleet.settings.max_bytes.clone();
    if !disk.is_mounted {
        max_bytes.store(SIZE, Ordering::Relaxed);
    }
    fleet.start();
    round.all_listening().await;
    let refused = |event: &Event| match event {
        Event::Answered(answer) if is_refusal(answer) => Some(()),
        _ => None,
    };
    let mut from = 0;
    for _ in 0..CALLS {
        if !disk.is_full()? {
            from = fleet.history.len();
        } else if fleet.history.find(from, refused).is_some() {
            break;
        }
        round.start_call(|number, rng| {
            let work = if rng.u32(0..4) == 0 {
                Work::Large
            } else {
                Work::Run
            };
            let mut call = Call::random(number, work, rng);
            call.task.millis /= 20;
            call.task.size += 100_000;
            call.padding = 100_000;
            (call.is_async, call.is_keyed) = (true, true);
            call
        });
        round.under_way_at_most(AT_ONCE).await;
    }
    if fleet.history.find(from, refused).is_none() {
        round.broken(Promise::Documented, "no request was refused by a full disk");
    }
    readable(round).await;
    for slot in 0..fleet.len() {
        sleep(Duration::from_millis(round.rng.u64(0..1000))).await;
        fleet.process(slot).await.kill(Scenario::Full);
    }
    sleep(Duration::from_millis(round.rng.u64(0..2000))).await;
    if !disk.enlarge() {
        max_bytes.store(32 * SIZE, Ordering::Relaxed);
        for slot in 0..fleet.len() {
            fleet.process(slot).await.kill(Scenario::Full);
        }
    }
    Ok(())
}

/// Returns whether the answer refuses a request for want of room.
fn is_refusal(answer: &Answer) -> bool {
    !answer.is_poll && matches!(answer.status, 503 | 507) && answer.state.is_none()
}

/// Checks that results are readable while the disk is full.
async fn readable(round: &mut Round) {
    let events = round.fleet.history.events();
    let done = |job: &str| {
        events.iter().any(|(_, event)| match event {
            Event::Answered(answer) => answer.job.as_deref() == Some(job) && answer.nonce.is_some(),
            _ => false,
        })
    };
    for (call, job) in round.jobs() {
        if done(&job) && !is_readable(round, call, &job).await {
            let text = format!("the result of call {} is not readable", call.number);
            round.broken(Promise::Known, text);
        }
    }
}

/// Returns whether the result of a job is readable, from a machine that may be slow.
async fn is_readable(round: &Round, call: Call, job: &str) -> bool {
    for _ in 0..TRIES {
        if round.clients.look(call, job).await == Some(JobState::Done) {
            return true;
        }
    }
    false
}
