//! The suite: each case, before a client that waits and as a job.

use std::time::Duration;

use futures_util::{StreamExt, future, stream};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::time::sleep;

use crate::{
    cases::cases,
    script::{
        Step::{Hang, Send},
        playing,
    },
    support::{Gateway, client, full, get, soon},
};

/// The cases that are tried at once.
pub(crate) const AT_ONCE: usize = 16;

/// Returns the settings of a gateway in which paths below `/inline` are never jobs.
pub(crate) fn settings(url: &str) -> String {
    format!(
        "admin = \"127.0.0.1:0\"\n[upstreams.app]\nurl = \"{url}\"\nresponse_timeout = \"3s\"\n\
         [defaults]\ndeadline = \"3s\"\n\
         [[routes]]\nmatch = \"/inline/{{*rest}}\"\ndefer = false\n\
         [[routes]]\nmatch = \"/{{*rest}}\"\nresult_limit = \"1MB\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn no_wrong_answer_is_sent_or_stored_and_nothing_is_left() {
    try_all("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_wrong_result_is_stored_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.db");
    try_all(&format!("store = \"sqlite:{}\"\n", file.display())).await;
}

/// Tries all cases with a store.
async fn try_all(store: &str) {
    let cases = cases();
    let scripts = cases.iter().map(|case| case.script.clone()).collect();
    let upstream = playing(scripts).await;
    let gateway = Gateway::with(&(store.to_owned() + &settings(&upstream.url()))).await;
    sound(&gateway).await;
    // The store has its own descriptors, as many as there are jobs at once.
    let jobs = (0..AT_ONCE).map(|_| job(&gateway, "/jobs/sound"));
    future::join_all(jobs).await;
    let before = gateway.usage().await;
    let trials = cases.iter().enumerate();
    let trials =
        trials.map(|(number, case)| trial(&gateway, number, case.name, [case.inline, case.job]));
    let flaws: Vec<_> = stream::iter(trials).buffered(AT_ONCE).collect().await;
    let flaws: Vec<_> = flaws.into_iter().flatten().collect();
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
    // As many as the gateway keeps for further requests.
    gateway.nothing_is_left(before).await;
}

#[tokio::test]
async fn an_answer_that_comes_later_is_not_that_of_the_next_request() {
    let hello = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    let evil = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    let upstream = playing(vec![vec![Send(hello), Send(evil), Hang]]).await;
    let gateway = Gateway::with(&settings(&upstream.url())).await;
    for _ in 0..5 {
        assert_eq!(inline(&gateway, "/inline/0").await, "200 hello");
        // The other answer arrives while the connection is idle.
        sleep(Duration::from_millis(50)).await;
        sound(&gateway).await;
    }
}

/// Tries a case of this number: before a client that waits, and as a job. Returns what is not expected,
/// where ` | ` separates outcomes of which each is right.
pub(crate) async fn trial(
    gateway: &Gateway,
    number: usize,
    name: &str,
    expected: [&str; 2],
) -> Vec<String> {
    let (path, job_path) = (format!("/inline/{number}"), format!("/jobs/{number}"));
    let both = future::join(inline(gateway, &path), job(gateway, &job_path));
    let (inline, job) = soon(both).await;
    sound(gateway).await;
    let mut flaws = Vec::new();
    let outcomes = [("inline", inline), ("job", job)];
    for ((kind, outcome), expected) in outcomes.into_iter().zip(expected) {
        if !expected.split(" | ").any(|right| right == outcome) {
            flaws.push(format!(
                "{name}, {kind}: {outcome:?} instead of {expected:?}"
            ));
        }
    }
    flaws
}

/// Demands that other requests are answered as ever.
pub(crate) async fn sound(gateway: &Gateway) {
    assert_eq!(inline(gateway, "/inline/sound").await, "200 sound");
}

/// Sends a request, and returns what comes back, or that the connection ends without an answer.
pub(crate) async fn inline(gateway: &Gateway, path: &str) -> String {
    let request = Request::get(gateway.url(path)).body(full("")).unwrap();
    let Ok(response) = soon(client(false).request(request)).await else {
        return "no answer".to_owned();
    };
    let (head, mut body) = response.into_parts();
    let mut text = String::new();
    while let Some(frame) = soon(body.frame()).await {
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) => text.push_str(&String::from_utf8_lossy(&data)),
            Ok(Err(_)) => {}
            Err(_) => {
                text.push('…');
                break;
            }
        }
    }
    if head.headers.contains_key("proxy-status") {
        text = "problem".to_owned();
    }
    format!("{} {text}", head.status.as_u16())
}

/// Makes a job of a request, and returns its result.
pub(crate) async fn job(gateway: &Gateway, path: &str) -> String {
    let location = loop {
        let request = Request::post(gateway.url(path)).header("prefer", "respond-async");
        let pending = client(false).request(request.body(full("")).unwrap());
        let pending = soon(pending).await.expect("an answer");
        // A store that is slow has not accepted the job before the server's answer.
        if let Some(location) = pending.headers().get("location") {
            break location.to_str().unwrap().to_owned();
        }
    };
    let mut result = get(gateway.url(&location)).await;
    while result.status == StatusCode::SEE_OTHER {
        result = get(gateway.url(&location)).await;
    }
    let problem = result.headers.get("content-type");
    let text = match problem.is_some_and(|kind| kind == "application/problem+json") {
        true => "problem",
        false => result.text(),
    };
    format!("{} {text}", result.status.as_u16())
}
