//! Servers whose jobs are not where jobs should be.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Body};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{outcome::check_as, poll::run};

/// A server whose jobs are all at one location, and the requests that it received.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<(Method, Uri, HeaderMap)>>>,
}

impl Server {
    async fn start(location: impl Into<String>) -> Self {
        let location = location.into();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let app = Router::new().fallback(async move |request: Request<Body>| {
            let (parts, _) = request.into_parts();
            let is_delete = parts.method == Method::DELETE;
            let seen = (parts.method, parts.uri, parts.headers);
            log.lock().unwrap().push(seen);
            let fields = [
                ("location", location),
                ("retry-after", "1".to_owned()),
                ("job-status", "running".to_owned()),
            ];
            match is_delete {
                true => (StatusCode::METHOD_NOT_ALLOWED, fields),
                false => (StatusCode::ACCEPTED, fields),
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/report/7", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, seen }
    }

    /// Returns the method and the path of each request that is not safe, apart from submissions.
    fn changes(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let changes = seen
            .iter()
            .filter(|(method, ..)| !method.is_safe() && *method != Method::POST);
        let name = |(method, uri, _): &(Method, Uri, HeaderMap)| format!("{method} {uri}");
        changes.map(name).collect()
    }
}

const ALL: [&str; 6] = ["-m", "1", "--other-header", "x-user: bob", "-d", "a=b"];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_at_the_users_own_url_or_above_it_is_deleted() {
    for location in ["/report/7", "/report/7?job=1", "/report/", "/report", "/"] {
        let server = Server::start(location).await;
        let outcome = check_as(&server.url, &ALL).await;
        assert_eq!(server.changes(), [""; 0], "{location}");
        assert_eq!(outcome.verdicts["2.7"], "n/a", "{location}: {outcome:#?}");
        assert!(
            outcome.ran.stderr.contains("could not be deleted"),
            "{outcome:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_others_are_not_deleted_where_ids_are_short() {
    let server = Server::start("/jobs/1041").await;
    check_as(&server.url, &ALL).await;
    let changes = server.changes();
    assert!(changes.contains(&"DELETE /jobs/1041".to_owned()));
    let own = ["DELETE /jobs/1041", "PATCH /jobs/1041"];
    assert!(
        changes.iter().all(|change| own.contains(&&**change)),
        "{changes:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_in_parameters_of_other_names_are_kept() {
    let server = Server::start("/jobs?poll=0123456789abcdef&due=x").await;
    check_as(&server.url, &ALL).await;
    let changes = server.changes();
    assert!(!changes.is_empty());
    assert!(
        changes.iter().all(|change| change.contains("/jobs?poll=")),
        "{changes:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_the_stranger_are_for_the_first_origin_alone() {
    let id = "0".repeat(32);
    let elsewhere = Server::start(format!("/work/{id}")).await;
    let location = elsewhere.url.replace("/report/7", &format!("/work/{id}"));
    let server = Server::start(location).await;
    let origin = elsewhere.url.replace("/report/7", "");
    let allowed = format!("--cross-origin={origin}");
    let arguments = [
        "-m",
        "1",
        &allowed,
        "-H",
        "authorization: mine",
        "--other-header",
        "authorization: theirs",
        "-d",
        "a=b",
    ];
    check_as(&server.url, &arguments).await;
    let seen = elsewhere.seen.lock().unwrap();
    assert!(!seen.is_empty());
    assert!(
        seen.iter()
            .all(|(.., headers)| !headers.contains_key("authorization"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_servers_are_cut() {
    let server = Server::start(format!("work/{}", "1".repeat(4000))).await;
    let ran = run(&[
        "check",
        "-m",
        "1",
        "--only",
        "1.5",
        "-d",
        "a=b",
        &server.url,
    ])
    .await;
    let ran = ran.exits_with(1);
    let is_cut = |line: &str| line.starts_with("      got      work/1") && line.ends_with(" …");
    assert!(ran.stdout.lines().any(is_cut), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_not_sent_are_not_counted() {
    let server = Server::start("/work/1").await;
    let outcome = check_as(&server.url, &["-m", "1", "-d", "a=b"]).await;
    let document: Value = serde_json::from_str(&outcome.ran.stdout).unwrap();
    let seen = server.seen.lock().unwrap();
    let submitted = seen.iter().filter(|(method, ..)| *method == Method::POST);
    assert_eq!(document["submissions"], submitted.count());
    assert!(
        outcome
            .ran
            .stdout
            .contains("the time limit is reached (--max-time)")
    );
}
