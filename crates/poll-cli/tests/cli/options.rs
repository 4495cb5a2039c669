//! One option at a time.

use http::{Method, Version};

use crate::{
    poll::{poll, run_with_input},
    server::{Server, pending, reply, with},
};

/// Answers the submission with a pending answer, and the poll with `done`.
async fn one_poll() -> Server {
    Server::start(|n, _| match n {
        0 => pending("/work/1"),
        _ => reply(200, "done"),
    })
    .await
}

#[tokio::test]
async fn answer_is_followed_to_the_end() {
    let server = one_poll().await;
    let ran = poll(&[&server.url("/report")]).await.exits_with(0);
    assert_eq!(ran.stdout, "done");
    assert_eq!(server.lines(), ["GET /report", "GET /work/1"]);
}

#[tokio::test]
async fn scheme_may_be_left_out() {
    let server = one_poll().await;
    let url = server.url("/report").replace("http://", "");
    poll(&[&url]).await.exits_with(0);
}

#[tokio::test]
async fn method_is_sent_as_it_is_written() {
    let server = one_poll().await;
    poll(&["-X", "PROPFIND", &server.url("/")])
        .await
        .exits_with(0);
    assert_eq!(server.lines(), ["PROPFIND /", "GET /work/1"]);
}

#[tokio::test]
async fn data_is_posted_as_a_form_and_several_are_joined() {
    let server = one_poll().await;
    poll(&["-d", "a=1", "-d", "b=2", &server.url("/")])
        .await
        .exits_with(0);
    let seen = &server.seen()[0];
    assert_eq!(seen.method, Method::POST);
    assert_eq!(seen.body, "a=1&b=2");
    assert_eq!(seen.headers["content-length"], "7");
    assert_eq!(
        seen.headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    let poll = &server.seen()[1];
    assert!(!poll.headers.contains_key("content-type"));
    assert!(poll.body.is_empty());
}

#[tokio::test]
async fn data_can_be_put_and_typed() {
    let server = one_poll().await;
    let url = server.url("/");
    let ran = poll(&["-X", "PUT", "-H", "Content-Type: text/csv", "-d", "x", &url]).await;
    ran.exits_with(0);
    let seen = &server.seen()[0];
    assert_eq!(seen.method, Method::PUT);
    assert_eq!(seen.headers["content-type"], "text/csv");
}

#[tokio::test]
async fn file_is_sent_with_its_length_and_as_it_is() {
    let server = one_poll().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let content = "line\r\n\0line\n".repeat(20_000);
    std::fs::write(file.path(), &content).unwrap();
    let data = format!("@{}", file.path().display());
    poll(&["-d", &data, &server.url("/")]).await.exits_with(0);
    let seen = &server.seen()[0];
    assert_eq!(seen.headers["content-length"], content.len().to_string());
    assert!(seen.body == content);
}

#[tokio::test]
async fn standard_input_is_streamed() {
    let server = one_poll().await;
    let content = b"0123456789".repeat(50_000);
    let arguments = ["--min-delay", "1ms", "-d", "@-", &server.url("/")];
    run_with_input(&arguments, &content).await.exits_with(0);
    let seen = &server.seen()[0];
    assert_eq!(seen.headers["transfer-encoding"], "chunked");
    assert!(seen.body == content);
}

#[tokio::test]
async fn headers_are_sent_with_the_submission_and_polls() {
    let server = one_poll().await;
    let url = server.url("/");
    let ran = poll(&[
        "-H",
        "X-Tag: a",
        "-H",
        "X-Tag: b",
        "-H",
        "X-Tenant: seven",
        "-H",
        "Accept:",
        "-H",
        "X-Empty;",
        "--keep-header",
        "x-tenant",
        &url,
    ])
    .await;
    ran.exits_with(0);
    let [submission, poll] = &server.seen()[..] else {
        panic!("two requests");
    };
    assert_eq!(submission.headers.get_all("x-tag").iter().count(), 2);
    assert_eq!(submission.headers["x-empty"], "");
    assert!(!submission.headers.contains_key("accept"));
    assert_eq!(poll.headers.get_all("x-tag").iter().count(), 2);
    assert_eq!(poll.headers["x-tenant"], "seven");
    assert!(
        poll.headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("poll/")
    );
}

#[tokio::test]
async fn user_of_the_url_and_of_the_option_are_sent_and_never_shown() {
    for by_option in [false, true] {
        let server = one_poll().await;
        let url = server.url("/");
        let ran = match by_option {
            true => poll(&["-v", "-u", "me:secret", &url]).await,
            false => poll(&["-v", &url.replace("//", "//me:secret@")]).await,
        };
        let ran = ran.exits_with(0);
        for seen in server.seen() {
            assert_eq!(seen.headers["authorization"], "Basic bWU6c2VjcmV0");
        }
        assert!(
            ran.stderr.contains("> authorization: [redacted]"),
            "{ran:?}"
        );
        assert!(!ran.stderr.contains("secret"), "{ran:?}");
        assert!(!ran.stderr.contains("bWU6c2VjcmV0"), "{ran:?}");
    }
}

#[tokio::test]
async fn verbose_shows_every_exchange() {
    let server = one_poll().await;
    let ran = poll(&["-v", "-s", &server.url("/report")])
        .await
        .exits_with(0);
    let report = format!("> GET {}", server.url("/report"));
    let work = format!("> GET {}", server.url("/work/1"));
    for line in [
        &report,
        "< HTTP/1.1 303 See Other",
        "< location: /work/1",
        &work,
        "< HTTP/1.1 200 OK",
    ] {
        assert!(ran.stderr.lines().any(|shown| shown == line), "{line}");
    }
    assert_eq!(ran.stdout, "done");
}

#[tokio::test]
async fn progress_is_plain_lines_where_there_is_no_terminal() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        1 => with(
            202,
            &[
                ("retry-after-ms", "5"),
                ("content-type", "application/json"),
            ],
            r#"{"id":"1","state":"running","progress":{"fraction":0.25,"message":"\u001b[2J"}}"#,
        ),
        _ => reply(200, "done"),
    });
    let server = server.await;
    let ran = poll(&[&server.url("/")]).await.exits_with(0);
    let lines: Vec<_> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert!(lines[0].starts_with("poll: pending; poll 1 in "), "{ran:?}");
    assert!(
        lines[1].contains(", 25 %: \u{fffd}[2J; poll 2 in "),
        "{ran:?}"
    );
    assert!(!ran.stderr.contains('\u{1b}'), "{ran:?}");
}

#[tokio::test]
async fn silent_shows_no_progress() {
    let server = one_poll().await;
    let ran = poll(&["-s", &server.url("/")]).await.exits_with(0);
    assert_eq!(ran.stderr, "");
}

#[tokio::test]
async fn preferences_are_sent() {
    let server = one_poll().await;
    poll(&["--prefer-async", "--wait", "7s", &server.url("/")])
        .await
        .exits_with(0);
    let [submission, poll] = &server.seen()[..] else {
        panic!("two requests");
    };
    let prefer: Vec<_> = submission.headers.get_all("prefer").iter().collect();
    let prefer = format!("{prefer:?}");
    assert!(prefer.contains("respond-async"), "{prefer}");
    assert!(prefer.contains("wait=7"), "{prefer}");
    assert_eq!(poll.headers["prefer"], "wait=7");
}

#[tokio::test]
async fn http2_is_spoken_by_prior_knowledge() {
    let server = one_poll().await;
    let ran = poll(&["--http2", "-i", "-d", "x", &server.url("/")])
        .await
        .exits_with(0);
    assert!(ran.stdout.starts_with("HTTP/2 200 OK\r\n"), "{ran:?}");
    for seen in server.seen() {
        assert_eq!(seen.version, Version::HTTP_2);
    }
}

#[tokio::test]
async fn greatest_delay_is_kept() {
    let server = Server::start(|n, _| match n {
        0 => with(303, &[("location", "/work/1"), ("retry-after", "3000")], ""),
        _ => reply(200, "done"),
    });
    let server = server.await;
    poll(&["--max-delay", "20ms", &server.url("/")])
        .await
        .exits_with(0);
}

#[tokio::test]
async fn azure_final_state_can_be_named() {
    let server = Server::start(|_, seen| match (seen.method.as_str(), seen.uri.path()) {
        ("POST", _) => with(
            202,
            &[
                ("azure-asyncoperation", "/operation"),
                ("location", "/result"),
                ("retry-after-ms", "5"),
            ],
            "",
        ),
        (_, "/operation") => with(
            200,
            &[("content-type", "application/json")],
            r#"{"status":"Succeeded"}"#,
        ),
        (_, "/result") => reply(200, "from location"),
        _ => reply(200, "from the original"),
    });
    let server = server.await;
    for (state, expected) in [
        ("location", "from location"),
        ("original-uri", "from the original"),
        ("azure-async-operation", r#"{"status":"Succeeded"}"#),
    ] {
        let url = server.url("/vm");
        let ran = poll(&["--final-state", state, "-X", "POST", &url]).await;
        assert_eq!(ran.exits_with(0).stdout, expected);
    }
}

#[tokio::test]
async fn man_pages_and_completions_are_generated() {
    for (what, expected) in [
        ("man", ".TH poll 1"),
        ("man-resume", ".TH poll-resume 1"),
        ("man-status", "status"),
        ("man-cancel", "cancel"),
        ("man-check", "check"),
        ("man-list", "list"),
        ("bash", "complete -F"),
        ("elvish", "edit:completion"),
        ("fish", "complete -c poll"),
        ("powershell", "Register-ArgumentCompleter"),
        ("zsh", "#compdef poll"),
    ] {
        let ran = crate::poll::run(&["--generate", what]).await.exits_with(0);
        assert!(ran.stdout.contains(expected), "{what}: {}", ran.stdout);
    }
}

#[tokio::test]
async fn help_has_examples_and_exit_codes() {
    let ran = crate::poll::run(&["--help"]).await.exits_with(0);
    for expected in [
        "Examples:",
        "poll resume job.json",
        "Exit codes:",
        "--generate",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
}
