//! The store in a file, and the reasons for which the user of the process cannot open it.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{self, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::{
    fs::{Access, AtFlags, CWD, accessat},
    io::Errno,
    process::{getegid, geteuid},
};
use tower_async_job::store::JobStore;
use tower_async_job_sqlite::{OpenError, SqliteStore};

/// Opens the store in a file of at most this number of bytes.
///
/// # Errors
///
/// Fails with the reason, the user of the process and a remedy.
pub(super) async fn open(
    file: &Path,
    lease: Duration,
    max_bytes: Option<usize>,
) -> anyhow::Result<Arc<dyn JobStore>> {
    let max_bytes = max_bytes.map_or(u64::MAX, |bytes| bytes as u64);
    let opened = SqliteStore::builder()
        .lease_duration(lease)
        .max_bytes(max_bytes)
        .open(file)
        .await;
    let store = opened.map_err(|error| match explain(file, &error) {
        Some(explanation) => anyhow::Error::msg(explanation),
        None => error.into(),
    })?;
    Ok(Arc::new(store))
}

/// Returns an explanation that names the user of the process, where that matters.
fn explain(file: &Path, error: &OpenError) -> Option<String> {
    let file = path::absolute(file).ok()?;
    let folder = file.parent()?;
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    if error.is_directory_missing() {
        return Some(format!(
            "the folder `{0}` does not exist: create it for the process, which has uid {user} and gid \
             {group}, by `install -d -o {user} -g {group} {0}`",
            folder.display()
        ));
    }
    if error.is_full() {
        return Some(format!(
            "the disk of `{}` is full for the process, which has uid {user} and gid {group}: free some \
             space, or raise the quota of this user",
            file.display()
        ));
    }
    error.is_permission_denied().then(|| denied(&file))?
}

/// Finds the first folder or file that the process may not use.
fn denied(file: &Path) -> Option<String> {
    let ancestors: Vec<_> = file.ancestors().skip(1).collect();
    let enter = ancestors
        .into_iter()
        .rev()
        .map(|folder| (folder.to_owned(), Access::EXEC_OK));
    let folder = file.parent()?.to_owned();
    let beside = ["", "-wal", "-shm"].map(|end| {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        (PathBuf::from(name), Access::READ_OK | Access::WRITE_OK)
    });
    let write = [(folder, Access::WRITE_OK)].into_iter().chain(beside);
    enter.chain(write).find_map(|(path, access)| {
        match accessat(CWD, &path, access, AtFlags::EACCESS) {
            Err(Errno::ROFS) => Some(read_only(&path)),
            Err(Errno::ACCESS | Errno::PERM) => Some(foreign(&path, access)),
            _ => None,
        }
    })
}

fn read_only(path: &Path) -> String {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    format!(
        "`{}` is on a file system that is read-only for the process, which has uid {user} and gid \
         {group}: mount a folder there that this user can write, or choose another path",
        path.display()
    )
}

fn foreign(path: &Path, access: Access) -> String {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let shown = path.display();
    let found = fs::symlink_metadata(path).ok();
    let owner = found.as_ref().map(|found| {
        let mode = found.permissions().mode() & 0o7777;
        let (owner, group) = (found.uid(), found.gid());
        format!(", which belongs to uid {owner} and gid {group} with mode {mode:o}")
    });
    let is_own = found.is_some_and(|found| found.uid() == user);
    let (denied, remedy) = match access {
        Access::EXEC_OK => ("enter", format!("let it enter by `chmod a+x {shown}`")),
        _ if is_own => ("write", format!("let it write by `chmod u+w {shown}`")),
        _ => (
            "write",
            format!("give it to this user by `chown {user}:{group} {shown}`"),
        ),
    };
    format!(
        "the process, which has uid {user} and gid {group}, may not {denied} `{shown}`{}: {remedy}, or \
         choose another path",
        owner.unwrap_or_default()
    )
}
