//! A small disk.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The size of the disk, or else of the store.
pub(crate) const SIZE: u64 = 16 << 20;

/// The room that may be left on a full disk: less than the longest answer takes.
pub(crate) const NEARLY: u64 = 2 << 20;

/// The size once there is room again.
pub(crate) const ENLARGED: u64 = 32 * SIZE;

/// A small disk: a file system in memory where the user may mount one, otherwise a plain directory.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    pub(crate) is_mounted: bool,
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
    pub(crate) fn is_nearly_full(&self) -> anyhow::Result<bool> {
        Ok(bytes_in(&self.path)? + NEARLY > SIZE)
    }

    /// Makes room. Returns whether the disk is a file system of its own.
    pub(crate) fn enlarge(&self) -> bool {
        let size = format!("remount,size={ENLARGED}");
        self.is_mounted && does(Command::new("mount").args(["-o", &size]), &self.path)
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

/// Returns the bytes that the files in a directory take.
fn bytes_in(directory: &Path) -> io::Result<u64> {
    let mut taken = 0;
    for file in fs::read_dir(directory)? {
        let file = file?;
        taken += match file.file_type()?.is_dir() {
            true => bytes_in(&file.path())?,
            false => file.metadata()?.len(),
        };
    }
    Ok(taken)
}

/// Returns whether the command succeeds with this path.
fn does(command: &mut Command, path: &Path) -> bool {
    let output = command.arg(path).output();
    output.is_ok_and(|output| output.status.success())
}
