//! Handles that one process prints and another one uses.

use std::fs;

use serde_json::Value;

use crate::{
    poll::{Ran, poll, run, run_with_input},
    server::{Server, pending, reply, with},
};

/// Submits without waiting, and returns the handle.
async fn submit(server: &Server) -> String {
    let ran = run(&["--no-wait", "-d", "x", &server.url("/report")]).await;
    let stdout = ran.exits_with(0).stdout;
    assert!(stdout.ends_with('\n'));
    stdout
}

async fn two_polls() -> Server {
    Server::start(|n, _| match n {
        0 | 1 => pending("/work/1"),
        _ => reply(200, "done"),
    })
    .await
}

#[tokio::test]
async fn job_is_submitted_here_and_resumed_there() {
    let server = two_polls().await;
    let handle = submit(&server).await;
    let json: Value = serde_json::from_str(&handle).unwrap();
    assert_eq!(json["version"], 1);
    let ran = run(&["resume", "--min-delay", "1ms", &handle]).await;
    assert_eq!(ran.exits_with(0).stdout, "done");
    assert_eq!(
        server.lines(),
        ["POST /report", "GET /work/1", "GET /work/1"]
    );
}

#[tokio::test]
async fn handle_is_read_from_a_file_and_from_standard_input() {
    for by_file in [true, false] {
        let server = two_polls().await;
        let handle = submit(&server).await;
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &handle).unwrap();
        let ran: Ran = match by_file {
            true => run(&["resume", file.path().to_str().unwrap()]).await,
            false => run_with_input(&["resume", "-"], handle.as_bytes()).await,
        };
        assert_eq!(ran.exits_with(0).stdout, "done");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn file_of_a_handle_is_for_its_owner_alone() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    for option in ["--job-file", "-o"] {
        let server = two_polls().await;
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        let written = async |to: &std::path::Path| {
            let to = to.to_str().unwrap();
            let ran = run(&["--no-wait", option, to, "-d", "x", &server.url("/")]).await;
            assert_eq!(ran.exits_with(0).stdout, "");
            let metadata = fs::metadata(&file).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{option}");
            assert!(fs::read_to_string(&file).unwrap().starts_with('{'));
            metadata.ino()
        };
        written(&file).await;
        // A reader that has an earlier file open does not see the new handle.
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let old = fs::metadata(&file).unwrap().ino();
        symlink(&file, &link).unwrap();
        assert_ne!(written(&link).await, old);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}

#[tokio::test]
async fn resumed_job_has_the_headers_that_are_given_again() {
    let server = two_polls().await;
    let handle = submit(&server).await;
    let ran = run(&[
        "resume",
        "--trust-origin",
        "-u",
        "me:secret",
        "-H",
        "X-Tenant: seven",
        "--keep-header",
        "x-tenant",
        "-i",
        &handle,
    ])
    .await;
    assert!(ran.exits_with(0).stdout.starts_with("HTTP/1.1 200"));
    let poll = server.seen().pop().unwrap();
    assert_eq!(poll.headers["authorization"], "Basic bWU6c2VjcmV0");
    assert_eq!(poll.headers["x-tenant"], "seven");
}

#[tokio::test]
async fn handle_of_a_failure_can_be_resumed() {
    let server = two_polls().await;
    let ran = poll(&["--max-polls", "1", &server.url("/")])
        .await
        .exits_with(47);
    let ran = run(&["resume", &ran.handle()]).await.exits_with(0);
    assert_eq!(ran.stdout, "done");
}

#[tokio::test]
async fn handle_with_absurd_numbers_is_resumed() {
    let server = two_polls().await;
    submit(&server).await;
    let url = server.url("/work/1");
    let most = u64::MAX;
    let handle = format!(
        r#"{{"version":1,"url":"{url}","origin":"{url}","polls":{},"elapsed_ms":{most},"retry_after_ms":{most}}}"#,
        u32::MAX
    );
    let ran = run(&["resume", "--min-delay", "1ms", &handle]).await;
    assert_eq!(ran.exits_with(0).stdout, "done");
}

#[tokio::test]
async fn limits_hold_for_a_resumed_job() {
    let server = Server::start(|_, _| pending("/work/1")).await;
    let handle = submit(&server).await;
    let ran = run(&["resume", "--max-polls", "2", "--min-delay", "1ms", &handle]).await;
    ran.exits_with(47);
    let ran = run(&["resume", "--deadline", "50ms", &handle]).await;
    assert!(ran.exits_with(28).stderr.contains("resume with"));
}

#[tokio::test]
async fn answer_that_is_final_at_once_is_written() {
    let server = Server::start(|_, _| reply(200, "done")).await;
    let ran = run(&["--no-wait", &server.url("/")]).await.exits_with(20);
    assert_eq!(ran.stdout, "done");
}

#[tokio::test]
async fn status_is_one_line() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        1 => with(
            303,
            &[
                ("location", "/work/1"),
                ("retry-after", "3"),
                ("job-status", "queued"),
            ],
            "",
        ),
        2 => reply(200, "done"),
        3 => with(410, &[("job-status", "cancelled")], ""),
        _ => with(500, &[("job-status", "done")], ""),
    });
    let server = server.await;
    let handle = submit(&server).await;
    for (code, expected) in [
        (0, "pending (queued); poll "),
        (0, "done: 200 OK\n"),
        (22, "cancelled\n"),
        (22, "done: 500 Internal Server Error\n"),
    ] {
        let ran = run(&["status", &handle]).await.exits_with(code);
        assert!(ran.stdout.starts_with(expected), "{ran:?}");
        assert_eq!(ran.stdout.lines().count(), 1);
        assert_eq!(ran.stderr, "");
    }
}

#[tokio::test]
async fn status_as_json_is_the_servers_document() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        1 => with(
            202,
            &[("retry-after", "3"), ("content-type", "application/json")],
            r#"{"state":"running","own":"member"}"#,
        ),
        2 => pending("/work/1"),
        _ => reply(200, "done"),
    });
    let server = server.await;
    let handle = submit(&server).await;
    for (member, expected) in [
        ("own", Value::from("member")),
        ("state", Value::from("running")),
        ("status", Value::from(200)),
    ] {
        let ran = run(&["status", "--json", &handle]).await.exits_with(0);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(document[member], expected, "{ran:?}");
    }
}

#[tokio::test]
async fn status_that_cannot_be_had_is_a_failure() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        _ => crate::server::Answer::Close,
    });
    let server = server.await;
    let handle = submit(&server).await;
    run(&["status", &handle]).await.exits_with(52);
}

#[tokio::test]
async fn status_of_a_poll_that_failed_is_not_that_of_a_job_that_is_done() {
    for (status, code) in [(503, 22), (500, 22), (404, 22), (410, 22), (401, 22)] {
        let server = Server::start(move |_, _| reply(status, "")).await;
        for arguments in [&["status"][..], &["status", "--json"]] {
            let url = server.url("/work/1");
            let ran = run(&[arguments, &[&url]].concat()).await.exits_with(code);
            assert!(!ran.stdout.contains("done"), "{ran:?}");
            assert!(!ran.stdout.contains("pending"), "{ran:?}");
            assert!(!ran.stdout.contains("running"), "{ran:?}");
        }
    }
}

#[tokio::test]
async fn job_is_cancelled_by_delete() {
    for (status, code) in [(202, 0), (204, 0), (404, 22), (409, 22), (501, 22)] {
        let server = Server::start(move |n, _| match n {
            0 => pending("/work/1"),
            _ => reply(status, ""),
        });
        let server = server.await;
        let handle = submit(&server).await;
        run(&["cancel", &handle]).await.exits_with(code);
        assert_eq!(server.lines(), ["POST /report", "DELETE /work/1"]);
    }
}
