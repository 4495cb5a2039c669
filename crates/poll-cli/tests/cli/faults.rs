//! Faults in the content and the time of answers, as the command sees them.

use std::time::{Duration, Instant};

use crate::{
    poll::{poll, run},
    server::{Answer, Server, pending, reply, response, with},
};

#[tokio::test]
async fn c10_zero_is_the_least_delay() {
    let server = Server::start(|n, _| match n {
        0 => with(303, &[("location", "/work/1"), ("retry-after", "0")], ""),
        _ => reply(200, "done"),
    });
    let server = server.await;
    run(&["--min-delay", "200ms", &server.url("/")])
        .await
        .exits_with(0);
    let seen = server.seen();
    let delay = seen[1].at - seen[0].at;
    assert!(delay >= Duration::from_millis(190), "{delay:?}");
}

#[tokio::test]
async fn c11_delay_past_the_deadline_fails_at_once_and_says_so() {
    let headers = [
        ("location", "/work/1"),
        ("retry-after", "1000000000000000000000000000000"),
    ];
    let server = Server::start(move |_, _| with(303, &headers, "")).await;
    let start = Instant::now();
    let ran = poll(&["--deadline", "20s", &server.url("/")])
        .await
        .exits_with(28);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(ran.stderr.contains("after the deadline"), "{ran:?}");
    assert!(ran.stderr.contains("resume with"), "{ran:?}");
}

#[tokio::test]
async fn c12_date_is_measured_against_the_servers_clock() {
    // Hyper's server keeps an existing Date.
    let headers = [
        ("location", "/work/1"),
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("retry-after", "Sun, 06 Nov 1994 08:49:38 GMT"),
    ];
    let server = Server::start(move |n, _| match n {
        0 => with(303, &headers, ""),
        _ => reply(200, "done"),
    });
    let server = server.await;
    poll(&[&server.url("/")]).await.exits_with(0);
    let seen = server.seen();
    let delay = seen[1].at - seen[0].at;
    assert!(delay >= Duration::from_millis(900), "{delay:?}");
    assert!(delay < Duration::from_secs(5), "{delay:?}");
}

#[tokio::test]
async fn c13_failed_polls_are_repeated_and_the_job_is_not_submitted_again() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        1 => Answer::Close,
        2 => with(502, &[("retry-after", "0")], ""),
        _ => reply(200, "done"),
    });
    let server = server.await;
    let ran = poll(&["-d", "x", &server.url("/")]).await.exits_with(0);
    assert_eq!(ran.stdout, "done");
    assert!(ran.stderr.contains("failure 1 in a row"), "{ran:?}");
    let posts = server
        .lines()
        .iter()
        .filter(|line| *line == "POST /")
        .count();
    assert_eq!(posts, 1);
}

#[tokio::test]
async fn c13_polls_that_keep_failing_offer_the_handle() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        _ => Answer::Close,
    });
    let server = server.await;
    let ran = poll(&["--max-delay", "10ms", "-d", "x", &server.url("/")]).await;
    assert!(ran.exits_with(52).handle().contains("/work/1"));
}

#[tokio::test]
async fn c13_answers_that_keep_failing_are_22_and_offer_the_handle() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        _ => reply(502, "bad gateway"),
    });
    let server = server.await;
    let ran = poll(&["--max-delay", "10ms", "-d", "x", &server.url("/")]).await;
    let ran = ran.exits_with(22);
    assert_eq!(ran.stdout, "bad gateway");
    assert!(ran.handle().contains("/work/1"));
}

#[tokio::test]
async fn c14_lost_submission_is_sent_again_with_the_same_key_and_body() {
    let server = Server::start(|n, _| match n {
        0 => Answer::Close,
        1 => pending("/work/1"),
        _ => reply(200, "done"),
    });
    let server = server.await;
    poll(&["--idempotent", "-d", "x=1", &server.url("/")])
        .await
        .exits_with(0);
    assert_eq!(server.lines(), ["POST /", "POST /", "GET /work/1"]);
    let [first, second, poll] = &server.seen()[..] else {
        panic!("three requests");
    };
    let key = &first.headers["idempotency-key"];
    assert_eq!(&second.headers["idempotency-key"], key);
    assert_eq!(
        (&first.body[..], &second.body[..]),
        (&b"x=1"[..], &b"x=1"[..])
    );
    assert!(!poll.headers.contains_key("idempotency-key"));
}

#[tokio::test]
async fn c14_lost_submission_is_not_sent_again_otherwise() {
    let server = Server::start(|_, _| Answer::Close).await;
    poll(&["-H", "Idempotency-Key: 1", "-d", "x", &server.url("/")])
        .await
        .exits_with(52);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn c15_unknown_job_is_22_and_says_so() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        _ => reply(404, "nothing\nhere"),
    });
    let server = server.await;
    let url = server.url("/");
    let ran = poll(&["--not-found-grace", "0", &url]).await.exits_with(22);
    assert!(ran.stderr.contains("unknown"), "{ran:?}");
    assert!(ran.stderr.contains("answered 404 Not Found)"), "{ran:?}");
    assert!(
        ran.stderr
            .contains("poll: the server said: nothing\u{fffd}here\n"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("poll: hint: behind a proxy"), "{ran:?}");
    assert!(ran.stderr.contains("`public_base`"), "{ran:?}");
    assert_eq!(ran.stderr.matches("hint").count(), 1, "{ran:?}");
    assert!(ran.handle().contains("/work/1"));
}

#[tokio::test]
async fn c16_problem_of_a_failed_job_is_told_and_written() {
    for state in ["failed", "timed-out", "lost", "cancelled", "expired"] {
        let server = Server::start(move |n, _| match n {
            0 => pending("/work/1"),
            _ => with(
                500,
                &[
                    ("job-status", state),
                    ("content-type", "application/problem+json"),
                ],
                r#"{"title":"No luck","detail":"the disk is full","disk":7}"#,
            ),
        });
        let server = server.await;
        let ran = poll(&["-s", &server.url("/")]).await.exits_with(22);
        assert!(ran.stderr.contains(state), "{ran:?}");
        assert!(ran.stderr.contains("No luck: the disk is full"), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
        let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(document["disk"], 7);
    }
}

#[tokio::test]
async fn c17_401_in_the_middle_is_22_and_offers_the_handle() {
    let server = Server::start(|n, seen| match n {
        0 => pending("/work/1"),
        _ if seen.headers.contains_key("authorization") => reply(200, "done"),
        _ => reply(401, ""),
    });
    let server = server.await;
    let ran = poll(&[&server.url("/")]).await.exits_with(22);
    assert!(ran.stderr.contains("authorization"), "{ran:?}");
    let handle = ran.handle();
    let ran = run(&["resume", "--trust-origin", "-u", "me:secret", &handle]).await;
    assert_eq!(ran.exits_with(0).stdout, "done");
}

#[tokio::test]
async fn c18_endless_202_is_28_and_can_be_resumed() {
    let server = Server::start(|n, _| match n {
        0..30 => with(
            202,
            &[("location", "/work/1"), ("retry-after-ms", "10")],
            "",
        ),
        _ => reply(200, "done"),
    });
    let server = server.await;
    let ran = run(&[
        "--min-delay",
        "100ms",
        "--deadline",
        "400ms",
        &server.url("/"),
    ])
    .await
    .exits_with(28);
    let ran = run(&["resume", "--min-delay", "1ms", &ran.handle()]).await;
    assert_eq!(ran.exits_with(0).stdout, "done");
}

#[tokio::test]
async fn c20_endless_interim_body_is_given_up() {
    let headers = [("location", "/work/1"), ("retry-after-ms", "5")];
    let server = Server::start(move |n, _| match n {
        0 => Answer::Endless(response(303, &headers, "again and again")),
        _ => reply(200, "done"),
    });
    let server = server.await;
    let ran = poll(&["--deadline", "20s", &server.url("/")]).await;
    assert_eq!(ran.exits_with(0).stdout, "done");
}

#[tokio::test]
async fn c21_truncated_final_body_is_18_and_can_be_fetched_again() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        1 => Answer::Truncated(response(200, &[("content-length", "10")], "half")),
        _ => reply(200, "0123456789"),
    });
    let server = server.await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("answer");
    let file = file.to_str().unwrap();
    let ran = poll(&["-o", file, &server.url("/")]).await.exits_with(18);
    assert!(!std::fs::exists(file).unwrap());
    run(&["resume", "-o", file, &ran.handle()])
        .await
        .exits_with(0);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "0123456789");
    assert_eq!(server.lines(), ["GET /", "GET /work/1", "GET /work/1"]);
}

#[tokio::test]
async fn c23_cookies_go_back_to_their_origin_only() {
    let other = Server::start(|_, _| reply(200, "done")).await;
    let away = other.url("/work/2");
    let server = Server::start(move |n, _| match n {
        0 => with(
            303,
            &[
                ("location", "/work/1"),
                ("retry-after-ms", "5"),
                ("set-cookie", "node=7; Path=/"),
            ],
            "",
        ),
        _ => pending(&away),
    });
    let server = server.await;
    let allowed = format!("--cross-origin={}", other.url(""));
    poll(&[&allowed, &server.url("/")]).await.exits_with(0);
    assert_eq!(server.seen()[1].headers["cookie"], "node=7");
    assert!(!other.seen()[0].headers.contains_key("cookie"));
}

#[tokio::test]
async fn c24_busy_poll_url_is_asked_again_and_never_the_submission() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        1 => with(429, &[("retry-after-ms", "5"), ("retry-after", "1")], ""),
        _ => reply(200, "done"),
    });
    let server = server.await;
    poll(&["-d", "x", &server.url("/")]).await.exits_with(0);
    assert_eq!(server.lines(), ["POST /", "GET /work/1", "GET /work/1"]);
}

#[tokio::test]
async fn c25_done_is_final_whatever_the_status() {
    for (status, code) in [(202, 0), (303, 0), (429, 22), (503, 22), (504, 22)] {
        let headers = [
            ("job-status", "done"),
            ("location", "/elsewhere"),
            ("retry-after", "1"),
        ];
        let server = Server::start(move |n, _| match n {
            0 => pending("/work/1"),
            _ => with(status, &headers, "as it is"),
        });
        let server = server.await;
        let ran = poll(&[&server.url("/")]).await.exits_with(code);
        assert_eq!(ran.stdout, "as it is");
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn c15_job_that_is_not_known_yet_is_asked_for_again() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        1 => reply(404, "not yet"),
        _ => reply(200, "done"),
    });
    let server = server.await;
    let ran = poll(&["-d", "x", &server.url("/")]).await.exits_with(0);
    assert_eq!(ran.stdout, "done");
}

#[tokio::test]
async fn c17_403_in_the_middle_says_which_header_was_left_out() {
    let server = Server::start(|_, seen| match seen.uri.path() {
        "/" => pending("/work/1"),
        _ => with(
            403,
            &[("content-type", "application/problem+json")],
            r#"{"title":"missing key"}"#,
        ),
    });
    let server = server.await;
    let url = server.url("/");
    let ran = poll(&["-H", "X-Amz-Security-Token: t", &url]).await;
    let ran = ran.exits_with(22);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("missing key"), "{ran:?}");
    assert!(
        ran.stderr.contains("--keep-header x-amz-security-token"),
        "{ran:?}"
    );
    assert!(ran.handle().contains("/work/1"));
    let ran = poll(&[&url]).await.exits_with(22);
    assert!(ran.stderr.contains("-u or -H"), "{ran:?}");
    let ran = poll(&["-H", "X-Api-Key: k", &url]).await.exits_with(22);
    assert!(!ran.stderr.contains("hint"), "{ran:?}");
}
