//! Records of a load.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::{
    acknowledged,
    jobs::Jobs,
    library, load,
    load::Durability,
    log::{self, Event},
    replay::Replay,
};

/// The name of the log, beside the folder of the files.
pub(crate) const LOG: &str = "log";

/// A load to run and record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) jobs: Jobs,
    pub(crate) count: u32,
    pub(crate) durability: Durability,
}

impl Load {
    /// Runs the load in a process of its own, whose files are in a folder, and returns the path of
    /// its log.
    ///
    /// Fails if the log does not lead to the same files, byte by byte.
    pub(crate) fn record(self, folder: &Path) -> Result<PathBuf> {
        let folder = folder.canonicalize()?;
        let library = library::compile(&folder)?;
        let (files, path) = (folder.join("files"), folder.join(LOG));
        fs::create_dir(&files)?;
        let durability = self
            .durability
            .to_possible_value()
            .context("a hidden value")?;
        let status = Command::new(env::current_exe()?)
            .arg("--load")
            .arg(&files)
            .args(["--jobs", &self.count.to_string()])
            .args(["--seed", &self.jobs.seed.to_string()])
            .args(["--durability", durability.get_name()])
            .env("LD_PRELOAD", library)
            .env("POWER_CUTS_FOLDER", &files)
            .env("POWER_CUTS_LOG", &path)
            .status()?;
        ensure!(status.success(), "the load failed: {status}");
        compare(&log::read(&path)?, &files)?;
        Ok(path)
    }
}

/// Checks that the log of a process leads to the files in its folder.
fn compare(events: &[Event], folder: &Path) -> Result<()> {
    let mut replay = Replay::default();
    for event in events {
        replay.apply(event)?;
    }
    let mut replayed = replay.disk.current();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry
            .file_name()
            .into_string()
            .ok()
            .context("a strange name")?;
        let is_same = replayed.remove(&name) == Some(fs::read(entry.path())?);
        // Shared memory is written by other means, and does not outlive a power cut.
        let is_kept = !name.ends_with("-shm");
        ensure!(is_same || !is_kept, "the log does not lead to `{name}`");
    }
    ensure!(
        replayed.is_empty(),
        "the log leads to more files: {:?}",
        replayed.keys()
    );
    for file in [load::FILE, acknowledged::NAME] {
        ensure!(folder.join(file).exists(), "`{file}` is missing");
    }
    Ok(())
}
