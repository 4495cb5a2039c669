//! Reports of progress.

use std::{sync::Arc, time::Duration};

use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::{Notify, mpsc},
    time::sleep,
};

use crate::{
    support::{Gateway, Upstream, get, send, soon, talk},
    worker::{Worker, document, report},
};

/// The longest time between a report and its place in the status document.
const WRITTEN: Duration = Duration::from_millis(400);

#[tokio::test]
async fn progress_is_reported_before_and_after_the_acceptance() {
    let mut worker = Worker::start().await;
    let wait = ["--inline-wait", "500ms"];
    let gateway = Gateway::before(&worker.upstream.url(), &wait).await;
    let request = Request::post(gateway.url("/reports/7")).body(Full::from("{}"));
    let pending = tokio::spawn(send(request.unwrap()));
    let url = worker.url().await;
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert!(!url.starts_with(&gateway.url("/")), "{url}");

    let early = r#"{"done": 1, "total": 4, "message": "reading", "metadata": {"rows": 7}}"#;
    let told = report(&url, early).await;
    assert_eq!(told.status, StatusCode::NO_CONTENT);
    assert_eq!(told.header("job-status"), "running");
    let left = told.header("cancel-after").trim_end_matches('s');
    assert!((3590..3600).contains(&left.parse().unwrap()), "{left}");

    let pending = pending.await.unwrap();
    assert_eq!(pending.status, StatusCode::SEE_OTHER);
    let job = pending.header("location");
    sleep(WRITTEN).await;
    let of_job = document(&gateway, job).await;
    let expected = json!({"fraction": 0.25, "done": 1, "total": 4, "message": "reading"});
    assert_eq!(of_job["progress"], expected);
    assert_eq!(of_job["metadata"], json!({"rows": 7}));

    let later = r#"{"fraction": 0.5, "partial": ["a"], "metadata": {"pages": 2}}"#;
    assert_eq!(report(&url, later).await.status, StatusCode::NO_CONTENT);
    let wrong = r#"{"fraction": 0.9, "message": "wrong", "partial": [], "metadata": 5}"#;
    assert_eq!(report(&url, wrong).await.status, StatusCode::BAD_REQUEST);
    sleep(WRITTEN).await;
    let of_job = document(&gateway, job).await;
    let expected = json!({"fraction": 0.5, "message": "reading"});
    assert_eq!(of_job["progress"], expected);
    assert_eq!(of_job["metadata"], json!({"rows": 7, "pages": 2}));
    assert_eq!(of_job["partial"], json!(["a"]));

    worker.finish();
    sleep(WRITTEN).await;
    assert_eq!(report(&url, later).await.status, StatusCode::GONE);
    assert_eq!(get(url).await.status, StatusCode::GONE);
    let done = get(gateway.url(job)).await;
    assert_eq!(done.text(), "done");
}

#[tokio::test]
async fn a_later_attempt_supersedes_the_url_of_an_earlier_one() {
    let (urls, mut url_of) = mpsc::unbounded_channel();
    let finish = Arc::new(Notify::new());
    let finished = finish.clone();
    let upstream = Upstream::of_connections(move |mut stream| {
        let (urls, finished) = (urls.clone(), finished.clone());
        async move {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n{}") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            let request = String::from_utf8(request).unwrap();
            let field = |name: &str| {
                let mut lines = request.lines();
                let value = lines.find_map(|line| line.strip_prefix(name));
                value.unwrap().to_owned()
            };
            urls.send(field("job-progress-url: ")).unwrap();
            finished.notified().await;
            if field("job-attempt: ") == "2" {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                stream.write_all(answer).await.unwrap();
            }
        }
    });
    let upstream = upstream.await;
    let folder = tempfile::tempdir().unwrap();
    let settings = format!(
        "store = \"sqlite:{}\"\n[upstreams.app]\nurl = \"{}\"\n\
        [defaults]\nreplay = \"all\"\ninline_wait = \"100ms\"\n",
        folder.path().join("jobs.db").display(),
        upstream.url()
    );
    let gateway = Gateway::with(&settings).await;
    let request = Request::post(gateway.url("/")).body(Full::from("{}"));
    let pending = send(request.unwrap()).await;
    let job = pending.header("location");
    let first = soon(url_of.recv()).await.unwrap();
    assert_eq!(report(&first, "{}").await.status, StatusCode::NO_CONTENT);

    finish.notify_one();
    let second = soon(url_of.recv()).await.unwrap();
    let late = report(&first, r#"{"message": "late"}"#).await;
    assert_eq!(late.status, StatusCode::GONE);
    let told = report(&second, r#"{"message": "again"}"#).await;
    assert_eq!(told.header("job-status"), "running");
    sleep(WRITTEN).await;
    let of_job = document(&gateway, job).await;
    assert_eq!(of_job["progress"]["message"], "again");
    finish.notify_one();
}

#[tokio::test]
async fn a_reload_changes_the_urls_of_further_requests() {
    let mut worker = Worker::start().await;
    let port = free_port().await;
    let settings = |host: &str| {
        format!(
            "[upstreams.app]\nurl = \"{}\"\n\
            [progress]\nlisten = \"127.0.0.1:{port}\"\nurl = \"http://{host}:{port}\"\n",
            worker.upstream.url()
        )
    };
    let (before, after) = (settings("127.0.0.1"), settings("localhost"));
    let gateway = Gateway::with(&before).await;
    let first = tokio::spawn(get(gateway.url("/")));
    let url = worker.url().await;
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    std::fs::write(gateway.settings.as_ref().unwrap().path(), after).unwrap();
    gateway.signal(rustix::process::Signal::HUP);
    let mut answers = vec![first];
    loop {
        answers.push(tokio::spawn(get(gateway.url("/"))));
        if worker.url().await.starts_with("http://localhost:") {
            break;
        }
    }
    assert_eq!(get(url).await.status, StatusCode::NO_CONTENT);
    for answer in answers {
        worker.finish();
        assert_eq!(soon(answer).await.unwrap().text(), "done");
    }
}

#[tokio::test]
async fn clients_have_no_way_to_report() {
    let mut worker = Worker::start().await;
    let gateway = Gateway::before(&worker.upstream.url(), &[]).await;
    let waiting = tokio::spawn(get(gateway.url("/")));
    let url = worker.url().await;
    let path = &url[url.find("/runs/").unwrap()..];
    let request = Request::put(gateway.url(path)).body(Full::from("{}"));
    let passed = tokio::spawn(send(request.unwrap()));
    let (seen, own) = soon(worker.requests.recv()).await.unwrap();
    assert_eq!(seen, path);
    assert_ne!(own.as_ref(), Some(&url));
    worker.finish();
    worker.finish();
    assert_eq!(passed.await.unwrap().text(), "done");
    assert_eq!(waiting.await.unwrap().text(), "done");
}

#[tokio::test]
async fn a_request_that_cannot_become_a_job_has_no_url() {
    let mut worker = Worker::start().await;
    let settings = format!(
        "[upstreams.app]\nurl = \"{}\"\n[[routes]]\nmatch = \"/static/{{*rest}}\"\ndefer = false\n",
        worker.upstream.url()
    );
    let gateway = Gateway::with(&settings).await;
    let head = b"HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let events =
        b"GET / HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\nconnection: close\r\n\r\n";
    let fixed = b"GET /static/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    for request in [&head[..], events, fixed] {
        worker.finish();
        let answer = talk(gateway.address(), request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (_, url) = soon(worker.requests.recv()).await.unwrap();
        assert_eq!(url, None);
    }
}

#[tokio::test]
async fn a_server_elsewhere_has_a_url_if_the_settings_name_one() {
    let mut worker = Worker::start().await;
    // Not an address of loopback, but this machine.
    let elsewhere = format!("http://0.0.0.0:{}", worker.upstream.address.port());
    let gateway = Gateway::before(&elsewhere, &[]).await;
    worker.finish();
    assert_eq!(get(gateway.url("/")).await.text(), "done");
    let (_, url) = soon(worker.requests.recv()).await.unwrap();
    assert_eq!(url, None);

    let port = free_port().await;
    let settings = format!(
        "[upstreams.app]\nurl = \"{elsewhere}\"\n\
        [progress]\nlisten = \"127.0.0.1:{port}\"\nurl = \"http://localhost:{port}\"\n"
    );
    let gateway = Gateway::with(&settings).await;
    let waiting = tokio::spawn(get(gateway.url("/")));
    let url = worker.url().await;
    assert!(
        url.starts_with(&format!("http://localhost:{port}/runs/")),
        "{url}"
    );
    assert_eq!(get(url).await.status, StatusCode::NO_CONTENT);
    worker.finish();
    assert_eq!(waiting.await.unwrap().text(), "done");
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_listener_answers_what_is_no_http_as_http_says() {
    let mut worker = Worker::start().await;
    let gateway = Gateway::before(&worker.upstream.url(), &[]).await;
    let waiting = tokio::spawn(get(gateway.url("/")));
    let url = worker.url().await;
    let address = url.strip_prefix("http://").unwrap();
    let (address, path) = address.split_at(address.find('/').unwrap());
    let long = "a".repeat(20_000);
    for (request, status) in [
        (format!("GET {path}{long} HTTP/1.1\r\n\r\n"), "HTTP/1.1 4"),
        (
            format!("GET {path} HTTP/1.1\r\nx: {long}\r\n\r\n"),
            "HTTP/1.1 431",
        ),
        ("nonsense\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        (
            format!("PUT {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 65537\r\n\r\n"),
            "HTTP/1.1 413",
        ),
    ] {
        let answer = talk(address, request.as_bytes()).await;
        assert!(answer.starts_with(status), "{answer}");
    }
    worker.finish();
    assert_eq!(waiting.await.unwrap().text(), "done");
}

#[tokio::test]
async fn a_listener_that_is_taken_is_an_error() {
    let upstream = Upstream::of_requests(|_| async { http::Response::new(Full::from("")) }).await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let settings = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "[upstreams.app]\nurl = \"{}\"\n[progress]\nlisten = \"{address}\"\n",
        upstream.url()
    );
    std::fs::write(&settings, text).unwrap();
    let path = settings.path().to_str().unwrap();
    let output = crate::support::command(["--config", path, "--listen", "127.0.0.1:0"]).output();
    let output = soon(output).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    let expected = format!("cannot listen on {address} for reports of progress");
    assert!(error.contains(&expected), "{error}");
}
