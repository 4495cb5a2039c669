//! The filter for text of servers.

use crate::{
    poll::{Ran, poll, run},
    raw::Raw,
    server::{Server, pending, with},
};

const JSON: (&str, &str) = ("content-type", "application/json");
const PROBLEM: (&str, &str) = ("content-type", "application/problem+json");

/// JSON escapes for ESC, BEL, CR, LF, a C1 control, a line separator and a
/// direction override.
const DOCUMENT: &str = concat!(
    r#"{"state":"running","progress":{"message":"\u001b]0;a\u0007\r\npoll: forged"#,
    r#"\u009b2J\u2028poll: forged\u202eb\ttab"}}"#
);
const PROBLEM_DOCUMENT: &str = concat!(
    r#"{"title":"\u001b[31m\r\npoll: forged\u009b2J\u2028poll: forged\u202e","#,
    r#""detail":"\u0007"}"#
);

#[track_caller]
fn assert_clean(ran: &Ran) {
    for text in [&ran.stdout, &ran.stderr] {
        let bad = |c: char| (c.is_control() && c != '\n') || "\u{2028}\u{202e}".contains(c);
        assert!(!text.contains(bad), "{text:?}");
        assert!(
            !text.lines().any(|line| line.starts_with("poll: forged")),
            "{text:?}"
        );
    }
}

async fn hostile() -> Server {
    Server::start(|n, _| match n {
        0 => pending("/work/1"),
        1 => with(202, &[("retry-after-ms", "5"), JSON], DOCUMENT),
        _ => with(500, &[("job-status", "failed"), PROBLEM], PROBLEM_DOCUMENT),
    })
    .await
}

#[tokio::test]
async fn progress_errors_and_problems_are_filtered() {
    let server = hostile().await;
    let ran = poll(&[&server.url("/")]).await.exits_with(22);
    assert_clean(&ran);
    assert!(ran.stderr.contains("forged"), "{ran:?}");
    let problem: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(problem["detail"], "\u{7}");
    assert!(problem["title"].as_str().unwrap().contains('\u{202e}'));
}

#[tokio::test]
async fn status_is_filtered_in_both_forms() {
    for arguments in [&["status"][..], &["status", "--json"]] {
        let server = hostile().await;
        let url = server.url("/work/1");
        poll(&["--no-wait", &server.url("/")]).await.exits_with(0);
        for code in [0, 22] {
            let ran = run(&[arguments, &[&url]].concat()).await.exits_with(code);
            assert_clean(&ran);
            assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
        }
    }
}

#[tokio::test]
async fn heads_are_filtered_where_they_are_shown() {
    let server = Raw::start(|_, _| {
        "HTTP/1.1 200 OK\r\nX-Bad: \u{9b}31m\u{202e}a\tb\r\nContent-Length: 4\r\n\r\nraw\u{1b}"
            .to_owned()
    })
    .await;
    for option in ["-v", "-i", "-D-", "-w%header{x-bad}"] {
        let ran = run(&[option, &server.url("/")]).await.exits_with(0);
        assert!(ran.stdout.contains("raw\u{1b}"), "{ran:?}");
        let shown = Ran {
            stdout: ran.stdout.replace("raw\u{1b}", "").replace("\r\n", "\n"),
            ..ran
        };
        assert_clean(&shown);
        let all = format!("{}{}", shown.stdout, shown.stderr);
        assert!(all.contains("\u{fffd}31m\u{fffd}a b"), "{all:?}");
    }
}

#[tokio::test]
async fn hostile_handle_is_filtered() {
    let handle = "{\"version\":1,\"url\":\"http://a/\\u001b[2J\",\"origin\":\"x\"}";
    let ran = run(&["status", handle]).await.exits_with(2);
    assert!(!ran.stderr.contains('\u{1b}'), "{ran:?}");
}
