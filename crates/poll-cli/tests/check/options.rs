//! The options and the exit codes of the command.

use std::{fs, process::Stdio, sync::Arc, time::Duration};

use axum::{Router, body::Body, response::IntoResponse};
use http::{Method, Request, StatusCode};
use serde_json::Value;
use test_services::{available, python};
use tokio::{net::TcpListener, process::Command, sync::Notify, time::timeout};
use tower_async_job::PendingStatus::SeeOther;

use crate::{
    poll::{command, finish, run},
    server::{Fault, builder, start},
};

/// A server that answers a cancellation with 200, which breaks 2.7.
const BROKEN: Fault = Fault {
    after: |seen, response| {
        if seen.method == http::Method::DELETE && response.status() == 202 {
            *response.status_mut() = StatusCode::OK;
        }
    },
    ..Fault::NONE
};

#[tokio::test(flavor = "multi_thread")]
async fn failure_shows_expected_and_got_and_a_command_and_is_1() {
    let url = start(builder(SeeOther), BROKEN).await;
    let ran = run(&["check", "--only", "2.7,2.8", "-d", "a=b", &url])
        .await
        .exits_with(1);
    let origin = url.trim_end_matches("/report");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(
        lines[0],
        "2.7   FAIL     DELETE cancels, or drops the result"
    );
    assert_eq!(lines[1], "      expected 202");
    assert_eq!(lines[2], "      got      200, Job-Status: cancelled");
    let curl = format!("      curl -i -X DELETE '{origin}/work/");
    assert!(lines[3].starts_with(&curl), "{ran:?}");
    assert_eq!(
        lines[4],
        "2.8   pass     OPTIONS tells the methods, others are 405"
    );
    assert!(
        lines[5].starts_with("1 pass, 1 FAIL, 0 warn, 0 timeout, 0 n/a; "),
        "{ran:?}"
    );
    let told = format!(
        "poll: sends POST {url} up to 7 times, at most 200 requests in all within 2 min, and \
         deletes its jobs\n"
    );
    assert_eq!(ran.stderr, told);
}

/// Replaces the number of requests, which depends on how long the job took.
fn without_count(text: &str) -> String {
    let (lines, count) = text.trim_end().rsplit_once("; ").unwrap();
    format!(
        "{lines}; {}",
        count.trim_start_matches(|c: char| c.is_ascii_digit())
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn readme_shows_what_the_command_writes() {
    let readme = include_str!("../../README.md");
    let (_, example) = readme.split_once("$ poll check ").unwrap();
    let (arguments, output) = example.split_once('\n').unwrap();
    let (output, _) = output.split_once("```").unwrap();
    let url = start(builder(SeeOther), BROKEN).await;
    let arguments = arguments.replace("https://example.com/report", &url);
    let arguments = arguments.split(' ').collect::<Vec<_>>();
    let ran = run(&[&["check"], &*arguments].concat()).await.exits_with(1);
    let id = |text: &str| text.split_once("/work/").unwrap().1[..32].to_owned();
    let origin = url.trim_end_matches("/report");
    let written = format!("{}{}", ran.stderr, ran.stdout).replace(origin, "https://example.com");
    let written = written.replace(&id(&written), &id(output));
    assert_eq!(without_count(&written), without_count(output));
}

#[tokio::test(flavor = "multi_thread")]
async fn skipped_requirements_are_not_checked() {
    let url = start(builder(SeeOther), BROKEN).await;
    let arguments = [
        "check", "-s", "--only", "2.7,2.8", "--skip", "2.7", "-d", "a=b", &url,
    ];
    let ran = run(&arguments).await.exits_with(0);
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
    assert_eq!(ran.stderr, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_not_deferred_are_3() {
    let url = start(builder(SeeOther), Fault::NONE).await;
    let ran = run(&["check", "-H", "x-quick: 1", "-d", "a", &url])
        .await
        .exits_with(3);
    let told = "poll: the server did not defer the request, but answered 200: is it slow?";
    assert!(ran.stderr.contains(told), "{ran:?}");
    assert_eq!(ran.stdout, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_cannot_be_reached_is_told_as_elsewhere() {
    run(&["check", "http://127.0.0.1:9/"]).await.exits_with(7);
    run(&["check"]).await.exits_with(2);
    let ran = run(&["check", "--only", "9.9", "http://127.0.0.1:9/"])
        .await
        .exits_with(2);
    assert!(
        ran.stderr.contains("there is no requirement 9.9"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn job_that_does_not_end_in_time_is_no_failure_and_is_deleted() {
    let url = start(builder(SeeOther), Fault::NONE).await;
    let endless = ["-H", "x-endless: 1", "-d", "a=b"];
    let arguments = ["check", "--json", "-m", "3", "--only", "1.2,2.6,2.20"];
    let ran = run(&[&arguments[..], &endless, &[&url]].concat())
        .await
        .exits_with(0);
    let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
    let checks = outcome["checks"].as_array().unwrap().iter();
    let verdicts: Vec<_> = checks
        .map(|check| check["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts, ["timeout", "pass", "timeout"], "{outcome}");
    assert!(!ran.stderr.contains("could not be deleted"), "{ran:?}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_check_that_is_interrupted_are_deleted() {
    let [polled, deleted] = [Arc::new(Notify::new()), Arc::new(Notify::new())];
    let (asked, dropped) = (Arc::clone(&polled), Arc::clone(&deleted));
    let app = Router::new().fallback(async move |request: Request<Body>| {
        if request.method() == Method::DELETE {
            dropped.notify_one();
            return StatusCode::NO_CONTENT.into_response();
        }
        if request.method() == Method::GET {
            asked.notify_one();
        }
        let fields = [
            ("location", "/work/1"),
            ("retry-after", "1"),
            ("job-status", "running"),
        ];
        (StatusCode::ACCEPTED, fields).into_response()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/report", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let child = command(&["check", "--only", "1.2", "-d", "a", &url])
        .spawn()
        .unwrap();
    let limit = Duration::from_secs(20);
    timeout(limit, polled.notified()).await.unwrap();
    let id = child.id().unwrap().to_string();
    Command::new("kill")
        .args(["-INT", &id])
        .status()
        .await
        .unwrap();
    let ran = finish(child).await.exits_with(130);
    assert!(ran.stderr.ends_with("poll: interrupted\n"), "{ran:?}");
    timeout(limit, deleted.notified()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn job_at_another_origin_is_not_touched() {
    let elsewhere = start(builder(SeeOther), Fault::NONE).await;
    let location = elsewhere.replace("/report", "/work/1");
    let fields = [("location", location), ("retry-after", "1".to_owned())];
    let app = Router::new().fallback(async move || (StatusCode::SEE_OTHER, fields));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/report", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let ran = run(&["check", "-v", "-d", "a", &url]).await.exits_with(9);
    assert!(
        ran.stderr.contains("the job is at another origin"),
        "{ran:?}"
    );
    assert_eq!(ran.stderr.matches("\n> user-agent").count(), 1, "{ran:?}");
    let origin = elsewhere.replace("/report", "");
    let allowed = format!("--cross-origin={origin}");
    let arguments = [
        "check", "-m", "2", "--only", "1.2", &allowed, "-d", "a", &url,
    ];
    let ran = run(&arguments).await.exits_with(1);
    assert!(
        ran.stdout.contains("got      404, Job-Status: unknown"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn job_without_end_does_not_use_more_requests_than_the_limit() {
    let app = Router::new().fallback(async || {
        let fields = [
            ("location", "/work/1"),
            ("retry-after", "1"),
            ("retry-after-ms", "1"),
            ("job-status", "running"),
        ];
        (StatusCode::ACCEPTED, fields)
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/report", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let arguments = ["check", "--json", "-m", "3", "-d", "a", &url];
    let ran = run(&arguments).await.exits_with(1);
    let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(outcome["requests"].as_u64() <= Some(200), "{ran:?}");
    let ended = outcome["checks"].as_array().unwrap().iter();
    let mut ended = ended.filter(|check| check["requirement"] == "1.2");
    assert_eq!(ended.next().unwrap()["verdict"], "timeout", "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn list_tells_what_a_client_cannot_see() {
    let ran = run(&["check", "--list"]).await.exits_with(0);
    assert!(
        ran.stdout
            .contains("2.7   DELETE cancels, or drops the result\n"),
        "{ran:?}"
    );
    assert!(
        ran.stdout
            .contains("(not observable: it would take an overload)"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn junit_is_xml() {
    let url = start(builder(SeeOther), BROKEN).await;
    let ran = run(&[
        "check",
        "--junit",
        "--only",
        "2.6,2.7,2.10",
        "-d",
        "<&\"",
        &url,
    ])
    .await;
    let ran = ran.exits_with(1);
    let Some(_) = available(python("xml.etree")) else {
        return;
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &ran.stdout).unwrap();
    let script = "import json, sys, xml.etree.ElementTree as tree\n\
                  suite = tree.parse(sys.argv[1]).getroot()\n\
                  cases = [[case.get('name'), [child.tag for child in case]] for case in suite]\n\
                  print(json.dumps([suite.tag, suite.attrib, cases]))";
    let read = Command::new("python3")
        .args(["-c", script, file.path().to_str().unwrap()])
        .stderr(Stdio::inherit())
        .output()
        .await
        .unwrap();
    let read: Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(read[0], "testsuite");
    let numbers = ["tests", "failures", "errors", "skipped"].map(|name| read[1][name].as_str());
    assert_eq!(numbers, ["3", "1", "0", "1"].map(Some));
    let children = [&read[2][0][1], &read[2][1][1], &read[2][2][1]].map(ToString::to_string);
    assert_eq!(children, ["[]", "[\"failure\"]", "[\"skipped\"]"]);
}
