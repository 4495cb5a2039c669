//! Jobs that are run again: their requests reach the server as in their first runs.

use std::{convert::Infallible, time::Duration};

use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};

use crate::support::{Answer, Gateway, Upstream, get, send, soon, talk};

const FIELDS: &str = "POST /reports/7?a=%2F&b HTTP/1.1\r\nhost: shop.example\r\n\
    connection: close\r\nx-unknown: a  b\r\nx-unknown: c\r\ncookie: a=1\r\nuser-agent: me\r\n\
    forwarded: for=203.0.113.1\r\nx-forwarded-for: 203.0.113.1\r\nx-forwarded-port: 443\r\n\
    x_under: 1\r\nconnection: x-hop\r\nx-hop: 1\r\nvia: 1.0 nginx\r\nte: trailers\r\n\
    cancel-after: 10m\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n\
    {\"pages\": 300}";

/// Returns a server that answers all requests but the first one, and what it receives.
async fn second_time_lucky() -> (Upstream, mpsc::UnboundedReceiver<Vec<String>>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let count = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let upstream = Upstream::of_connections(move |mut stream: TcpStream| {
        let (sender, count) = (sender.clone(), count.clone());
        async move {
            let mut read = Vec::new();
            while !read.ends_with(b"300}") {
                if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            let text = String::from_utf8(read).unwrap();
            let mut lines: Vec<_> = text.split("\r\n").map(str::to_owned).collect();
            lines[1..].sort();
            sender.send(lines).unwrap();
            if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
                let _ = stream.read(&mut [0; 1]).await;
                return;
            }
            let done = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone";
            stream.write_all(done).await.unwrap();
        }
    });
    (upstream.await, receiver)
}

/// A job that is run twice: its gateway ends amid the first run, and another one begins.
pub(crate) struct Twice {
    /// The settings of the routes.
    pub(crate) routes: String,
    /// The fields of a poll.
    pub(crate) poll: Vec<(&'static str, String)>,
    pub(crate) signal: Signal,
    /// The folder of the store.
    pub(crate) folder: TempDir,
}

impl Twice {
    /// Returns a job that is run again after a signal, with its credentials.
    fn after(signal: Signal) -> Self {
        Self {
            routes: "replay = \"all\"\ncredentials = \"keep\"\n".to_owned(),
            poll: Vec::new(),
            signal,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn start(&self, upstream: &Upstream) -> Gateway {
        let settings = format!(
            "store = \"sqlite:{}\"\ngrace = \"0s\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n\
            [upstreams.app]\nurl = \"{}\"\n[defaults]\ninline_wait = \"100ms\"\n{}",
            self.folder.path().join("jobs.db").display(),
            upstream.url(),
            self.routes,
        );
        Gateway::with(&settings).await
    }

    /// Sends a request, and returns what the server receives, first and then again.
    pub(crate) async fn run(&self, request: &str) -> (Vec<String>, Vec<String>) {
        let (upstream, mut requests) = second_time_lucky().await;
        let mut first = self.start(&upstream).await;
        let accepted = talk(first.address(), request.as_bytes()).await;
        assert!(accepted.starts_with("HTTP/1.1 303"), "{accepted}");
        let (_, job) = accepted.split_once("\r\nlocation: ").unwrap();
        let job = job.split(['?', '\r']).next().unwrap().to_owned();
        let mut sent = soon(requests.recv()).await.unwrap();
        first.signal(self.signal);
        first.ended().await;

        let second = self.start(&upstream).await;
        let again = timeout(Duration::from_secs(90), requests.recv()).await;
        let mut again = again.expect("the job runs again").unwrap();
        let mut poll = Request::get(second.url(&job)).header("prefer", "wait=10");
        for (name, value) in &self.poll {
            poll = poll.header(*name, value);
        }
        let done = send(poll.body("".into()).unwrap()).await;
        assert_eq!((done.status, done.text()), (StatusCode::OK, "done"));
        let url = |request: &mut _| take(request, "job-progress-url");
        assert_ne!(url(&mut sent), url(&mut again), "one URL for two attempts");
        // The right to read the result is the client's.
        let id = job.strip_prefix("/work/").unwrap();
        for line in sent.iter().chain(&again) {
            assert!(!line.contains(id), "{line}");
        }
        (sent, again)
    }
}

/// Takes the value of a field out of a request.
pub(crate) fn take(request: &mut Vec<String>, name: &str) -> String {
    let at = request.iter().position(|line| line.starts_with(name));
    let line = request.remove(at.unwrap_or_else(|| panic!("no {name} in {request:?}")));
    line.split_once(": ").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_job_that_is_handed_over_is_sent_as_before() {
    let (mut sent, mut again) = Twice::after(Signal::TERM).run(FIELDS).await;
    let left = |request: &mut _| -> u32 {
        let left = take(request, "cancel-after");
        left.trim_end_matches('s').parse().unwrap()
    };
    let (before, after) = (left(&mut sent), left(&mut again));
    assert_eq!(before, 599);
    assert!((570..=before).contains(&after), "{after}");
    assert_eq!(sent, again);
    let handle = take(&mut again, "job-handle");
    assert_eq!(take(&mut again, "idempotency-key"), format!("\"{handle}\""));
    assert_eq!(take(&mut again, "job-attempt"), "1");
    assert_eq!(take(&mut again, "host"), "shop.example");
    assert_eq!(
        take(&mut again, "x-forwarded-for"),
        "203.0.113.1, 127.0.0.1"
    );
    assert_eq!(take(&mut again, "x-forwarded-port"), "443");
    assert_eq!(take(&mut again, "cookie"), "a=1");
    assert_eq!(take(&mut again, "te"), "trailers");
}

#[tokio::test]
async fn a_job_of_a_gateway_that_was_killed_is_a_further_attempt() {
    let (mut sent, mut again) = Twice::after(Signal::KILL).run(FIELDS).await;
    for request in [&mut sent, &mut again] {
        take(request, "cancel-after");
    }
    assert_eq!(take(&mut sent, "job-attempt"), "1");
    assert_eq!(take(&mut again, "job-attempt"), "2");
    assert_eq!(sent, again);
}

#[tokio::test]
async fn a_job_of_a_key_is_sent_again_with_it() {
    let mut twice = Twice::after(Signal::TERM);
    twice.routes = "replay = \"keyed\"\ncredentials = \"keep\"\n".to_owned();
    let keyed = FIELDS.replace("cookie: a=1", "idempotency-key: \"mine\"");
    let (mut sent, mut again) = twice.run(&keyed).await;
    for request in [&mut sent, &mut again] {
        take(request, "cancel-after");
        assert_eq!(take(request, "idempotency-key"), "\"mine\"");
    }
    assert_eq!(sent, again);
}

#[tokio::test]
async fn a_job_without_a_key_is_lost_where_one_is_needed() {
    let mut twice = Twice::after(Signal::TERM);
    twice.routes = "replay = \"keyed\"\ncredentials = \"keep\"\n".to_owned();
    let (upstream, mut requests) = second_time_lucky().await;
    let mut first = twice.start(&upstream).await;
    let accepted = talk(first.address(), FIELDS.as_bytes()).await;
    let (_, job) = accepted.split_once("\r\nlocation: ").unwrap();
    let job = job.split('\r').next().unwrap();
    let sent = soon(requests.recv()).await.unwrap();
    let is_key = |line: &String| line.starts_with("idempotency-key");
    assert!(!sent.iter().any(is_key), "{sent:?}");
    first.signal(Signal::TERM);
    first.ended().await;
    let second = twice.start(&upstream).await;
    let lost = get(second.url(job)).await;
    assert_eq!(lost.header("job-status"), "lost", "{lost:?}");
    assert!(requests.try_recv().is_err(), "it was sent again");
}

#[tokio::test]
async fn a_request_with_credentials_is_not_stored_unless_the_route_says_how() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("jobs.db").display());
    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let key_of = async |credentials: &str, method: &str, fields: &str| {
        let (upstream, seen) = Upstream::of_bytes(ok).await;
        let settings = format!(
            "store = \"{store}\"\n[upstreams.app]\nurl = \"{}\"\n[defaults]\n{credentials}\n",
            upstream.url()
        );
        let gateway = Gateway::with(&settings).await;
        let request =
            format!("{method} / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{fields}\r\n");
        talk(gateway.address(), request.as_bytes()).await;
        let is_key = |line: &&String| line.starts_with("idempotency-key: ");
        seen.only().iter().filter(is_key).count()
    };
    let keys = async |credentials: &str, fields: &str| key_of(credentials, "GET", fields).await;
    assert_eq!(keys("", "").await, 1);
    assert_eq!(keys("", "authorization: Basic eA==\r\n").await, 0);
    assert_eq!(keys("", "cookie: a=1\r\n").await, 0);
    assert_eq!(keys("credentials = \"keep\"", "cookie: a=1\r\n").await, 1);
    assert_eq!(keys("credentials = \"drop\"", "cookie: a=1\r\n").await, 1);
    assert_eq!(keys("replay = \"none\"", "").await, 0);
    // By the method, unless the settings say otherwise.
    let methods = [
        ("PUT", 1),
        ("DELETE", 1),
        ("POST", 0),
        ("PATCH", 0),
        ("PROPFIND", 0),
    ];
    for (method, count) in methods {
        assert_eq!(key_of("", method, "").await, count, "{method}");
    }
}

#[tokio::test]
async fn a_long_upload_passes_while_it_is_read_and_is_not_stored() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("jobs.db").display());
    let upstream = Upstream::of_requests(|request| async move {
        use http_body_util::BodyExt;
        let key = request.headers().contains_key("idempotency-key");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        http::Response::new(crate::support::full(format!("{} {key}", body.len())))
    });
    let upstream = upstream.await;
    let durable = ["--store", &*store, "--replay", "all"];
    let gateway = Gateway::before(&upstream.url(), &durable).await;
    for (size, key) in [(1 << 20, true), (3 << 20, false)] {
        let upload = Request::post(gateway.url("/"))
            .body(vec![0; size].into())
            .unwrap();
        assert_eq!(send(upload).await.text(), format!("{size} {key}"));
        // The length may be unknown.
        let pieces = (0..size / 1024)
            .map(|_| Ok::<_, Infallible>(Frame::data(bytes::Bytes::from(vec![0; 1024]))));
        let pieces = StreamBody::new(futures_util::stream::iter(pieces));
        let upload = Request::post(gateway.url("/")).body(pieces).unwrap();
        let client = crate::support::client::<StreamBody<_>>(false);
        let answer = Answer::read(soon(client.request(upload)).await.unwrap()).await;
        assert_eq!(answer.text(), format!("{size} {key}"));
    }
    let keyed = Request::post(gateway.url("/")).header("idempotency-key", "\"a\"");
    let refused = send(keyed.body(vec![0; 3 << 20].into()).unwrap()).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(get(gateway.url("/")).await.text(), "0 true");
}
