//! The image: its program runs as bubblewrap imitates it, with the user, paths and arguments of the
//! Dockerfile, the libraries of distroless, a root that is read-only, and a folder for jobs.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Stdio,
};

use http::{Request, Response, StatusCode};
use rustix::process::Signal;
use tempfile::TempDir;
use test_services::{Missing, available, installed};
use tokio::process::Command;

use crate::support::{Answer, Gateway, Upstream, full, get, send, soon};

const DOCKERFILE: &str = include_str!("../../packaging/Dockerfile");
/// The libraries of distroless's image for programs in C.
const LIBRARIES: [&str; 4] = ["ld-linux", "libc.so", "libgcc_s.so", "libm.so"];

/// Returns the arguments of an instruction in the last stage of the Dockerfile.
fn instruction(name: &str) -> Vec<String> {
    let (_, last) = DOCKERFILE.rsplit_once("\nFROM ").unwrap();
    let mut lines = last
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let line = lines
        .next()
        .unwrap_or_else(|| panic!("no {name} in the last stage"));
    let list = serde_json::from_str(line).ok();
    list.unwrap_or_else(|| line.split(' ').map(str::to_owned).collect())
}

#[test]
fn the_image_has_a_user_and_a_folder_of_this_user_for_jobs() {
    assert!(DOCKERFILE.contains("\nFROM gcr.io/distroless/cc-debian13\n"));
    assert_eq!(instruction("USER"), ["65532:65532"]);
    assert_eq!(instruction("VOLUME"), ["/data"]);
    assert_eq!(instruction("EXPOSE"), ["8080"]);
    assert!(DOCKERFILE.contains("\nCOPY --from=build --chown=65532:65532 /data /data\n"));
    let program =
        "\nCOPY --from=build /source/target/release/job-gateway /usr/local/bin/job-gateway\n";
    assert!(DOCKERFILE.contains(program));
    assert_eq!(instruction("ENTRYPOINT"), ["/usr/local/bin/job-gateway"]);
    let defaults = ["--upstream", "http://app:3000", "--listen", "0.0.0.0:8080"];
    let defaults = [&defaults[..], &["--store", "sqlite:/data/jobs.db"]].concat();
    assert_eq!(instruction("CMD"), defaults);
}

/// Returns the libraries of the program, which are those of the image.
async fn libraries() -> Vec<PathBuf> {
    let listed = Command::new("ldd")
        .arg(env!("CARGO_BIN_EXE_job-gateway"))
        .output();
    let listed = String::from_utf8(soon(listed).await.unwrap().stdout).unwrap();
    let paths = listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    let paths: Vec<_> = paths.map(PathBuf::from).collect();
    assert!(!paths.is_empty(), "{listed}");
    for path in &paths {
        let name = path.file_name().unwrap().to_string_lossy();
        let is_known = LIBRARIES.iter().any(|library| name.starts_with(library));
        assert!(is_known, "distroless has no {name}");
    }
    paths
}

/// The arguments of bubblewrap for the folder of jobs.
enum Data<'a> {
    Folder(&'a Path),
    ReadOnly(&'a Path),
    /// A disk of this size in bytes.
    Disk(&'a str),
}

/// Returns bubblewrap, if the system lets it make namespaces.
async fn sandbox() -> Result<PathBuf, Missing> {
    let program = installed("bwrap")?;
    let mut trial = Command::new(&program);
    trial.args([
        "--unshare-user",
        "--unshare-pid",
        "--ro-bind",
        "/",
        "/",
        "true",
    ]);
    let done = soon(trial.output()).await.unwrap();
    match done.status.success() {
        true => Ok(program),
        false => Err(Missing::new("bwrap", String::from_utf8_lossy(&done.stderr))),
    }
}

/// Returns the command of the image's program before this server, if bubblewrap can be had.
async fn image(upstream: &str, data: Data<'_>) -> Option<Command> {
    let mut command = Command::new(available(sandbox().await)?);
    let user = instruction("USER").remove(0);
    let (user, group) = user.split_once(':').unwrap();
    let program = instruction("ENTRYPOINT").remove(0);
    command.args(["--unshare-user", "--uid", user, "--gid", group]);
    command.args([
        "--unshare-pid",
        "--as-pid-1",
        "--die-with-parent",
        "--clearenv",
    ]);
    command.args(["--ro-bind", env!("CARGO_BIN_EXE_job-gateway"), &program]);
    for library in libraries().await {
        command.arg("--ro-bind").args([&library, &library]);
    }
    let folder = instruction("VOLUME").remove(0);
    match data {
        Data::Folder(path) => command.arg("--bind").arg(path).arg(folder),
        Data::ReadOnly(path) => command.arg("--ro-bind").arg(path).arg(folder),
        Data::Disk(size) => command.args(["--size", size, "--tmpfs", &folder]),
    };
    command.args(["--remount-ro", "/", "--", &program]);
    for argument in instruction("CMD") {
        command.arg(match &*argument {
            "http://app:3000" => upstream,
            // The network is that of the test, whose ports others use too.
            "0.0.0.0:8080" => "127.0.0.1:0",
            argument => argument,
        });
    }
    command.stderr(Stdio::null()).kill_on_drop(true);
    Some(command)
}

/// Returns the end of a program that cannot begin.
async fn told(mut command: Command) -> String {
    let done = soon(command.stderr(Stdio::piped()).output()).await.unwrap();
    assert_eq!(done.status.code(), Some(1));
    String::from_utf8(done.stderr).unwrap()
}

#[tokio::test]
async fn results_outlive_a_container_that_is_killed() {
    let upstream = Upstream::of_requests(|_| async {
        tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
        Response::new(full("done"))
    })
    .await;
    let data = TempDir::new().unwrap();
    let Some(command) = image(&upstream.url(), Data::Folder(data.path())).await else {
        return;
    };
    let mut first = Gateway::start(command).await;
    let accepted: Answer = get(first.url("/report")).await;
    assert_eq!(accepted.status, StatusCode::SEE_OTHER);
    let job = accepted
        .header("location")
        .split('?')
        .next()
        .unwrap()
        .to_owned();
    let poll = |url| {
        Request::get(url)
            .header("prefer", "wait=10")
            .body("".into())
            .unwrap()
    };
    assert_eq!(send(poll(first.url(&job))).await.text(), "done");
    first.signal(Signal::KILL);
    first.ended().await;

    let command = image(&upstream.url(), Data::Folder(data.path()))
        .await
        .unwrap();
    let second = Gateway::start(command).await;
    let done = send(poll(second.url(&job))).await;
    assert_eq!((done.status, done.text()), (StatusCode::OK, "done"));
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named_with_the_user_and_a_remedy() {
    let data = TempDir::new().unwrap();
    let upstream = "http://127.0.0.1:9";
    let Some(command) = image(upstream, Data::ReadOnly(data.path())).await else {
        return;
    };
    assert_eq!(
        told(command).await,
        "job-gateway: the store cannot be opened: `/data` is on a file system that is read-only for the \
         process, which has uid 65532 and gid 65532: mount a folder there that this user can write, or \
         choose another path\n"
    );

    // A folder of root, if another user runs the tests.
    let is_changed = chown(data.path(), Some(12345), Some(12345)).is_ok();
    let foreign = if is_changed {
        data.path()
    } else {
        Path::new("/usr")
    };
    fs::metadata(foreign).unwrap();
    let command = image(upstream, Data::Folder(foreign)).await.unwrap();
    let told = told(command).await;
    for part in [
        "the process, which has uid 65532 and gid 65532, may not write `/data`, which belongs to uid ",
        "give it to this user by `chown 65532:65532 /data`",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[tokio::test]
async fn a_disk_without_room_is_named_with_the_user() {
    let Some(command) = image("http://127.0.0.1:9", Data::Disk("8192")).await else {
        return;
    };
    assert_eq!(
        told(command).await,
        "job-gateway: the store cannot be opened: the disk of `/data/jobs.db` is full for the process, \
         which has uid 65532 and gid 65532: free some space, or raise the quota of this user\n"
    );
}
