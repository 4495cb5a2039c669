//! `poll list`.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::{Layer, service_fn};
use tower_async_job::{AsyncJobLayer, JobBody, JobContext, store::Principal};

use crate::{
    poll::{Ran, run},
    server::{Server, reply, with},
};

type Call = Request<JobBody<Incoming>>;

async fn work(request: Call) -> Result<Response<Full<Bytes>>, Infallible> {
    let job = JobContext::of(&request);
    job.progress(0.5);
    job.message("half\u{1b}[2J way");
    std::future::pending().await
}

/// Starts a server with the layer, whose principals are the values of `X-User`. Returns its origin.
async fn layered(lists: bool) -> String {
    let layer = AsyncJobLayer::builder()
        .inline_wait(std::time::Duration::ZERO)
        .principal(|request| {
            let user = request.headers.get("x-user")?.to_str().ok()?;
            Some(Principal::new(user))
        })
        .list_own_jobs(lists)
        .build()
        .unwrap();
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
    let listener = listener.await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(layer.layer(service_fn(work)));
            tokio::spawn(async move {
                let server = Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    origin
}

/// Submits a job of a user, and returns its URL.
async fn submit(origin: &str, user: &str) -> String {
    let user = format!("X-User: {user}");
    let url = format!("{origin}/report");
    let ran = run(&["--no-wait", "-H", &user, "-d", "x", &url]).await;
    let handle: Value = serde_json::from_str(&ran.exits_with(0).stdout).unwrap();
    let url = handle["url"].as_str().unwrap();
    url.split('?').next().unwrap().to_owned()
}

async fn list(arguments: &[&str]) -> Ran {
    run(&[&["list", "-H", "X-User: me"], arguments].concat()).await
}

#[tokio::test]
async fn own_jobs_of_a_server_are_a_table() {
    let origin = layered(true).await;
    let mut own = Vec::new();
    for _ in 0..3 {
        own.insert(0, submit(&origin, "me").await);
        submit(&origin, "you").await;
    }
    let base = format!("{origin}/work");
    let status = format!("{}/status", own[1]);
    for url in [&base, &format!("{base}/"), &own[0], &status] {
        let ran = list(&[url]).await.exits_with(0);
        let lines: Vec<_> = ran.stdout.lines().collect();
        assert_eq!(lines.len(), 4, "{ran:?}");
        let head: Vec<_> = lines[0].split_whitespace().collect();
        assert_eq!(head, ["JOB", "STATE", "PROGRESS", "AGE", "MESSAGE"]);
        for (line, url) in lines[1..].iter().zip(&own) {
            assert!(
                line.starts_with(&format!("{url}  running  50 % ")),
                "{line}"
            );
            assert!(line.ends_with("half\u{fffd}[2J way"), "{line}");
        }
        assert_eq!(ran.stderr, "");
    }
    // Each is a job for the other commands.
    let ran = run(&["status", "-H", "X-User: me", &own[2]]).await;
    assert!(
        ran.exits_with(0)
            .stdout
            .starts_with("pending (running), 50 %")
    );
    let ran = run(&["list", "-H", "X-User: new", &base]).await;
    let ran = ran.exits_with(0);
    assert_eq!(ran.stdout, "");
    assert_eq!(ran.stderr, "poll: there are no jobs\n");
}

#[tokio::test]
async fn pages_are_followed_up_to_the_limit() {
    let origin = layered(true).await;
    let base = format!("{origin}/work");
    for _ in 0..3 {
        submit(&origin, "me").await;
    }
    let ran = list(&["--limit", "2", "--json", &base]).await.exits_with(0);
    let documents = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let documents: Vec<Value> = documents.collect();
    assert_eq!(documents.len(), 2);
    assert!(documents.iter().all(|job| job["state"] == "running"));
    assert_eq!(
        ran.stderr,
        "poll: there are more jobs; --limit shows more of them\n"
    );
    let page = |next: Option<&str>, ids: &[&str]| {
        let job = |id| json!({ "id": id, "state": "done", "href": format!("/jobs/{id}") });
        let jobs: Vec<_> = ids.iter().map(job).collect();
        let mut page = json!({ "jobs": jobs });
        if let Some(next) = next {
            page["next"] = next.into();
        }
        page["unreadable"] = 1.into();
        &*page.to_string().leak()
    };
    let pages = [
        page(Some("?after=1"), &["a", "b"]),
        page(Some("/jobs?after=2"), &["c"]),
        page(None, &["d"]),
    ];
    let server = Server::start(move |n, _| reply(200, pages[n % 3])).await;
    let ran = run(&["list", &server.url("/jobs")]).await.exits_with(0);
    let last = ran
        .stdout
        .lines()
        .map(|line| line.split_once(' ').unwrap().0);
    let expected = ["a", "b", "c", "d"].map(|id| server.url(&format!("/jobs/{id}")));
    assert!(last.skip(1).eq(&expected), "{ran:?}");
    assert_eq!(ran.stderr, "poll: the server cannot read 3 more\n");
    let seen: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.uri.to_string())
        .collect();
    assert_eq!(seen, ["/jobs?limit=50", "/jobs?after=1", "/jobs?after=2"]);
}

#[tokio::test]
async fn servers_that_list_nothing_are_told() {
    let origin = layered(false).await;
    let ran = list(&[&format!("{origin}/work/")]).await.exits_with(22);
    let told = "poll: the server does not list jobs at this URL, or does not know the client";
    assert!(ran.stderr.starts_with(told), "{ran:?}");
    assert!(ran.stderr.contains("404 Not Found"), "{ran:?}");
    let ran = run(&["list", &format!("{}/work", layered(true).await)]).await;
    let ran = ran.exits_with(22);
    assert!(ran.stderr.starts_with(told), "{ran:?}");
    assert!(
        ran.stderr.contains("hint: no credentials were sent"),
        "{ran:?}"
    );
    for (status, told) in [
        (401, "the server lists no jobs to this client"),
        (403, "the server lists no jobs to this client"),
        (405, "the server does not list jobs at this URL"),
        (303, "the server does not list jobs at this URL"),
        (503, "the server cannot list jobs now"),
    ] {
        let server = Server::start(move |_, _| reply(status, "")).await;
        let ran = list(&["-u", "me:secret", &server.url("/work")]).await;
        let ran = ran.exits_with(22);
        assert!(ran.stderr.contains(told), "{ran:?}");
        assert!(!ran.stderr.contains("hint"), "{ran:?}");
        assert_eq!(
            server.seen()[0].headers["authorization"],
            "Basic bWU6c2VjcmV0"
        );
    }
    let problem = r#"{"title":"Bad\u001b Request","status":400,"detail":"no such limit"}"#;
    let server = Server::start(move |_, _| with(400, &[], problem)).await;
    let ran = list(&[&server.url("/work")]).await.exits_with(22);
    assert!(ran.stderr.contains("the server said: "), "{ran:?}");
    assert!(!ran.stderr.contains('\u{1b}'), "{ran:?}");
}

#[tokio::test]
async fn lists_that_cannot_be_used_are_told() {
    for (body, code, told) in [
        ("<html>", 8, "does not list jobs"),
        ("{}", 8, "does not list jobs"),
        ("[]", 8, "does not list jobs"),
        ("7", 8, "does not list jobs"),
        (
            r#"{"jobs":[],"next":"?after=1"}"#,
            8,
            "an empty page leads to another one",
        ),
        (r#"{"jobs":[{"id":"a"}]}"#, 8, "a job in it cannot be read"),
        (
            r#"{"jobs":[{"id":"a","state":"done"}],"next":"http://other.example/"}"#,
            9,
            "the next page of jobs is at another origin",
        ),
    ] {
        let server = Server::start(move |_, _| reply(200, body)).await;
        let ran = list(&[&server.url("/work")]).await.exits_with(code);
        assert!(ran.stderr.contains(told), "{ran:?}");
        assert_eq!(server.seen().len(), 1);
    }
    let long = &*"x".repeat((4 << 20) + 1).leak();
    let server = Server::start(move |_, _| reply(200, long)).await;
    let ran = list(&[&server.url("/work")]).await.exits_with(8);
    assert!(ran.stderr.contains("it is too long"), "{ran:?}");
    let ran = list(&["http://127.0.0.1:1/work"]).await.exits_with(7);
    assert!(ran.stderr.contains("cannot connect"), "{ran:?}");
}

#[tokio::test]
async fn pages_that_lead_to_themselves_are_read_once() {
    let body = r#"{"jobs":[{"id":"a","state":"done"}],"next":"?after=1"}"#;
    let server = Server::start(move |_, _| reply(200, body)).await;
    let ran = list(&["--limit", "9999", &server.url("/work")]).await;
    let ran = ran.exits_with(8);
    assert!(
        ran.stderr.contains("a page leads to an earlier one"),
        "{ran:?}"
    );
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn long_texts_of_servers_are_cut() {
    let message = "m".repeat(70_000);
    let job =
        json!({ "id": "a", "state": "running", "href": "/a", "progress": { "message": message } });
    let page = &*json!({ "jobs": [job] }).to_string().leak();
    let server = Server::start(move |_, _| reply(200, page)).await;
    let ran = list(&[&server.url("/work")]).await.exits_with(0);
    assert!(ran.stdout.len() < 1000, "{ran:?}");
    assert!(ran.stdout.ends_with("m …\n"), "{ran:?}");
}

#[tokio::test]
async fn path_of_a_job_leads_to_no_other_host() {
    let body = r#"{"jobs":[]}"#;
    let [server, other] = [
        Server::start(move |_, _| reply(200, body)).await,
        Server::start(move |_, _| reply(200, body)).await,
    ];
    let host = other.url("").replace("http://", "");
    let job = server.url(&format!("//{host}/{}", "0".repeat(32)));
    list(&["-u", "me:secret", &job]).await.exits_with(0);
    assert_eq!(other.seen().len(), 0);
    assert_eq!(server.seen()[0].uri.path(), format!("//{host}"));
}
