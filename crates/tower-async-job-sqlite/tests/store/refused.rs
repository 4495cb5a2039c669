//! Files that the user of the process can read, and not write.

use std::{
    env, fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Command,
};

use tower_async_job_sqlite::SqliteStore;

use crate::{add, job};

/// The user that owns nothing, as which the administrator opens a file.
const NOBODY: &str = "65534";

/// The environment variable with the path of the file that [`opens_as_another_user`] opens.
const FILE: &str = "TOWER_ASYNC_JOB_SQLITE_REFUSED";

/// The output of a process whose file could be opened.
const OPENED: &str = "it is open";

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Opens a file in a process whose user is not the administrator, and returns the text of the error.
fn opening(path: &Path) -> String {
    let directory = path.parent().unwrap();
    let binary = directory.join("opener");
    fs::copy(env::current_exe().unwrap(), &binary).unwrap();
    let mut command = match fs::metadata(directory).unwrap().uid() {
        0 => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
            command.arg(&binary);
            command
        }
        _ => Command::new(&binary),
    };
    command.args(["--exact", "refused::opens_as_another_user", "--nocapture"]);
    let output = command.env(FILE, path).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Plays the process that opens a file; without one, it is a test that passes.
#[tokio::test]
async fn opens_as_another_user() {
    if let Some(path) = env::var_os(FILE) {
        match SqliteStore::open(path).await {
            Ok(_) => println!("{OPENED}"),
            Err(error) => println!("{error}"),
        }
    }
}

#[tokio::test]
async fn file_that_can_only_be_read_is_refused() {
    let own = tempfile::tempdir().unwrap();
    let path = own.path().join("jobs.db");
    let store = SqliteStore::open(&path).await.unwrap();
    add(&store, job()).await;
    let all = ["", "-wal", "-shm"];
    // The files as a process leaves them that is killed, and one that is closed.
    for (files, unwritable) in [
        (&all[..], Some("")),
        (&all[..], Some("-wal")),
        (&all[..], Some("-shm")),
        (&all[..], None),
        (&all[..1], Some("")),
    ] {
        let directory = tempfile::tempdir().unwrap();
        set_mode(directory.path(), 0o777);
        let copy = directory.path().join("jobs.db");
        for suffix in files {
            let name = |path: &Path| format!("{}{suffix}", path.display());
            fs::copy(name(&path), name(&copy)).unwrap();
            let mode = if Some(*suffix) == unwritable {
                0o444
            } else {
                0o666
            };
            set_mode(name(&copy).as_ref(), mode);
        }
        let said = opening(&copy);
        let expected = match unwritable {
            Some(_) => "jobs.db` cannot be opened: allow the process to write the file",
            None => OPENED,
        };
        assert!(said.contains(expected), "{files:?} {unwritable:?}: {said}");
    }
}
