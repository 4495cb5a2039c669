//! A server that is not ours, and offers the least.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use http::StatusCode;
use tokio::net::TcpListener;

use crate::outcome::check_as;

type Jobs = Arc<Mutex<HashMap<String, Instant>>>;

/// The time that a job takes: longer than all requests for a pending one, on a busy machine too.
const TIME: Duration = Duration::from_secs(3);

fn answer(status: u16, state: &str, fields: &[(&str, &str)], body: String) -> Response {
    let mut response = Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("cache-control", "no-store")
        .header("job-status", state);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body)).unwrap()
}

fn pending(id: &str, status: u16) -> Response {
    let location = format!("/jobs/{id}");
    let fields = [
        ("location", &*location),
        ("content-location", &location),
        ("retry-after", "1"),
        ("retry-after-ms", "300"),
        ("content-type", "application/json"),
    ];
    let fields = if status == 202 {
        &fields[..]
    } else {
        &fields[2..]
    };
    answer(
        status,
        "running",
        fields,
        format!(r#"{{"id":"{id}","state":"running"}}"#),
    )
}

async fn submit(predictable: bool, jobs: Jobs) -> Response {
    let mut jobs = jobs.lock().unwrap();
    let number = jobs.len() as u128 + 1;
    // A multiple is not random, but as far from the others as random ids are.
    let factor = if predictable {
        1
    } else {
        0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835
    };
    let id = format!("{:032x}", number.wrapping_mul(factor));
    jobs.insert(id.clone(), Instant::now());
    pending(&id, 202)
}

fn find(jobs: &Jobs, id: &str) -> Option<bool> {
    let jobs = jobs.lock().unwrap();
    jobs.get(id).map(|began| began.elapsed() > TIME)
}

fn unknown() -> Response {
    let body = r#"{"type":"urn:http-polling:problem:job-unknown"}"#;
    let fields = [("content-type", "application/problem+json")];
    answer(404, "unknown", &fields, body.to_owned())
}

async fn job(State(jobs): State<Jobs>, Path(id): Path<String>) -> Response {
    match find(&jobs, &id) {
        None => unknown(),
        Some(false) => pending(&id, 202),
        Some(true) => answer(
            200,
            "done",
            &[("content-type", "text/plain")],
            "done".to_owned(),
        ),
    }
}

async fn status(State(jobs): State<Jobs>, Path(id): Path<String>) -> Response {
    match find(&jobs, &id) {
        None => unknown(),
        Some(false) => pending(&id, 200),
        Some(true) => {
            let fields = [("content-type", "application/json")];
            answer(
                200,
                "done",
                &fields,
                format!(r#"{{"id":"{id}","state":"done"}}"#),
            )
        }
    }
}

async fn options() -> Response {
    answer(204, "", &[("allow", "GET, HEAD, OPTIONS")], String::new())
}

async fn other_method() -> Response {
    answer(405, "", &[("allow", "GET, HEAD, OPTIONS")], String::new())
}

/// Starts a server with jobs that can be polled and nothing else: no preferences, no hints, no
/// cancellation, no keys, no deadlines, no files and no pages.
async fn least(predictable: bool) -> String {
    let app = Router::new()
        .route(
            "/report",
            post(async move |State(jobs)| submit(predictable, jobs).await),
        )
        .route(
            "/jobs/{id}",
            get(job).options(options).fallback(other_method),
        )
        .route("/jobs/{id}/status", get(status))
        .with_state(Jobs::default());
    serve(app).await
}

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/report")
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_offers_the_least_does_not_fail() {
    let outcome = check_as(&least(false).await, &["-d", "year=2031"]).await;
    // It defers event streams, which is wrong, has the same Location each time, and no times in its
    // documents.
    assert_eq!(outcome.with("fail"), ["1.8"], "{outcome:#?}");
    assert_eq!(outcome.with("warn"), ["1.6", "3.1"], "{outcome:#?}");
    for number in [
        "1.7", "1.10", "1.11", "2.7", "2.11", "2.12", "2.16", "2.20", "2.21", "6.3",
    ] {
        assert_eq!(outcome.verdicts[number], "n/a", "{number}: {outcome:#?}");
    }
    for number in [
        "1.2", "1.3", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.8", "3.2",
    ] {
        assert_eq!(outcome.verdicts[number], "pass", "{number}: {outcome:#?}");
    }
    assert!(
        outcome
            .ran
            .stderr
            .contains("of the jobs could not be deleted"),
        "{outcome:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_without_a_status_document_are_found_nevertheless() {
    let jobs = Jobs::default();
    let app = Router::new()
        .route(
            "/report",
            post(async move |State(jobs)| submit(false, jobs).await),
        )
        .route("/jobs/{id}", get(job))
        .fallback(async || unknown())
        .with_state(jobs);
    let outcome = check_as(&serve(app).await, &["--only", "1.2,2.6", "-d", "a=b"]).await;
    assert_eq!(outcome.verdicts["1.2"], "pass", "{outcome:#?}");
    assert_eq!(outcome.verdicts["2.6"], "warn", "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_can_be_guessed_fail() {
    let outcome = check_as(&least(true).await, &["-d", "year=2031"]).await;
    assert_eq!(outcome.with("fail"), ["1.8", "2.9"], "{outcome:#?}");
}
