//! The files of an open store, which another program may take away.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The file and its log, as they were when the store was opened.
///
/// On Unix, an open file can be deleted or replaced. Commits to it would succeed, and be lost.
pub(super) struct Files([(PathBuf, Identity); 2]);

#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(not(unix))]
type Identity = ();

impl Files {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        // The log is beside the file that a link names.
        let file = fs::canonicalize(path)?;
        let mut log = file.clone().into_os_string();
        log.push("-wal");
        let known = |path: PathBuf| identity(&path).map(|identity| (path, identity));
        Ok(Self([known(file)?, known(log.into())?]))
    }

    /// Fails if one of the files is no longer in its place.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_gone = |(path, known): &&(PathBuf, Identity)| {
            !identity(path).is_ok_and(|identity| identity == *known)
        };
        match self.0.iter().find(is_gone) {
            None => Ok(()),
            Some((path, _)) => Err(format!(
                "`{}` was deleted, moved or replaced: restart with the right file",
                path.display()
            )),
        }
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;

    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Path) -> io::Result<Identity> {
    Ok(())
}
