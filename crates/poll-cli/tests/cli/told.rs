//! Messages on standard error, and their details.

use crate::{
    poll::{poll, run},
    server::{Answer, Server, pending, reply, with},
};

/// Host and port of a server.
fn peer(server: &Server) -> String {
    server.url("").replace("http://", "")
}

#[tokio::test]
async fn empty_errors_are_told_and_others_speak_for_themselves() {
    for status in [404, 500] {
        let server = Server::start(move |_, _| reply(status, "")).await;
        let ran = run(&["-s", &server.url("/")]).await.exits_with(22);
        let expected = format!("poll: {} answered {status} ", peer(&server));
        assert!(ran.stderr.starts_with(&expected), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1);
    }
    let server = Server::start(|_, _| reply(404, "not here")).await;
    let ran = run(&[&server.url("/")]).await.exits_with(22);
    assert_eq!((&*ran.stdout, &*ran.stderr), ("not here", ""));
}

#[tokio::test]
async fn bare_202_is_told() {
    let server = Server::start(|_, _| reply(202, "{}")).await;
    let ran = run(&["-s", "-d", "x", &server.url("/")])
        .await
        .exits_with(0);
    assert_eq!(ran.stdout, "{}");
    let expected = format!("{} answered 202 Accepted, and named no URL", peer(&server));
    assert!(ran.stderr.contains(&expected), "{ran:?}");
    let server = Server::start(|_, _| with(202, &[("job-status", "done")], "{}")).await;
    assert_eq!(run(&[&server.url("/")]).await.exits_with(0).stderr, "");
}

#[tokio::test]
async fn answer_of_a_job_that_is_done_may_say_what_it_likes() {
    let headers = [("content-type", "application/json"), ("job-status", "done")];
    let server = Server::start(move |_, _| with(200, &headers, r#"{"status":"pending"}"#)).await;
    let ran = run(&[&server.url("/")]).await.exits_with(0);
    assert_eq!(ran.stderr, "");
}

#[tokio::test]
async fn long_location_is_told_in_part() {
    let long = format!("/{}%zz", "a".repeat(8000));
    let server =
        Server::start(move |_, _| with(303, &[("location", &long), ("retry-after", "1")], ""))
            .await;
    let ran = run(&[&server.url("/")]).await.exits_with(8);
    let told = ran.stderr.lines().find(|line| line.contains("Location: "));
    assert!(told.is_some_and(|line| line.len() < 600), "{ran:?}");
}

#[tokio::test]
async fn answer_that_says_running_is_told() {
    let json = [("content-type", "application/json")];
    for (status, body, is_told) in [
        (200, r#"{"status":"In\u001bProgress"}"#, false),
        (200, r#"{"status":"Running"}"#, true),
        (200, r#"{"status":"Succeeded"}"#, false),
        (500, r#"{"status":"Running"}"#, false),
    ] {
        let server = Server::start(move |_, _| with(status, &json, body)).await;
        let ran = run(&["-s", &server.url("/")]).await;
        assert_eq!(ran.stdout, body);
        assert_eq!(
            ran.stderr.contains("`status` of the answer is `Running`"),
            is_told,
            "{ran:?}"
        );
    }
}

#[tokio::test]
async fn delay_past_the_deadline_is_told_as_people_write_it() {
    let headers = [("location", "/work/1"), ("retry-after", "90")];
    let server = Server::start(move |_, _| with(303, &headers, "")).await;
    let ran = run(&["--max-delay", "2min", "-m", "60", &server.url("/")]).await;
    let ran = ran.exits_with(28);
    assert!(
        ran.stderr.contains("the next poll, due in 1 min "),
        "{ran:?}"
    );
}

#[tokio::test]
async fn errors_name_host_port_and_status() {
    let server = Server::start(|n, _| match n {
        0 => pending("http://localhost:9/work/1"),
        _ => Answer::Close,
    });
    let server = server.await;
    let ran = run(&[&server.url("/")]).await.exits_with(9);
    let expected = format!("({} answered 303 See Other)\n", peer(&server));
    assert!(ran.stderr.contains(&expected), "{ran:?}");
    let ran = run(&[&server.url("/")]).await.exits_with(52);
    let expected = format!("poll: {} closed the connection", peer(&server));
    assert!(ran.stderr.starts_with(&expected), "{ran:?}");

    let server = Server::start(|_, _| Answer::Hang).await;
    let ran = run(&["-m", "0.1", &server.url("/")]).await.exits_with(28);
    let expected = format!("({} has not answered)", peer(&server));
    assert!(ran.stderr.contains(&expected), "{ran:?}");
    let ran = run(&["http://127.0.0.1:9/"]).await.exits_with(7);
    let expected = "poll: cannot connect to 127.0.0.1:9: Connection refused";
    assert!(ran.stderr.starts_with(expected), "{ran:?}");
    let ran = run(&["https://nowhere.invalid/"]).await.exits_with(6);
    let expected = "poll: cannot resolve the name of nowhere.invalid:443: ";
    assert!(ran.stderr.starts_with(expected), "{ran:?}");
}

#[tokio::test]
async fn failed_polls_name_host_and_port_too() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        _ => Answer::Close,
    });
    let server = server.await;
    let ran = poll(&["--max-delay", "10ms", &server.url("/")])
        .await
        .exits_with(52);
    let last = ran
        .stderr
        .lines()
        .find(|line| line.contains("a poll failed"))
        .unwrap();
    let expected = format!("poll: a poll failed: {} closed", peer(&server));
    assert!(last.starts_with(&expected), "{ran:?}");
}

#[tokio::test]
async fn answers_of_polls_that_failed_name_host_and_status() {
    let server = Server::start(|n, _| match n {
        0 => pending("/work/1"),
        _ => reply(502, ""),
    });
    let server = server.await;
    let ran = poll(&["--max-delay", "10ms", &server.url("/")])
        .await
        .exits_with(22);
    let expected = format!(
        "polls kept failing ({} answered 502 Bad Gateway)",
        peer(&server)
    );
    assert!(ran.stderr.contains(&expected), "{ran:?}");
}

#[tokio::test]
async fn one_exchange_ends_after_its_time() {
    let server = Server::start(|_, _| Answer::Hang).await;
    for command in ["status", "cancel"] {
        let ran = run(&[command, "--max-time", "0.2", &server.url("/work/1")]).await;
        let ran = ran.exits_with(28);
        assert!(ran.stderr.contains("has not answered"), "{ran:?}");
    }
}

#[tokio::test]
async fn tls_handshake_that_does_not_end_is_28() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let _open = listener.accept().await;
        std::future::pending::<()>().await;
    });
    let url = format!("https://127.0.0.1:{port}/");
    let ran = run(&["--connect-timeout", "0.2", &url])
        .await
        .exits_with(28);
    let expected = format!("poll: cannot connect to 127.0.0.1:{port}: no connection within 200 ms");
    assert!(ran.stderr.starts_with(&expected), "{ran:?}");
}
