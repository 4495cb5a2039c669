//! Stores that cannot be opened.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::Stdio,
};

use rustix::process::{getegid, geteuid};
use test_services::{Missing, available};
use tokio::process::Command;

use crate::support::{command, soon};

const ARGUMENTS: [&str; 5] = [
    "--upstream",
    "http://127.0.0.1:9",
    "--listen",
    "127.0.0.1:0",
    "--store",
];

/// Returns what a gateway with this store tells before it ends.
async fn told(store: &str) -> String {
    told_by(command(ARGUMENTS), store).await
}

async fn told_by(mut command: Command, store: &str) -> String {
    command.arg(store).stderr(Stdio::piped());
    let ended = soon(command.output()).await.unwrap();
    assert!(!ended.status.success());
    assert!(ended.stdout.is_empty());
    String::from_utf8(ended.stderr).unwrap()
}

/// Returns the user and the group of this process.
fn own() -> (u32, u32) {
    (geteuid().as_raw(), getegid().as_raw())
}

#[tokio::test]
async fn a_missing_folder_is_named_with_the_user_and_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let told = told(&format!("sqlite:{}/jobs.db", missing.display())).await;
    let (user, group) = own();
    assert_eq!(
        told,
        format!(
            "job-gateway: the store cannot be opened: the folder `{0}` does not exist: create it for the \
             process, which has uid {user} and gid {group}, by `install -d -o {user} -g {group} {0}`\n",
            missing.display()
        )
    );
}

/// Returns the command of a gateway of another user, whose program is a copy in this folder, if the
/// tests run as root.
fn of_another_user(folder: &Path) -> Option<Command> {
    let is_root = match own().0 {
        0 => Ok(()),
        _ => Err(Missing::new(
            "another user",
            "only root starts its processes",
        )),
    };
    available(is_root)?;
    let program = folder.join("job-gateway");
    // Another process writes it: a process that other tests start meanwhile would have it open.
    let mut copy = std::process::Command::new("cp");
    copy.arg(env!("CARGO_BIN_EXE_job-gateway")).arg(&program);
    assert!(copy.status().unwrap().success());
    let mut command = Command::new(program);
    command
        .args(ARGUMENTS)
        .kill_on_drop(true)
        .uid(65532)
        .gid(65532);
    Some(command)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_folder_of_another_user_is_named_with_both_and_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o755);
    let Some(command) = of_another_user(folder.path()) else {
        return;
    };
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    set_mode(&data, 0o755);
    let told = told_by(command, &format!("sqlite:{}/jobs.db", data.display())).await;
    let expected = format!(
        "job-gateway: the store cannot be opened: the process, which has uid 65532 and gid 65532, may \
         not write `{0}`, which belongs to uid 0 and gid 0 with mode 755: give it to this user by `chown \
         65532:65532 {0}`, or choose another path\n",
        data.display()
    );
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_file_of_another_user_and_a_folder_that_is_closed_are_named() {
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o755);
    let data = folder.path().join("data");
    let file = data.join("jobs.db");
    let store = format!("sqlite:{}", file.display());
    for (prepare, expected) in [
        (
            (|data| fs::write(data, "").unwrap()) as fn(&Path),
            "may not write `{}/jobs.db`, which belongs to uid 0 and gid 0 with mode 644: give it to this \
             user by `chown 65532:65532 {}/jobs.db`",
        ),
        (
            |file| set_mode(file.parent().unwrap(), 0o555),
            "may not write `{}`, which belongs to uid 65532 and gid 65532 with mode 555: let it write by \
             `chmod u+w {}`",
        ),
        (
            |file| set_mode(file.parent().unwrap(), 0o600),
            "may not enter `{}`, which belongs to uid 65532 and gid 65532 with mode 600: let it enter by \
             `chmod a+x {}`",
        ),
    ] {
        let Some(command) = of_another_user(folder.path()) else {
            return;
        };
        let _ = fs::remove_dir_all(&data);
        fs::create_dir(&data).unwrap();
        chown(&data, Some(65532), Some(65532)).unwrap();
        prepare(&file);
        let told = told_by(command, &store).await;
        let expected = expected.replace("{}", &data.display().to_string());
        assert!(told.contains(&expected), "{told}\n{expected}");
        assert!(told.contains("uid 65532"), "{told}");
    }
}

#[tokio::test]
async fn a_store_that_this_build_lacks_is_named() {
    for (url, feature) in [
        ("postgres://db/jobs", "postgres"),
        ("redis://127.0.0.1:9", "redis"),
    ] {
        let told = told(url).await;
        let has = match feature {
            "postgres" => cfg!(feature = "postgres"),
            _ => cfg!(feature = "redis"),
        };
        let lacks = format!("build it with `--features {feature}`");
        assert_eq!(!has, told.contains(&lacks), "{told}");
        assert!(told.contains("the store cannot be opened: "), "{told}");
    }
}
