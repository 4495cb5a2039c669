//! Faults in the locations of answers, as the command sees them.

use crate::{
    poll::poll,
    server::{Server, pending, reply, with},
};

/// Answers the submission with a 303 to `location`.
async fn to(location: impl Into<String>) -> Server {
    let location = location.into();
    Server::start(move |_, _| pending(&location)).await
}

#[tokio::test]
async fn c01_location_on_another_origin_is_refused_by_default() {
    let other = Server::start(|_, _| reply(200, "done")).await;
    let server = to(other.url("/work/1")).await;
    let ran = poll(&[&server.url("/")]).await.exits_with(9);
    assert!(ran.stderr.contains("leave the origin"), "{ran:?}");
    let hint = format!("poll: hint: --cross-origin={} allows", other.url(""));
    assert!(ran.stderr.contains(&hint), "{ran:?}");
    assert!(ran.handle().contains(&other.url("/work/1")));
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn c01_allowed_origin_gets_no_credentials() {
    let other = Server::start(|_, _| reply(200, "done")).await;
    let server = to(other.url("/work/1")).await;
    let allowed = format!("--cross-origin={}", other.url(""));
    let ran = poll(&[
        &allowed,
        "-u",
        "me:secret",
        "-H",
        "X-Api-Key: secret",
        "-H",
        "X-Tenant: seven",
        "--keep-header",
        "X-Api-Key",
        "--keep-header",
        "X-Tenant",
        &server.url("/"),
    ])
    .await;
    ran.exits_with(0);
    let poll = &other.seen()[0];
    assert!(!poll.headers.contains_key("authorization"));
    assert!(!poll.headers.contains_key("x-api-key"));
    assert_eq!(poll.headers["x-tenant"], "seven");
}

#[tokio::test]
async fn c03_credentials_that_were_dropped_do_not_come_back() {
    let home = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let back = std::sync::Arc::clone(&home);
    let other = Server::start(move |_, _| pending(back.get().unwrap())).await;
    let away = other.url("/work/1");
    let server = Server::start(move |n, _| match n {
        0 => pending(&away),
        _ => reply(200, "done"),
    });
    let server = server.await;
    home.set(server.url("/work/2")).unwrap();
    let allowed = format!("--cross-origin={}", other.url(""));
    poll(&[&allowed, "-u", "me:secret", &server.url("/")])
        .await
        .exits_with(0);
    let seen = server.seen();
    assert!(seen[0].headers.contains_key("authorization"));
    assert!(!seen[1].headers.contains_key("authorization"));
}

#[tokio::test]
async fn c04_other_port_is_another_origin() {
    let server = to("http://127.0.0.1:9/work/1").await;
    poll(&[&server.url("/")]).await.exits_with(9);
    let server = to("http://localhost:9/work/1").await;
    poll(&[&server.url("/")]).await.exits_with(9);
}

#[tokio::test]
async fn c05_private_addresses_must_be_named() {
    for location in [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:9/work/1",
        "http://10.0.0.1/work/1",
        "http://localhost:9/work/1",
    ] {
        let server = to(location).await;
        let ran = poll(&["--cross-origin", &server.url("/")])
            .await
            .exits_with(9);
        assert!(ran.stderr.contains("private address"), "{ran:?}");
    }
}

#[tokio::test]
async fn c06_unusable_location_is_8_without_a_request() {
    let long = format!("/{}", "a".repeat(64 * 1024 - 1));
    for location in [
        "file:///etc/passwd",
        "http://me:secret@127.0.0.1/",
        "http://a%2Fb/",
        &long,
    ] {
        let server = to(location).await;
        let ran = poll(&[&server.url("/")]).await.exits_with(8);
        assert_eq!(server.seen().len(), 1, "{location:.40}");
        let start = &location[..20.min(location.len())];
        let expected = format!("poll: the server sent Location: {start}");
        assert!(ran.stderr.contains(&expected), "{ran:?}");
    }
}

#[tokio::test]
async fn c07_missing_or_doubled_location_is_8() {
    for headers in [
        &[("retry-after", "1"), ("job-status", "running")][..],
        &[
            ("retry-after", "1"),
            ("location", "/work/1"),
            ("location", "/work/2"),
        ],
    ] {
        let server = Server::start(|_, _| with(303, headers, "")).await;
        let ran = poll(&["-d", "x", &server.url("/")]).await.exits_with(8);
        assert!(ran.stderr.contains("no usable URL to poll"), "{ran:?}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn c08_redirect_to_itself_is_ended_by_the_polls_or_the_deadline() {
    let server = to("/").await;
    poll(&["--max-polls", "5", &server.url("/")])
        .await
        .exits_with(47);
    poll(&["--deadline", "100ms", &server.url("/")])
        .await
        .exits_with(28);
}

#[tokio::test]
async fn c09_what_is_not_pending_is_written() {
    for status in [300, 307, 308] {
        let headers = [("location", "/work/1"), ("retry-after", "1")];
        let server = Server::start(move |_, _| with(status, &headers, "as it is")).await;
        let ran = poll(&["-d", "x", &server.url("/")]).await.exits_with(0);
        assert_eq!(ran.stdout, "as it is");
        assert_eq!(server.seen().len(), 1);
    }
    let server = Server::start(|_, _| with(304, &[("location", "/")], "")).await;
    poll(&[&server.url("/")]).await.exits_with(0);
}

#[tokio::test]
async fn c09_head_stays_head() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        _ => reply(200, ""),
    });
    let server = server.await;
    poll(&["-X", "HEAD", &server.url("/")]).await.exits_with(0);
    assert_eq!(server.lines(), ["HEAD /", "HEAD /work/1"]);
}
