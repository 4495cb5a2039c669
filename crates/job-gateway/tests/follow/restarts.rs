//! Gateways that end while a server's job runs: others continue to poll it.

use std::time::Duration;

use http::StatusCode;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{
    jobs::{accepted, result, settings},
    server::Server,
    support::{Gateway, Upstream},
};

/// Starts a gateway on the store in a folder.
async fn start(upstream: &Upstream, folder: &TempDir, defaults: &str) -> Gateway {
    let store = folder.path().join("jobs.db");
    let settings = settings(&upstream.url(), defaults);
    let store = store.display();
    let root = format!("store = \"sqlite:{store}\"\nlease = \"5s\"\ngrace = \"0s\"\n");
    Gateway::with(&(root + &settings)).await
}

/// Returns whether a text is in a file of the store.
fn has(folder: &TempDir, text: &str) -> bool {
    let files = std::fs::read_dir(folder.path()).unwrap();
    let mut contents = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
    contents.any(|bytes| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    })
}

#[tokio::test]
async fn s88_a_gateway_that_is_restarted_continues_to_poll() {
    for defaults in ["", "replay = \"all\"\ncredentials = \"keep\""] {
        let (server, folder) = (Server::default(), tempfile::tempdir().unwrap());
        let upstream = server.start().await;
        let mut first = start(&upstream, &folder, defaults).await;
        let job = accepted(&first, "/slow").await;
        server.receives("GET /jobs/7", 1).await;
        // A request that may not be sent again is not stored either.
        let is_stored = !defaults.is_empty();
        assert_eq!(has(&folder, "the work"), is_stored);
        assert_eq!(has(&folder, "secret-7"), is_stored);
        first.signal(Signal::TERM);
        first.ended().await;
        let polls = server.count("GET /jobs/7");

        let second = start(&upstream, &folder, defaults).await;
        server.receives("GET /jobs/7", polls + 1).await;
        let has_credentials = server.fields("GET /jobs/7").contains_key("authorization");
        assert_eq!(has_credentials, is_stored);
        server.finish();
        let answer = result(&second, &job).await;
        assert_eq!(
            (answer.status, answer.text()),
            (StatusCode::OK, "the result")
        );
        assert_eq!(server.count("POST /slow"), 1);
        assert_eq!(server.count("DELETE /jobs/7"), 0);
    }
}

#[tokio::test]
async fn s88_a_gateway_that_is_killed_is_followed_by_one_that_continues_to_poll() {
    let (server, folder) = (Server::default(), tempfile::tempdir().unwrap());
    let upstream = server.start().await;
    let mut first = start(&upstream, &folder, "").await;
    let job = accepted(&first, "/slow").await;
    server.receives("GET /jobs/7", 1).await;
    let unanswered = accepted(&first, "/hang").await;
    server.receives("POST /hang", 1).await;
    first.signal(Signal::KILL);
    first.ended().await;

    let second = start(&upstream, &folder, "").await;
    server.finish();
    let answer = result(&second, &job).await;
    assert_eq!(
        (answer.status, answer.text()),
        (StatusCode::OK, "the result")
    );
    let lost = result(&second, &unanswered).await;
    assert_eq!(lost.header("job-status"), "lost");
    assert!(lost.text().contains("may not be repeated"), "{lost:?}");
    assert_eq!(
        (server.count("POST /slow"), server.count("POST /hang")),
        (1, 1)
    );
    assert_eq!(server.count("DELETE /jobs/7"), 0);
}

#[tokio::test]
async fn a_job_that_the_server_has_forgotten_is_begun_again_if_that_is_allowed() {
    let (server, folder) = (Server::default(), tempfile::tempdir().unwrap());
    let upstream = server.start().await;
    let repeatable = "replay = \"all\"\ncredentials = \"drop\"";
    let gateway = start(&upstream, &folder, repeatable).await;
    let job = accepted(&gateway, "/slow").await;
    server.receives("GET /jobs/7", 1).await;
    server.forget();
    server.receives("POST /slow", 2).await;
    server.remember();
    sleep(Duration::from_millis(100)).await;
    server.finish();
    let answer = result(&gateway, &job).await;
    assert_eq!(
        (answer.status, answer.text()),
        (StatusCode::OK, "the result")
    );
    let keys = server.fields("POST /slow");
    assert_eq!(keys["job-attempt"], "2");
}
