//! The queue before a server that takes a limited number of requests at once.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::StreamBody;
use rustix::process::Signal;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    failures::failed,
    support::{Answer, Gateway, Upstream, client, full, send, soon},
    upgrades,
};

/// A server that answers a request when it is let, and notes those that it has received.
#[derive(Clone)]
struct Slow {
    answers: Arc<Semaphore>,
    received: Arc<Mutex<Vec<String>>>,
}

impl Slow {
    fn new() -> Self {
        Self {
            answers: Arc::new(Semaphore::new(0)),
            received: Arc::default(),
        }
    }

    async fn start(&self) -> Upstream {
        let server = self.clone();
        Upstream::of_requests(move |request| {
            let server = server.clone();
            async move {
                let path = request.uri().path().to_owned();
                server.received.lock().unwrap().push(path);
                server.answers.acquire().await.unwrap().forget();
                Response::new(full("done"))
            }
        })
        .await
    }

    fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }

    async fn until_received(&self, number: usize) {
        let received = async {
            while self.received().len() < number {
                sleep(Duration::from_millis(5)).await;
            }
        };
        soon(received).await;
    }
}

/// Returns the settings of a server with further lines, whose answers become no jobs.
fn settings(upstream: &Upstream, lines: &str) -> String {
    let url = upstream.url();
    format!(
        "trusted_proxies = [\"127.0.0.0/8\"]\n[upstreams.app]\nurl = \"{url}\"\n{lines}\n\
        [[routes]]\nmatch = \"/{{*rest}}\"\ndefer = false\nprincipal = {{ header = \"x-user\" }}\n"
    )
}

/// Sends a GET of a principal.
async fn ask(gateway: &Gateway, path: &str, principal: &str) -> Answer {
    let request = Request::get(gateway.url(path)).header("x-user", principal);
    send(request.body("".into()).unwrap()).await
}

#[tokio::test]
async fn no_more_requests_run_at_once_than_the_server_takes() {
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let counts = (running, most.clone());
    let upstream = Upstream::of_requests(move |_| {
        let (running, most) = counts.clone();
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(Duration::from_millis(5)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Response::new(full("done"))
        }
    });
    let upstream = upstream.await;
    let gateway = Gateway::with(&settings(&upstream, "concurrency = 3")).await;
    let mut asked = JoinSet::new();
    for number in 0..100 {
        let url = gateway.url(&format!("/{number}"));
        let request = Request::get(url).header("x-user", format!("{}", number % 7));
        asked.spawn(send(request.body("".into()).unwrap()));
    }
    while let Some(answer) = asked.join_next().await {
        assert_eq!(answer.unwrap().status, StatusCode::OK);
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_request_that_finds_the_queue_full_is_refused() {
    let server = Slow::new();
    let upstream = server.start().await;
    let gateway = Gateway::with(&settings(&upstream, "concurrency = 1\nqueue = 1")).await;
    let first = ask(&gateway, "/first", "ann");
    let second = async {
        server.until_received(1).await;
        ask(&gateway, "/second", "ann").await
    };
    let third = async {
        server.until_received(1).await;
        sleep(Duration::from_millis(200)).await;
        let third = ask(&gateway, "/third", "bob").await;
        server.answers.add_permits(2);
        third
    };
    let (first, second, third) = tokio::join!(first, second, third);
    assert_eq!((first.text(), second.text()), ("done", "done"));
    failed(&third, 503, "connection_limit_reached");
    assert_eq!(server.received(), ["/first", "/second"]);
}

#[tokio::test]
async fn a_request_waits_for_its_place_as_long_as_for_its_answer() {
    let server = Slow::new();
    let upstream = server.start().await;
    let lines = "concurrency = 1\nresponse_timeout = \"300ms\"";
    let gateway = Gateway::with(&settings(&upstream, lines)).await;
    let (first, second) = tokio::join!(ask(&gateway, "/a", "ann"), async {
        server.until_received(1).await;
        // Its place is free before its own time ends, since that of the other ends first.
        ask(&gateway, "/b", "ann").await
    });
    failed(&first, 504, "http_response_timeout");
    failed(&second, 504, "http_response_timeout");
    assert_eq!(server.received(), ["/a", "/b"]);
}

#[tokio::test]
async fn principals_take_turns() {
    let server = Slow::new();
    let upstream = server.start().await;
    let gateway = Gateway::with(&settings(&upstream, "concurrency = 1")).await;
    let gateway = Arc::new(gateway);
    let mut asked = JoinSet::new();
    let paths = ["/ann/1", "/ann/2", "/ann/3", "/ann/4", "/bob/1", "/cid/1"];
    for path in paths {
        let gateway = gateway.clone();
        asked.spawn(async move { ask(&gateway, path, path.split('/').nth(1).unwrap()).await });
        sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(server.received(), ["/ann/1"]);
    server.answers.add_permits(paths.len());
    while let Some(answer) = asked.join_next().await {
        assert_eq!(answer.unwrap().status, StatusCode::OK);
    }
    let expected = ["/ann/1", "/ann/2", "/bob/1", "/cid/1", "/ann/3", "/ann/4"];
    assert_eq!(server.received(), expected);
}

#[tokio::test]
async fn a_place_is_held_until_the_body_of_the_response_ends() {
    let (sender, receiver) = mpsc::channel::<&'static str>(1);
    let receiver = Arc::new(Mutex::new(Some(receiver)));
    let upstream = Upstream::of_requests(move |_| {
        let pieces = receiver.lock().unwrap().take();
        async move {
            let pieces = futures_util::stream::unfold(pieces, |pieces| async {
                let mut pieces = pieces?;
                let piece = pieces.recv().await?;
                let frame = http_body::Frame::data(bytes::Bytes::from(piece));
                Some((Ok::<_, std::convert::Infallible>(frame), Some(pieces)))
            });
            Response::new(StreamBody::new(Box::pin(pieces)))
        }
    });
    let upstream = upstream.await;
    let gateway = Gateway::with(&settings(&upstream, "concurrency = 1")).await;
    let client = client::<http_body_util::Full<bytes::Bytes>>(false);
    let request = |path: &str| {
        let request = Request::get(gateway.url(path)).header("x-user", "ann");
        request.body("".into()).unwrap()
    };
    let first = soon(client.request(request("/first"))).await.unwrap();
    let mut second = Box::pin(client.request(request("/second")));
    let waited = timeout(Duration::from_millis(300), &mut second).await;
    assert!(waited.is_err(), "the first has its place");
    sender.send("whole").await.unwrap();
    drop(sender);
    assert_eq!(Answer::read(first).await.text(), "whole");
    assert_eq!(soon(second).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_does_not_reach_the_server() {
    let server = Slow::new();
    let upstream = server.start().await;
    let gateway = Gateway::with(&settings(&upstream, "concurrency = 1")).await;
    let (first, ()) = tokio::join!(ask(&gateway, "/first", "ann"), async {
        server.until_received(1).await;
        let left = ask(&gateway, "/left", "ann");
        assert!(timeout(Duration::from_millis(200), left).await.is_err());
        server.answers.add_permits(2);
    });
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(ask(&gateway, "/next", "ann").await.status, StatusCode::OK);
    assert_eq!(server.received(), ["/first", "/next"]);
}

#[tokio::test]
async fn a_request_becomes_a_job_while_it_waits() {
    let server = Slow::new();
    let upstream = server.start().await;
    let url = upstream.url();
    let arguments = ["--concurrency", "1", "--inline-wait", "300ms"];
    let gateway = Gateway::before(&url, &arguments).await;
    let began = Instant::now();
    for path in ["/first", "/second"] {
        let request = Request::post(gateway.url(path)).body("".into()).unwrap();
        let answer = send(request).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(server.received(), ["/first"]);
    server.answers.add_permits(2);
    server.until_received(2).await;
}

#[tokio::test]
async fn a_reload_keeps_the_places_that_are_taken() {
    let server = Slow::new();
    let upstream = server.start().await;
    let gateway = Gateway::with(&settings(&upstream, "concurrency = 1")).await;
    let (first, second) = tokio::join!(ask(&gateway, "/first", "ann"), async {
        server.until_received(1).await;
        let file = gateway.settings.as_ref().unwrap();
        let changed = settings(&upstream, "concurrency = 1\nresponse_timeout = \"59s\"");
        std::fs::write(file, changed).unwrap();
        gateway.signal(Signal::HUP);
        sleep(Duration::from_millis(500)).await;
        let second = ask(&gateway, "/second", "ann");
        let mut second = Box::pin(second);
        let waited = timeout(Duration::from_millis(300), &mut second).await;
        assert!(waited.is_err(), "the first has its place");
        assert_eq!(server.received(), ["/first"]);
        server.answers.add_permits(2);
        second.await
    });
    assert_eq!((first.text(), second.text()), ("done", "done"));
}

#[tokio::test]
async fn a_websocket_holds_its_place_until_it_ends() {
    let upstream = upgrades::websockets().await;
    let gateway = Gateway::before(&upstream.url(), &["--concurrency", "1"]).await;
    let open = async || {
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        stream.write_all(upgrades::ASKS.as_bytes()).await.unwrap();
        stream
    };
    let mut first = open().await;
    upgrades::head(&mut first).await;
    let mut second = open().await;
    let waited = timeout(Duration::from_millis(300), second.readable()).await;
    assert!(waited.is_err(), "the first has its place");
    drop(first);
    let switched = upgrades::head(&mut second).await;
    assert!(switched.starts_with("HTTP/1.1 101"), "{switched}");
}

#[tokio::test]
async fn requests_that_wait_get_the_places_that_a_reload_adds() {
    let server = Slow::new();
    let upstream = server.start().await;
    let gateway = Gateway::with(&settings(&upstream, "concurrency = 1")).await;
    let both = async { tokio::join!(ask(&gateway, "/a", "ann"), ask(&gateway, "/b", "ann")) };
    let reload = async {
        server.until_received(1).await;
        let file = gateway.settings.as_ref().unwrap();
        std::fs::write(file, settings(&upstream, "concurrency = 2")).unwrap();
        gateway.signal(Signal::HUP);
        server.until_received(2).await;
        server.answers.add_permits(2);
    };
    let (answers, ()) = tokio::join!(both, reload);
    assert_eq!([answers.0.status, answers.1.status], [StatusCode::OK; 2]);
}
