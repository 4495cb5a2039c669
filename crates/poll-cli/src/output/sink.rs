//! Writing to standard output, to a device, or to a file that replaces an
//! existing one when it is complete.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;
use tokio::{
    fs::File,
    io::{AsyncWrite, AsyncWriteExt, stdout},
};

use crate::exit::Failure;

/// The permissions of a file on Unix.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Those of the file that is replaced, or of other new files.
    Usual,
    /// Its owner may read and write it, also if it replaces a file with other permissions.
    Owner,
}

pub(super) struct Sink {
    writer: Box<dyn AsyncWrite + Unpin>,
    name: String,
    /// The temporary file that is written, and the file that it replaces.
    replaces: Option<(NamedTempFile, PathBuf)>,
}

impl Sink {
    /// Opens a file, or standard output if `file` is `None`.
    pub(super) fn open(file: Option<&Path>, access: Access) -> Result<Self, Failure> {
        match file {
            None => Ok(Self {
                writer: Box::new(stdout()),
                name: "standard output".to_owned(),
                replaces: None,
            }),
            Some(path) => {
                Self::file(path, access).map_err(|error| Failure::of_output(error, path.display()))
            }
        }
    }

    fn file(path: &Path, access: Access) -> io::Result<Self> {
        let name = path.display().to_string();
        let path = replaced(path);
        let existing = fs::metadata(&path).ok();
        if existing
            .as_ref()
            .is_some_and(|existing| !existing.is_file())
        {
            // A pipe or a device cannot be replaced.
            let file = fs::File::options().write(true).open(&path)?;
            return Ok(Self {
                writer: Box::new(File::from_std(file)),
                name,
                replaces: None,
            });
        }
        let temporary = temporary_beside(&path, access)?;
        if let Some(existing) = existing.filter(|_| access == Access::Usual) {
            temporary
                .as_file()
                .set_permissions(existing.permissions())?;
        }
        let file = temporary.as_file().try_clone()?;
        Ok(Self {
            writer: Box::new(File::from_std(file)),
            name,
            replaces: Some((temporary, path)),
        })
    }

    /// Writes without buffering, so that a reader sees data immediately.
    pub(super) async fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = async {
            self.writer.write_all(bytes).await?;
            self.writer.flush().await
        };
        written
            .await
            .map_err(|error| Failure::of_output(error, &self.name))
    }

    pub(super) async fn finish(mut self) -> Result<(), Failure> {
        self.put(&[]).await?;
        if let Some((temporary, path)) = self.replaces {
            temporary
                .persist(path)
                .map_err(|error| Failure::of_output(error.error, &self.name))?;
        }
        Ok(())
    }
}

/// Returns the file that is replaced: the target of a link, and not the link.
pub(super) fn replaced(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Creates a temporary file beside the file that it becomes, with the permissions of that.
pub(super) fn temporary_beside(path: &Path, access: Access) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".poll-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = match access {
            Access::Usual => 0o666,
            Access::Owner => 0o600,
        };
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    builder.tempfile_in(directory)
}
