//! Results that servers deliver later.

use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use crate::{
    party::{Party, deliver, free_port, gateway, post},
    support::{Gateway, get, send, soon},
    worker::{document, report},
};

const SECOND: Duration = Duration::from_secs(1);

/// The longest time in which reports are written together.
const WRITTEN: Duration = Duration::from_millis(400);

#[tokio::test]
async fn s87_a_result_is_delivered_to_another_gateway_than_the_one_that_was_killed() {
    let mut party = Party::start(true).await;
    let folder = tempfile::tempdir().unwrap();
    let jobs = folder.path().join("jobs.db");
    let (first, second) = (free_port(), free_port());
    let mut killed = gateway(&party.upstream, &jobs, first, "").await;
    let other = gateway(&party.upstream, &jobs, second, "").await;
    let elsewhere = |url: &str| url.replace(&format!(":{first}/"), &format!(":{second}/"));

    let begun = Instant::now();
    let job = post(&killed).await;
    assert!(begun.elapsed() < 10 * SECOND, "it is a job at once");
    let asked = party.asked().await;
    let told = report(&elsewhere(&asked.progress), r#"{"done": 1, "total": 4}"#).await;
    assert_eq!(told.status, StatusCode::NO_CONTENT, "{told:?}");
    assert_eq!(told.header("job-status"), "running");
    let left = told.header("cancel-after").trim_end_matches('s');
    assert!((3580..3600).contains(&left.parse().unwrap()), "{left}");

    killed.signal(Signal::KILL);
    killed.ended().await;
    let message = r#"{"message": "page 2", "metadata": {"pages": 4}}"#;
    let told = report(&elsewhere(&asked.progress), message).await;
    assert_eq!(told.status, StatusCode::NO_CONTENT, "{told:?}");
    sleep(WRITTEN).await;
    let of_job = document(&other, &job).await;
    assert_eq!(of_job["state"], "running", "{of_job}");
    assert_eq!(of_job["progress"]["done"], 1, "{of_job}");
    assert_eq!(of_job["progress"]["message"], "page 2", "{of_job}");

    let url = elsewhere(asked.result());
    // It is told once more that it is done.
    for _ in 0..2 {
        let delivered = deliver(&url, "a,b\n1,2\n").await;
        assert_eq!(delivered.status, StatusCode::NO_CONTENT, "{delivered:?}");
        assert_eq!(delivered.header("job-status"), "done");
    }
    let again = gateway(&party.upstream, &jobs, first, "").await;
    for gateway in [&other, &again] {
        let answer = get(gateway.url(&job)).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(answer.header("content-type"), "text/csv");
        assert_eq!(answer.header("job-status"), "done");
        assert_eq!(answer.text(), "a,b\n1,2\n");
        assert!(!answer.headers.contains_key("host"), "{answer:?}");
    }
    assert_eq!(deliver(asked.result(), "").await.status, StatusCode::GONE);
    assert!(party.requests.try_recv().is_err(), "it ran once");
}

#[tokio::test]
async fn a_result_may_be_delivered_again_unless_its_job_has_ended() {
    let mut party = Party::start(true).await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let limit = "result_limit = \"64B\"\n";
    let jobs = folder.path().join("jobs.db");
    let gateway = gateway(&party.upstream, &jobs, port, limit).await;

    let job = post(&gateway).await;
    let asked = party.asked().await;
    cut_off(asked.result()).await;
    assert_eq!(get(gateway.url(&job)).await.header("job-status"), "running");
    let wrong = Request::put(asked.result()).header("job-response-status", "101");
    let wrong = send(wrong.body("".into()).unwrap()).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let read = get(asked.result().to_owned()).await;
    assert_eq!(read.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(deliver(asked.result(), "whole").await.status, 204);
    assert_eq!(get(gateway.url(&job)).await.text(), "whole");

    let job = post(&gateway).await;
    let asked = party.asked().await;
    let long = "0123456789".repeat(7);
    let refused = deliver(asked.result(), long.leak()).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE, "{refused:?}");
    let failed = get(gateway.url(&job)).await;
    assert_eq!(failed.header("job-status"), "failed");
    assert_eq!(deliver(asked.result(), "short").await.status, 410);

    let job = post(&gateway).await;
    let asked = party.asked().await;
    assert_eq!(report(&asked.progress, "{}").await.status, 204);
    let cancel = Request::delete(gateway.url(&job)).body("".into()).unwrap();
    assert_eq!(send(cancel).await.header("job-status"), "cancelled");
    sleep(WRITTEN).await;
    for told in [
        report(&asked.progress, "{}").await,
        get(asked.progress.clone()).await,
    ] {
        assert_eq!(told.status, StatusCode::NO_CONTENT);
        assert_eq!(told.header("job-status"), "cancelled");
    }
    assert_eq!(deliver(asked.result(), "late").await.status, 410);
    let forged = format!("{}0", &asked.result()[..asked.result().len() - 1]);
    assert_eq!(deliver(&forged, "forged").await.status, 410);
}

/// Sends a part of a result.
async fn cut_off(url: &str) {
    let (authority, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = TcpStream::connect(authority).await.unwrap();
    let head = format!("PUT /{path} HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\nhalf of");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut read = Vec::new();
    let _ = soon(stream.read_to_end(&mut read)).await;
}

#[tokio::test]
async fn a_result_that_overtakes_the_answer_is_kept() {
    let mut party = Party::start(false).await;
    let folder = tempfile::tempdir().unwrap();
    let jobs = folder.path().join("jobs.db");
    let gateway = gateway(&party.upstream, &jobs, free_port(), "").await;
    let (job, ()) = tokio::join!(post(&gateway), async {
        let asked = party.asked().await;
        let (delivered, ()) = tokio::join!(deliver(asked.result(), "fast"), async {
            sleep(SECOND / 5).await;
            party.accept();
        });
        assert_eq!(delivered.status, StatusCode::NO_CONTENT, "{delivered:?}");
    });
    assert_eq!(get(gateway.url(&job)).await.text(), "fast");
}

#[tokio::test]
async fn a_server_that_delivers_later_is_not_polled() {
    let mut party = Party::start(true).await;
    let folder = tempfile::tempdir().unwrap();
    let jobs = folder.path().join("jobs.db");
    let gateway = gateway(&party.upstream, &jobs, free_port(), "follow = true\n").await;
    let job = post(&gateway).await;
    let asked = party.asked().await;
    assert_eq!(deliver(asked.result(), "later").await.status, 204);
    assert_eq!(get(gateway.url(&job)).await.text(), "later");
    assert!(party.requests.try_recv().is_err(), "it was asked once");
}

#[tokio::test]
async fn a_server_that_is_silent_for_too_long_is_asked_again() {
    let mut party = Party::start(true).await;
    let folder = tempfile::tempdir().unwrap();
    let more = "replay = \"all\"\nresult_timeout = \"1s\"\n";
    let jobs = folder.path().join("jobs.db");
    let gateway = gateway(&party.upstream, &jobs, free_port(), more).await;
    let job = post(&gateway).await;
    let first = party.asked().await;
    for _ in 0..4 {
        sleep(SECOND / 2).await;
        assert_eq!(report(&first.progress, "{}").await.status, 204);
    }
    assert!(party.requests.try_recv().is_err(), "reports give it time");
    let second = party.asked().await;
    assert_eq!([&*first.attempt, &*second.attempt], ["1", "2"]);
    assert_eq!(deliver(first.result(), "first").await.status, 410);
    assert_eq!(deliver(second.result(), "second").await.status, 204);
    assert_eq!(get(gateway.url(&job)).await.text(), "second");
}

#[tokio::test]
async fn an_answer_of_202_is_the_answer_where_results_are_not_later() {
    let mut party = Party::start(true).await;
    let wait = ["--inline-wait", "20s"];
    let gateway = Gateway::before(&party.upstream.url(), &wait).await;
    let request = Request::post(gateway.url("/")).header("job-result-url", "http://evil.example");
    let answer = send(request.body("{}".into()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.text(), "accepted");
    assert!(!answer.headers.contains_key("job-accepted"), "{answer:?}");
    assert_eq!(party.asked().await.result, None);
}
