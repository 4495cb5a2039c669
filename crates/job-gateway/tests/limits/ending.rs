//! The end of the process: SIGTERM, and a second one.

use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode};
use rustix::process::Signal;
use tokio::{net::TcpStream, time::sleep};

use crate::support::{Answer, Gateway, Upstream, client, full, get, send, soon};

const SECOND: Duration = Duration::from_secs(1);

/// Returns a server that takes as long as the path says, in milliseconds.
async fn slow() -> Upstream {
    Upstream::of_requests(|request| async move {
        let time = request.uri().path().trim_start_matches('/').parse();
        sleep(Duration::from_millis(time.unwrap())).await;
        Response::new(full("done"))
    })
    .await
}

async fn post(gateway: &Gateway, path: &str) -> Answer {
    send(Request::post(gateway.url(path)).body("".into()).unwrap()).await
}

#[tokio::test]
async fn an_idle_gateway_ends_at_once() {
    let upstream = slow().await;
    let mut gateway = Gateway::before(&upstream.url(), &[]).await;
    let idle = client(false);
    let request = Request::get(gateway.url("/0")).body(full("")).unwrap();
    Answer::read(soon(idle.request(request)).await.unwrap()).await;
    let begun = Instant::now();
    gateway.signal(Signal::TERM);
    assert!(gateway.ended().await.success());
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn jobs_that_run_are_polled_to_their_end() {
    let upstream = slow().await;
    let mut gateway = Gateway::before(&upstream.url(), &["--inline-wait", "100ms"]).await;
    let pending = post(&gateway, "/1500").await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER);
    gateway.signal(Signal::TERM);
    sleep(SECOND / 5).await;
    let refused = post(&gateway, "/0").await;
    assert_eq!(
        refused.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{refused:?}"
    );
    // A poll over a new connection is held until the job has ended.
    let poll = Request::get(gateway.url(pending.header("location"))).header("prefer", "wait=10");
    let done = send(poll.body("".into()).unwrap()).await;
    assert_eq!((done.status, done.text()), (StatusCode::OK, "done"));
    let delivered = Instant::now();
    assert!(gateway.ended().await.success());
    assert!(delivered.elapsed() < SECOND, "{:?}", delivered.elapsed());
}

#[tokio::test]
async fn load_balancers_have_time_to_notice() {
    let upstream = slow().await;
    let delay = ["--drain-delay", "1s", "--inline-wait", "5s"];
    let mut gateway = Gateway::before(&upstream.url(), &delay).await;
    let begun = Instant::now();
    gateway.signal(Signal::TERM);
    sleep(SECOND / 5).await;
    assert_eq!(post(&gateway, "/0").await.status, StatusCode::OK);
    assert!(gateway.ended().await.success());
    assert!(begun.elapsed() >= SECOND, "{:?}", begun.elapsed());
    assert!(TcpStream::connect(gateway.address()).await.is_err());
}

#[tokio::test]
async fn a_request_that_is_answered_inline_is_finished() {
    let upstream = slow().await;
    let mut gateway = Gateway::before(&upstream.url(), &["--inline-wait", "5s"]).await;
    let sending = tokio::spawn(get(gateway.url("/800")));
    sleep(SECOND / 5).await;
    gateway.signal(Signal::TERM);
    assert_eq!(soon(sending).await.unwrap().text(), "done");
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn what_still_runs_after_the_grace_is_given_up() {
    let upstream = slow().await;
    let grace = ["--grace", "1s", "--inline-wait", "100ms"];
    let mut gateway = Gateway::before(&upstream.url(), &grace).await;
    assert_eq!(post(&gateway, "/15000").await.status, StatusCode::SEE_OTHER);
    let begun = Instant::now();
    gateway.signal(Signal::TERM);
    assert!(gateway.ended().await.success());
    let took = begun.elapsed();
    assert!(took > SECOND / 2 && took < 4 * SECOND, "{took:?}");
}

#[tokio::test]
async fn a_stream_does_not_outlast_the_grace() {
    let upstream = Upstream::of_connections(|mut stream| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let _ = stream.read(&mut [0; 1024]).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        stream.write_all(head).await.unwrap();
        sleep(20 * SECOND).await;
    });
    let upstream = upstream.await;
    let mut gateway = Gateway::before(&upstream.url(), &["--grace", "1s"]).await;
    let events = Request::get(gateway.url("/")).header("accept", "text/event-stream");
    let _stream = soon(client(false).request(events.body(full("")).unwrap()))
        .await
        .unwrap();
    let begun = Instant::now();
    gateway.signal(Signal::TERM);
    assert!(gateway.ended().await.success());
    assert!(begun.elapsed() < 4 * SECOND, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_websocket_has_the_grace() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let upstream = Upstream::of_connections(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let switches = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
            upgrade: websocket\r\n\r\n";
        stream.write_all(switches).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    });
    let upstream = upstream.await;
    for closes in [true, false] {
        let mut gateway = Gateway::before(&upstream.url(), &["--grace", "2s"]).await;
        let mut client = TcpStream::connect(gateway.address()).await.unwrap();
        let asks =
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        client.write_all(asks).await.unwrap();
        let mut switched = [0; 12];
        soon(client.read_exact(&mut switched)).await.unwrap();
        let begun = Instant::now();
        gateway.signal(Signal::TERM);
        sleep(SECOND / 2).await;
        client.write_all(b"still here").await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"still here") {
            assert_ne!(soon(client.read_buf(&mut read)).await.unwrap(), 0);
        }
        if closes {
            drop(client);
        }
        assert!(gateway.ended().await.success());
        let took = begun.elapsed();
        assert_eq!(took < 3 * SECOND / 2, closes, "{took:?}");
        assert!(took < 4 * SECOND, "{took:?}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let upstream = slow().await;
    let long = ["--drain-delay", "20s", "--inline-wait", "100ms"];
    let mut gateway = Gateway::before(&upstream.url(), &long).await;
    assert_eq!(post(&gateway, "/15000").await.status, StatusCode::SEE_OTHER);
    gateway.signal(Signal::TERM);
    sleep(SECOND / 5).await;
    let begun = Instant::now();
    gateway.signal(Signal::INT);
    assert!(gateway.ended().await.success());
    assert!(begun.elapsed() < 2 * SECOND, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_job_that_can_be_run_again_is_handed_to_the_next_process() {
    let upstream = slow().await;
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("jobs.db").display());
    let durable = [
        "--store",
        &*store,
        "--replay",
        "all",
        "--grace",
        "0s",
        "--inline-wait",
        "100ms",
    ];
    let mut first = Gateway::before(&upstream.url(), &durable).await;
    let pending = post(&first, "/1000").await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER, "{pending:?}");
    first.signal(Signal::TERM);
    assert!(first.ended().await.success());
    let second = Gateway::before(&upstream.url(), &durable).await;
    let poll = Request::get(second.url(pending.header("location"))).header("prefer", "wait=10");
    let done = send(poll.body("".into()).unwrap()).await;
    assert_eq!((done.status, done.text()), (StatusCode::OK, "done"));
}

#[tokio::test]
async fn a_client_that_waits_when_the_grace_ends_is_given_the_url_of_its_job() {
    let upstream = slow().await;
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("jobs.db").display());
    let waiting = ["--grace", "500ms", "--inline-wait", "10s"];
    let durable = [&["--store", &*store, "--replay", "all"][..], &waiting].concat();
    let mut gateway = Gateway::before(&upstream.url(), &durable).await;
    let request = Request::post(gateway.url("/15000")).header("idempotency-key", "\"a\"");
    let sending = tokio::spawn(send(request.body("".into()).unwrap()));
    sleep(SECOND / 2).await;
    gateway.signal(Signal::TERM);
    let pending = soon(sending).await.unwrap();
    assert_eq!(pending.status, StatusCode::SEE_OTHER, "{pending:?}");
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn a_poll_that_is_held_when_the_grace_ends_is_answered() {
    let upstream = slow().await;
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("jobs.db").display());
    let waiting = ["--grace", "500ms", "--inline-wait", "100ms"];
    let durable = [&["--store", &*store, "--replay", "all"][..], &waiting].concat();
    let mut gateway = Gateway::before(&upstream.url(), &durable).await;
    let pending = post(&gateway, "/15000").await;
    let job = pending.header("location").split('?').next().unwrap();
    let poll = Request::get(gateway.url(job)).header("prefer", "wait=10");
    let held = tokio::spawn(send(poll.body("".into()).unwrap()));
    sleep(SECOND / 2).await;
    gateway.signal(Signal::TERM);
    let answer = soon(held).await.unwrap();
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    assert!(answer.header("location").starts_with(job), "{answer:?}");
    assert!(gateway.ended().await.success());
}
