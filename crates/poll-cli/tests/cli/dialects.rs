//! Dialects that the command line names.

use crate::{
    poll::{poll, run},
    server::{Answer, Server, reply, with},
};

fn json(status: u16, body: &'static str) -> Answer {
    with(status, &[("content-type", "application/json")], body)
}

/// Answers 202 with the Location of a document with the state.
async fn documents(last: &'static str) -> Server {
    Server::start(move |n, seen| match (n, seen.uri.path()) {
        (0, _) => with(
            202,
            &[("location", "/operations/7"), ("retry-after-ms", "5")],
            "",
        ),
        (1, _) => json(200, r#"{"status":"Running","percentComplete":25}"#),
        _ => json(200, last),
    })
    .await
}

#[tokio::test]
async fn status_document_is_followed_to_its_end() {
    let succeeded = r#"{"status":"Succeeded","id":"item"}"#;
    let server = documents(succeeded).await;
    let url = server.url("/items");
    let ran = poll(&["--dialect", "status-document=status", "-d", "{}", &url]).await;
    assert_eq!(ran.exits_with(0).stdout, succeeded);
    let server = documents(r#"{"status":"Failed","error":{"message":"no luck"}}"#).await;
    let url = server.url("/items");
    let ran = poll(&["--dialect", "status-document=status", "-d", "{}", &url]).await;
    assert!(ran.exits_with(22).stderr.contains("no luck"));
    let server = documents(succeeded).await;
    let ran = poll(&["-d", "{}", &server.url("/items")])
        .await
        .exits_with(0);
    assert!(
        ran.stderr.contains("--dialect status-document=status"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn jobs_by_url_are_of_the_dialect_that_is_named() {
    for dialect in ["status-document=status", "azure"] {
        let server = Server::start(|n, _| match n {
            0 | 1 => json(200, r#"{"status":"Running"}"#),
            _ => json(200, r#"{"status":"Succeeded"}"#),
        });
        let server = server.await;
        let url = server.url("/operations/7");
        let ran = run(&["status", "--dialect", dialect, &url])
            .await
            .exits_with(0);
        assert!(ran.stdout.starts_with("pending (running)"), "{ran:?}");
        let delays = ["--min-delay", "1ms", "--max-delay", "5ms"];
        let start = [&["resume", "--dialect", dialect][..], &delays].concat();
        let ran = run(&[&start[..], &[&url]].concat()).await;
        assert_eq!(
            ran.exits_with(0).stdout,
            r#"{"status":"Succeeded"}"#,
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn azure_resource_is_followed_without_headers() {
    let server = Server::start(|n, _| match n {
        0 => json(201, r#"{"properties":{"provisioningState":"Creating"}}"#),
        1 => json(200, r#"{"properties":{"provisioningState":"Updating"}}"#),
        _ => json(200, r#"{"properties":{"provisioningState":"Succeeded"}}"#),
    });
    let server = server.await;
    let url = server.url("/vm?api-version=1");
    let arguments = [
        "--max-delay",
        "5ms",
        "--dialect",
        "azure",
        "-X",
        "PUT",
        "--json",
        "{}",
    ];
    let ran = poll(&[&arguments[..], &[&url]].concat()).await;
    assert!(ran.exits_with(0).stdout.contains("Succeeded"));
}

#[tokio::test]
async fn bare_202_to_get_is_asked_again() {
    let play = |n| match n {
        0 | 1 => json(202, "{}"),
        _ => json(200, "[1,2]"),
    };
    let server = Server::start(move |n, _| play(n)).await;
    let url = server.url("/stats");
    let ran = poll(&["--poll-202", "--max-delay", "5ms", &url]).await;
    assert_eq!(ran.exits_with(0).stdout, "[1,2]");
    let server = Server::start(move |n, _| play(n)).await;
    let ran = poll(&[&server.url("/stats")]).await.exits_with(0);
    assert!(ran.stderr.contains("(--poll-202 asks again)"), "{ran:?}");
}

#[tokio::test]
async fn unknown_dialect_is_refused_with_the_names() {
    let server = Server::start(|_, _| reply(200, "")).await;
    let ran = run(&["--dialect", "esperanto", &server.url("/")])
        .await
        .exits_with(2);
    assert!(ran.stderr.contains("status-document=FIELD"), "{ran:?}");
}
