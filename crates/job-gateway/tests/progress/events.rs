//! Live events.

use std::process::Stdio;

use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::{
    support::{Gateway, get, send, soon},
    worker::{Worker, report},
};

const APP: &str = "https://app.example";

/// A client that listens by curl, as a page of another origin does.
struct Listener {
    lines: Lines<BufReader<ChildStdout>>,
    _curl: Child,
}

impl Listener {
    fn start(url: &str) -> Self {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--no-buffer", "--include", url])
            .args(["--header", &format!("Origin: {APP}")]);
        let curl = curl.kill_on_drop(true).stdout(Stdio::piped()).spawn();
        let mut curl = curl.expect("curl is installed");
        let lines = BufReader::new(curl.stdout.take().unwrap()).lines();
        Self { lines, _curl: curl }
    }

    /// Returns the lines up to an empty one.
    async fn block(&mut self) -> Vec<String> {
        let mut block = Vec::new();
        while let Some(line) = soon(self.lines.next_line()).await.unwrap() {
            match line.is_empty() {
                true => break,
                false => block.push(line),
            }
        }
        block
    }

    /// Returns the id, the name and the document of the next event.
    async fn event(&mut self) -> (String, String, Value) {
        let block = self.block().await;
        let field = |name: &str| {
            let mut values = block.iter().filter_map(|line| line.strip_prefix(name));
            let value = values.next();
            value.unwrap_or_else(|| panic!("no {name} in {block:?}"))
        };
        let document = serde_json::from_str(field("data: ")).unwrap();
        (field("id: ").into(), field("event: ").into(), document)
    }
}

#[tokio::test]
async fn curl_listens_to_a_job_up_to_its_end() {
    let mut worker = Worker::start().await;
    let settings = format!(
        "events = true\n[upstreams.app]\nurl = \"{}\"\n\
         [defaults]\ninline_wait = \"50ms\"\n\
         [[routes]]\nmatch = \"POST /reports/{{id}}\"\ncors.origins = [\"{APP}\"]\n",
        worker.upstream.url()
    );
    let gateway = Gateway::with(&settings).await;
    let request = Request::post(gateway.url("/reports/7")).header("origin", APP);
    let pending = send(request.body(Full::from("{}")).unwrap()).await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER);
    let job = pending.header("location").split('?').next().unwrap();
    let events = format!("{job}/events");
    assert_eq!(
        pending.header("link"),
        format!("<{events}>; rel=\"monitor\"")
    );
    assert!(
        pending
            .header("access-control-expose-headers")
            .contains("Link")
    );

    let mut listener = Listener::start(&gateway.url(&events));
    let head = listener.block().await;
    assert_eq!(head[0], "HTTP/1.1 200 OK");
    for field in [
        "content-type: text/event-stream",
        "cache-control: no-store",
        "x-accel-buffering: no",
        &format!("access-control-allow-origin: {APP}"),
    ] {
        assert!(head.iter().any(|line| line == field), "{head:?}");
    }
    let (first, name, document) = listener.event().await;
    assert_eq!(name, "progress");
    assert_eq!(document["state"], "running");

    report(&worker.url().await, r#"{"done": 1, "total": 4}"#).await;
    let (second, name, document) = listener.event().await;
    assert_eq!(name, "progress");
    assert_eq!(document["progress"]["done"], 1);
    assert!(second.parse::<u64>().unwrap() > first.parse().unwrap());

    worker.finish();
    let (end, name, document) = listener.event().await;
    assert_eq!(name, "end");
    assert_eq!(document["state"], "done");
    assert_eq!(document["location"], *job);
    let mut rest = String::new();
    let mut left = listener.lines.into_inner();
    soon(left.read_to_string(&mut rest)).await.unwrap();
    assert_eq!(rest, "", "the stream has ended");

    let again = Request::get(gateway.url(&events)).header("last-event-id", end);
    let again = send(again.body(Full::default()).unwrap()).await;
    assert_eq!(again.status, StatusCode::NO_CONTENT);
    assert_eq!(get(gateway.url(job)).await.text(), "done");
}

#[tokio::test]
async fn there_are_no_events_without_the_setting() {
    let worker = Worker::start().await;
    let gateway = Gateway::before(&worker.upstream.url(), &["--inline-wait", "50ms"]).await;
    let request = Request::post(gateway.url("/reports/7")).body(Full::from("{}"));
    let pending = send(request.unwrap()).await;
    assert!(!pending.headers.contains_key("link"));
    let job = pending.header("location").split('?').next().unwrap();
    let events = get(gateway.url(&format!("{job}/events"))).await;
    assert_eq!(events.status, StatusCode::NOT_FOUND);
}
