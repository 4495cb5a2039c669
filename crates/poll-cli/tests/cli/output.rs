//! The output of the answer.

use std::{fs, process::Stdio};

use tokio::io::{AsyncBufReadExt, BufReader};

use crate::{
    poll::{command, finish, poll},
    server::{Answer, Server, pending, reply, response, with},
};

#[tokio::test]
async fn file_is_written_whole_and_nothing_is_left_beside_it() {
    let server = Server::start(|_, _| reply(200, "done")).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("answer");
    let ran = poll(&["-o", file.to_str().unwrap(), &server.url("/")]).await;
    assert_eq!(ran.exits_with(0).stdout, "");
    assert_eq!(fs::read_to_string(&file).unwrap(), "done");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn broken_body_leaves_the_old_file_as_it_was() {
    let server = Server::start(|_, _| {
        Answer::Truncated(response(200, &[("content-length", "100")], "half"))
    });
    let server = server.await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("answer");
    fs::write(&file, "old").unwrap();
    poll(&["-o", file.to_str().unwrap(), &server.url("/")])
        .await
        .exits_with(18);
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn links_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let server = Server::start(|_, _| reply(200, "done")).await;
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("file"), directory.path().join("link"));
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&file, &link).unwrap();
    poll(&["-o", link.to_str().unwrap(), &server.url("/")])
        .await
        .exits_with(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), "done");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[cfg(unix)]
#[tokio::test]
async fn device_is_written_to_and_not_replaced() {
    use std::os::unix::fs::FileTypeExt;

    let server = Server::start(|_, _| reply(200, "done")).await;
    poll(&["-o", "/dev/null", &server.url("/")])
        .await
        .exits_with(0);
    let kind = fs::metadata("/dev/null").unwrap().file_type();
    assert!(kind.is_char_device());
}

#[tokio::test]
async fn file_that_cannot_be_written_is_23() {
    let server = Server::start(|_, _| reply(200, "done")).await;
    let ran = poll(&["-o", "/no/such/directory/file", &server.url("/")])
        .await
        .exits_with(23);
    assert!(ran.stderr.contains("/no/such/directory/file"), "{ran:?}");
}

#[tokio::test]
async fn final_head_alone_is_included() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        _ => with(201, &[("x-kind", "report")], "done"),
    });
    let server = server.await;
    let ran = poll(&["-i", &server.url("/")]).await.exits_with(0);
    assert!(
        ran.stdout.starts_with("HTTP/1.1 201 Created\r\n"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("x-kind: report\r\n"), "{ran:?}");
    assert!(ran.stdout.ends_with("\r\n\r\ndone"), "{ran:?}");
    assert!(!ran.stdout.contains("303"), "{ran:?}");
}

#[tokio::test]
async fn body_is_written_as_it_comes_and_a_closed_pipe_is_no_panic() {
    let server =
        Server::start(|_, _| Answer::Endless(response(200, &[], "again and again\n"))).await;
    let mut child = command(&[&server.url("/")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let line = BufReader::new(stdout).lines().next_line().await.unwrap();
    assert_eq!(line.as_deref(), Some("again and again"));
    // The reader closes the pipe.
    let ran = finish(child).await.exits_with(23);
    assert_eq!(ran.stderr, "");
}
