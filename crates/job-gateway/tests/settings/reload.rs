//! SIGHUP: no held poll, job, websocket or stream notices that the settings are read again.

use std::{
    env, fs,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode, header::UPGRADE};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioIo,
};
use rustix::process::{Resource, Signal, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::sleep,
};

use crate::support::{Body, Gateway, Upstream, client, command, full, get, send, soon};

/// The number of polls, of jobs, of websockets and of streams in the test; 1,000 by hand.
fn each() -> usize {
    let number = env::var("JOB_GATEWAY_RELOAD_EACH");
    number.map_or(40, |number| number.parse().unwrap())
}

const RELOADS: usize = 100;

/// Returns the time between two messages of a stream or websocket.
fn period() -> Duration {
    Duration::from_micros(500) * u32::try_from(each()).unwrap()
}

/// The state of the server: the work ends once this is true.
type Released = watch::Receiver<bool>;

/// Starts a server of slow work, streams, and websockets that send back what they receive.
async fn server(released: Released, runs: Arc<AtomicUsize>) -> Upstream {
    Upstream::of_requests(move |request| answer(request, released.clone(), runs.clone())).await
}

async fn answer(
    mut request: Request<Incoming>,
    mut released: Released,
    runs: Arc<AtomicUsize>,
) -> Response<Body> {
    runs.fetch_add(1, Ordering::Relaxed);
    match request.uri().path() {
        "/stream" => Response::new(numbers(released).boxed_unsync()),
        "/upload" => {
            let body = request.into_body().collect().await.unwrap();
            Response::new(full(body.to_bytes()))
        }
        "/websocket" => {
            tokio::spawn(async move {
                let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
                let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
            let switching = Response::builder()
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header("connection", "upgrade")
                .header(UPGRADE, "websocket");
            switching.body(full("")).unwrap()
        }
        _ => {
            released.wait_for(|released| *released).await.unwrap();
            Response::new(full("done"))
        }
    }
}

/// Returns a body of the numbers from 0, one a line, until the work ends.
fn numbers(
    released: Released,
) -> impl http_body::Body<Data = Bytes, Error = std::convert::Infallible> {
    StreamBody::new(stream::unfold(0, move |number| {
        let released = released.clone();
        async move {
            sleep(period()).await;
            let next = (!*released.borrow() || number == 0).then_some(number + 1)?;
            let line = Bytes::from(format!("{number}\n"));
            Some((Ok(Frame::data(line)), next))
        }
    }))
}

/// Writes settings in which one path is that of a server.
fn write(folder: &TempDir, app: &Upstream, which: &Upstream) {
    let text = format!(
        r#"
listen = ["127.0.0.1:0"]

[upstreams.app]
url = "{}"

[upstreams.which]
url = "{}"

[defaults]
upstream = "app"
inline_wait = "0s"

[[routes]]
match = "/which"
upstream = "which"
defer = false
"#,
        app.url(),
        which.url(),
    );
    let path = folder.path().join("gateway.toml");
    let new = folder.path().join("new.toml");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

async fn named(name: &'static str) -> Upstream {
    Upstream::of_requests(move |_| async move { Response::new(full(name)) }).await
}

/// Submits a job, and returns its URL.
async fn submit(gateway: &str) -> String {
    let request = Request::post(format!("{gateway}/work-of-a-job"));
    let pending = send(request.body(Full::default()).unwrap()).await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER, "{pending:?}");
    format!("{gateway}{}", pending.header("location"))
}

/// Polls a job by held requests for its result. None is answered before the gateway's longest hold.
async fn poll(url: String) {
    let answer = loop {
        let began = Instant::now();
        let request = Request::get(&url).header("prefer", "wait=300");
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let answer = client(false).request(request).await.unwrap();
        if answer.status() != StatusCode::SEE_OTHER {
            break answer;
        }
        assert!(began.elapsed() > Duration::from_secs(20), "{url}");
    };
    assert_eq!(answer.status(), StatusCode::OK, "{url}");
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "done");
}

/// Reads a stream to its end: no number is missing.
async fn read(url: String) {
    let request = Request::get(url).header("accept", "text/event-stream");
    whole(
        client(false),
        request.body(Full::<Bytes>::default()).unwrap(),
    )
    .await;
}

/// Uploads numbers until the work ends, to a server that returns them.
async fn upload(url: String, http2: bool, released: Released) {
    let numbers = numbers(released).boxed_unsync();
    let request = Request::post(url).header("accept", "text/event-stream");
    whole(client(http2), request.body(numbers).unwrap()).await;
}

/// Demands that the answer to a request has numbers, of which none is missing.
async fn whole<B>(client: Client<HttpConnector, B>, request: Request<B>)
where
    B: http_body::Body<Data: Send, Error: Into<tower::BoxError>> + Send + Unpin + 'static,
{
    let answer = client.request(request).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&body).unwrap();
    let count = text.lines().count();
    assert!(count > 1, "{text}");
    assert!(
        text.lines().map(str::parse).eq((0..count).map(Ok)),
        "{text}"
    );
}

/// Sends bytes through a websocket, and reads each of them, until the work ends.
async fn talk(address: String, released: Released) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let asked =
        "GET /websocket HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    for number in (0..=u8::MAX).cycle() {
        stream.write_u8(number).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), number);
        if *released.borrow() {
            return;
        }
        sleep(period()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_under_way_notices_a_hundred_reloads() {
    // The gateway and its server have some descriptors for each.
    let mut descriptors = getrlimit(Resource::Nofile);
    descriptors.current = descriptors.maximum;
    setrlimit(Resource::Nofile, descriptors).unwrap();
    let (release, released) = watch::channel(false);
    let runs = Arc::new(AtomicUsize::new(0));
    let app = server(released.clone(), runs.clone()).await;
    let which = [named("first").await, named("second").await];
    let folder = TempDir::new().unwrap();
    write(&folder, &app, &which[0]);
    let file = folder.path().join("gateway.toml");
    let path = file.display().to_string();
    let mut starting = command(["--config", &path]);
    starting.stderr(Stdio::null());
    let gateway = Gateway::start(starting).await;

    let (mut jobs, mut under_way) = (Vec::new(), JoinSet::new());
    for _ in 0..each() {
        jobs.push(submit(&gateway.listening[0]).await);
        let held = submit(&gateway.listening[0]).await;
        under_way.spawn(poll(held));
        under_way.spawn(read(gateway.url("/stream")));
        under_way.spawn(talk(gateway.address().to_owned(), released.clone()));
    }
    for http2 in [false, true] {
        under_way.spawn(upload(gateway.url("/upload"), http2, released.clone()));
    }
    let all = 4 * each() + 2;
    let begun = async {
        while runs.load(Ordering::Relaxed) < all {
            sleep(Duration::from_millis(10)).await;
        }
    };
    soon(begun).await;
    sleep(2 * period()).await;
    for number in 1..=RELOADS {
        let is_broken = number % 10 == 0;
        match is_broken {
            true => fs::write(&file, "listen = [").unwrap(),
            false => write(&folder, &app, &which[number % 2]),
        }
        gateway.signal(Signal::HUP);
        if is_broken {
            sleep(Duration::from_millis(20)).await;
            continue;
        }
        let expected = ["first", "second"][number % 2];
        let replaced = async {
            while get(gateway.url("/which")).await.text() != expected {
                sleep(Duration::from_millis(5)).await;
            }
        };
        soon(replaced).await;
    }
    assert!(under_way.try_join_next().is_none(), "something has ended");
    release.send(true).unwrap();
    while let Some(ended) = soon(under_way.join_next()).await {
        ended.unwrap();
    }
    for job in jobs {
        assert_eq!(get(job).await.text(), "done");
    }
    assert_eq!(runs.load(Ordering::Relaxed), all);
}

async fn metrics(gateway: &Gateway) -> String {
    get(gateway.operators("/metrics")).await.text().to_owned()
}

#[tokio::test]
async fn settings_that_need_a_restart_or_have_errors_stay() {
    let which = [named("first").await, named("second").await];
    let folder = TempDir::new().unwrap();
    write(&folder, &which[0], &which[0]);
    let file = folder.path().join("gateway.toml");
    let path = file.display().to_string();
    let mut starting = command(["--config", &path, "--admin", "127.0.0.1:0"]);
    let log = fs::File::create(folder.path().join("log")).unwrap();
    starting.stderr(log);
    let gateway = Gateway::start(starting).await;
    let settings = fs::read_to_string(&file).unwrap();
    let other = settings.replace(&which[0].url(), &which[1].url());
    for (text, logged) in [
        (
            format!("base = \"/jobs\"\n{other}"),
            "`base` cannot change while the gateway runs",
        ),
        (
            other.replace("127.0.0.1:0", "127.0.0.1:9"),
            "`listen` cannot change",
        ),
        (format!("{other}deffer = true\n"), "did you mean `defer`?"),
        (
            format!("{other}principal.jwt = {{ keys = \"none\" }}\n"),
            "`issuer` is missing",
        ),
    ] {
        fs::write(&file, text).unwrap();
        gateway.signal(Signal::HUP);
        let refused = async {
            while !fs::read_to_string(folder.path().join("log"))
                .unwrap()
                .contains(logged)
            {
                sleep(Duration::from_millis(10)).await;
            }
        };
        soon(refused).await;
        assert_eq!(get(gateway.url("/which")).await.text(), "first");
        assert!(
            metrics(&gateway)
                .await
                .contains("\nconfig_reload_success 0\n")
        );
    }
    fs::write(&file, other).unwrap();
    gateway.signal(Signal::HUP);
    let replaced = async {
        while get(gateway.url("/which")).await.text() != "second" {
            sleep(Duration::from_millis(10)).await;
        }
    };
    soon(replaced).await;
    let counted = async {
        while !metrics(&gateway)
            .await
            .contains("\nconfig_reload_success 1\n")
        {
            sleep(Duration::from_millis(10)).await;
        }
    };
    soon(counted).await;
}

#[tokio::test]
async fn a_server_with_the_same_settings_keeps_its_connections() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let which = Upstream::of_connections(move |stream| {
        counted.fetch_add(1, Ordering::Relaxed);
        let service = hyper::service::service_fn(|_| async {
            Ok::<_, std::convert::Infallible>(Response::new(full("which")))
        });
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        async { drop(serving.await) }
    })
    .await;
    let apps = [named("first").await, named("second").await];
    let folder = TempDir::new().unwrap();
    write(&folder, &apps[0], &which);
    let path = folder.path().join("gateway.toml").display().to_string();
    let mut starting = command(["--config", &path]);
    starting.stderr(Stdio::null());
    let gateway = Gateway::start(starting).await;
    assert_eq!(get(gateway.url("/which")).await.text(), "which");
    write(&folder, &apps[1], &which);
    gateway.signal(Signal::HUP);
    let replaced = async {
        // A request for a stream is no job.
        let stream = || Request::get(gateway.url("/")).header("accept", "text/event-stream");
        while send(stream().body(Full::default()).unwrap()).await.text() != "second" {
            sleep(Duration::from_millis(5)).await;
        }
    };
    soon(replaced).await;
    assert_eq!(get(gateway.url("/which")).await.text(), "which");
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}
