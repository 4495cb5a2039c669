//! Headers that polls carry, and those that they do not.

use crate::{
    poll::poll,
    server::{Server, pending, reply},
};

#[tokio::test]
async fn headers_go_with_polls_unless_they_are_of_one_message() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        _ => reply(200, "done"),
    });
    let server = server.await;
    let lines = [
        ("X-Tenant: seven", true),
        ("X-Auth-Token: t", true),
        ("Host: jobs.example", true),
        ("Referer: http://a.example/", true),
        ("Content-Language: de", false),
        ("Content-Digest: sha-256=:AA==:", false),
        ("If-Match: \"a\"", false),
        ("Range: bytes=0-1", false),
        ("Prefer: respond-async", false),
        ("Idempotency-Key: \"k\"", false),
        ("Signature-Input: a", false),
        ("X-Amz-Date: now", false),
        ("X-HTTP-Method-Override: PATCH", false),
        ("X-HTTP-Method: PATCH", false),
        ("X-Method-Override: PATCH", false),
        ("DPoP: proof", false),
        ("Repr-Digest: sha-256=:AA==:", false),
        ("Proxy-Authorization: Basic bWU6c2VjcmV0", false),
        ("X-Dropped: a", false),
        ("Accept-Language: de", false),
    ];
    let mut arguments = vec![
        "--drop-header",
        "x-dropped",
        "--drop-header",
        "accept-language",
    ];
    for (line, _) in &lines {
        arguments.extend(["-H", line]);
    }
    let url = server.url("/");
    arguments.extend(["-d", "x", &url]);
    poll(&arguments).await.exits_with(0);
    let seen = server.seen();
    for (line, goes_on) in lines {
        let name = line.split_once(':').unwrap().0;
        assert!(seen[0].headers.contains_key(name), "{line}");
        assert_eq!(seen[1].headers.contains_key(name), goes_on, "{line}");
    }
}

#[tokio::test]
async fn headers_stay_with_the_origin_unless_named() {
    let other = Server::start(|_, _| reply(200, "done")).await;
    let away = other.url("/work/1");
    let server = Server::start(move |_, _| pending(&away)).await;
    let allowed = format!("--cross-origin={}", other.url(""));
    let ran = poll(&[
        &allowed,
        "-H",
        "X-Tenant: seven",
        "-H",
        "X-Secret-Tenant: eight",
        "-H",
        "X-Named: nine",
        "-H",
        "Accept-Language: de",
        "--keep-header",
        "x-named",
        "--keep-header",
        "x-secret-tenant",
        &server.url("/"),
    ])
    .await;
    ran.exits_with(0);
    let poll = &other.seen()[0];
    assert!(!poll.headers.contains_key("x-tenant"));
    assert!(!poll.headers.contains_key("x-secret-tenant"));
    assert_eq!(poll.headers["x-named"], "nine");
    assert_eq!(poll.headers["accept-language"], "de");
}

#[tokio::test]
async fn headers_that_stay_are_shown_all_the_same() {
    let server = Server::start(|_, _| reply(200, "done")).await;
    let ran = poll(&[
        "-v",
        "-H",
        "X-Tenant: seven",
        "-H",
        "X-Api-Key: k",
        &server.url("/"),
    ])
    .await;
    let ran = ran.exits_with(0);
    assert!(ran.stderr.contains("> x-tenant: seven\n"), "{ran:?}");
    assert!(ran.stderr.contains("> x-api-key: [redacted]\n"), "{ran:?}");
}
