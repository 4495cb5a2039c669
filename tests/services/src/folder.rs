//! Folders of servers, and the users that they belong to.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::getuid;

use crate::Missing;

/// A file system in memory.
const MEMORY: &str = "/dev/shm";

/// The bytes that must be free in memory, for a few servers.
const ROOM: u64 = 1 << 30;

/// The place of the data of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Storage {
    /// Memory if it has room, where flushes take no time.
    #[default]
    Memory,
    Disk,
}

impl Storage {
    fn directory(self) -> PathBuf {
        let room = || {
            let system = rustix::fs::statvfs(MEMORY).ok()?;
            system.f_bavail.checked_mul(system.f_frsize)
        };
        if self == Self::Memory && room().is_some_and(|room| room >= ROOM) {
            return MEMORY.into();
        }
        env::temp_dir()
    }
}

/// A private folder of a service, which belongs to the user that runs the server.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    user: Option<(u32, u32)>,
}

impl Folder {
    /// Creates a folder for a server that runs as root if the tests do.
    pub(crate) fn new(storage: Storage) -> Result<Self, Missing> {
        let folder = tempfile::Builder::new()
            .prefix("http-polling-")
            .tempdir_in(storage.directory())
            .map_err(|error| Missing::new("a temporary folder", error))?;
        let path = folder.keep();
        Ok(Self { path, user: None })
    }

    /// Creates a folder for a server that refuses to run as root.
    pub(crate) fn unprivileged(storage: Storage) -> Result<Self, Missing> {
        let mut folder = Self::new(storage)?;
        folder.user = unprivileged_user()?;
        folder.give(&folder.path)?;
        Ok(folder)
    }

    /// Returns the user and group of the server, or none if it runs as the tests do.
    pub(crate) fn user(&self) -> Option<(u32, u32)> {
        self.user
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file that only the server can read.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Missing> {
        let path = self.path.join(name);
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
            .map_err(|error| Missing::new(name, error))?;
        self.give(&path)?;
        Ok(path)
    }

    /// Returns a command that runs as the user of the folder.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let Some((user, group)) = self.user else {
            return Command::new(program);
        };
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--reuid={user}"))
            .arg(format!("--regid={group}"))
            .args(["--clear-groups", "--"])
            .arg(program);
        command
    }

    fn give(&self, path: &Path) -> Result<(), Missing> {
        let Some((user, group)) = self.user else {
            return Ok(());
        };
        chown(path, Some(user), Some(group)).map_err(|error| Missing::new("chown", error))
    }
}

/// Finds the user for servers that refuse to run as root, or none if the tests do not run as root.
fn unprivileged_user() -> Result<Option<(u32, u32)>, Missing> {
    if !getuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")
        .map_err(|error| Missing::new("a user other than root", error))?;
    let find = |name: &str| {
        let mut fields = users
            .lines()
            .map(|line| line.split(':'))
            .find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?
            .skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    match find("postgres").or_else(|| find("nobody")) {
        Some(user) => Ok(Some(user)),
        None => Err(Missing::new("a user other than root", "there is no nobody")),
    }
}
