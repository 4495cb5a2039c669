//! The log: a line of JSON for each request.

use std::{process::Stdio, time::Duration};

use http::Request;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use crate::support::{Body, Gateway, Upstream, command, full, get, send, soon, talk};

/// Returns the log of a gateway after its end. No line has an id, or a part of one.
async fn log(gateway: &mut Gateway) -> Vec<Value> {
    gateway.signal(rustix::process::Signal::TERM);
    let mut log = String::new();
    soon(gateway.log().read_to_string(&mut log)).await.unwrap();
    assert!(!log.contains("JobId("), "{log}");
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Returns the lines of the log with this message, after the end of a gateway.
async fn lines(gateway: &mut Gateway, message: &str) -> Vec<Value> {
    let mut lines = log(gateway).await;
    lines.retain(|line| line["message"] == message);
    lines
}

#[tokio::test]
async fn the_end_of_a_job_is_a_line_with_its_handle() {
    let upstream = Upstream::of_requests(|request| async move {
        let handle = request.headers()["job-handle"].clone();
        let never = request.uri().path() == "/never";
        tokio::time::sleep(std::time::Duration::from_millis(if never {
            9000
        } else {
            400
        }))
        .await;
        http::Response::new(full(handle.as_bytes().to_vec()))
    });
    let upstream = upstream.await;
    let url = upstream.url();
    let wait = [
        "--upstream",
        &*url,
        "--listen",
        "127.0.0.1:0",
        "--inline-wait",
        "100ms",
    ];
    let mut command = command(wait);
    command.stderr(Stdio::piped());
    let mut gateway = Gateway::start(command).await;
    let never = submit(&gateway, "/never").await;
    send(
        Request::delete(gateway.url(&never))
            .body("".into())
            .unwrap(),
    )
    .await;
    let job = submit(&gateway, "/job").await;
    let poll = Request::get(gateway.url(&job)).header("prefer", "wait=10");
    let done = send(poll.body("".into()).unwrap()).await;
    let lines = lines(&mut gateway, "job").await;
    let by = |state: &str| lines.iter().find(|line| line["state"] == state).unwrap();
    let line = by("done");
    assert_eq!(
        (&line["handle"], &line["route"]),
        (&done.text().into(), &"default".into())
    );
    assert_eq!(line["attempt"], 1);
    assert!(by("cancelled")["handle"].as_str().unwrap().len() == 16);
    assert_eq!(lines.len(), 2, "{lines:?}");
}

/// Submits a job, and returns its path.
async fn submit(gateway: &Gateway, path: &str) -> String {
    let request = Request::post(gateway.url(path)).body("".into()).unwrap();
    let pending = send(request).await;
    let job = pending.header("location").split('?').next().unwrap();
    job.to_owned()
}

#[tokio::test]
async fn the_end_of_a_job_that_runs_nowhere_is_a_line_too() {
    // It waits for its next attempt, since the server refuses connections.
    let folder = TempDir::new().unwrap();
    let store = format!("sqlite:{}", folder.path().join("jobs.db").display());
    let arguments = [
        "--upstream",
        "http://127.0.0.1:9",
        "--listen",
        "127.0.0.1:0",
    ];
    let of_jobs = ["--store", &store, "--replay", "all", "--inline-wait", "0s"];
    let mut command = command([&arguments[..], &of_jobs].concat());
    command.stderr(Stdio::piped());
    let mut gateway = Gateway::start(command).await;
    let job = submit(&gateway, "/cancelled").await;
    sleep(Duration::from_millis(1_500)).await;
    let cancel = Request::delete(gateway.url(&job));
    send(cancel.body("".into()).unwrap()).await;
    let lines = lines(&mut gateway, "job").await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(
        (&lines[0]["route"], &lines[0]["state"]),
        (&"default".into(), &"cancelled".into())
    );
    assert_eq!(lines[0]["handle"].as_str().unwrap().len(), 16);
}

#[tokio::test]
async fn a_job_that_is_lost_with_its_gateway_is_a_line_of_another() {
    let upstream = Upstream::of_requests(|_| std::future::pending::<http::Response<Body>>()).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("gateway.toml");
    let settings = format!(
        "listen = [\"127.0.0.1:0\"]\nstore = \"sqlite:jobs.db\"\nlease = \"3s\"\n\
         [upstreams.app]\nurl = \"{}\"\n[defaults]\ninline_wait = \"0s\"\n",
        upstream.url()
    );
    std::fs::write(&file, settings).unwrap();
    let starting = || {
        let mut command = command(["--config", file.to_str().unwrap()]);
        command.stderr(Stdio::piped());
        command
    };
    let mut first = Gateway::start(starting()).await;
    let job = submit(&first, "/work-of-a-job").await;
    first.signal(rustix::process::Signal::KILL);
    first.ended().await;
    let mut second = Gateway::start(starting()).await;
    let poll = Request::get(second.url(&job)).header("prefer", "wait=10");
    let lost = send(poll.body("".into()).unwrap()).await;
    assert_eq!(lost.header("job-status"), "lost");
    sleep(Duration::from_millis(200)).await;
    let lines = lines(&mut second, "job").await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(
        (&lines[0]["state"], &lines[0]["attempt"]),
        (&"lost".into(), &1.into())
    );
    assert_eq!(lines[0]["handle"].as_str().unwrap().len(), 16);
}

#[tokio::test]
async fn a_request_is_a_line_without_secrets() {
    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    let (upstream, seen) = Upstream::of_bytes(ok).await;
    let url = upstream.url();
    let mut command = command(["--upstream", &url, "--listen", "127.0.0.1:0"]);
    command.stderr(Stdio::piped());
    let mut gateway = Gateway::start(command).await;
    let id = "0123456789abcdef0123456789abcdef";
    for (target, host) in [
        ("/a%20b?token=secret", "a"),
        (&*format!("/work/{id}?token=secret"), "a"),
        ("/../x", "a"),
        // Each is refused before anything is done with it.
        (&*format!("/work/{id}"), "a/b"),
        (&*format!("/work;x=1/{id}"), "a"),
        (&*format!("/x/../work/{id}"), "a"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        talk(gateway.address(), request.as_bytes()).await;
    }
    gateway.signal(rustix::process::Signal::TERM);
    let mut log = String::new();
    soon(gateway.log().read_to_string(&mut log)).await.unwrap();
    assert!(!log.contains("secret") && !log.contains(id), "{log}");
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<_> = lines.filter(|line| line["message"] == "request").collect();
    assert_eq!(lines.len(), 6, "{log}");
    let only = seen.only();
    let handle = only
        .iter()
        .find_map(|line| line.strip_prefix("job-handle: "));
    assert_eq!(lines[0]["handle"], handle.unwrap());
    assert_eq!(lines[0]["path"], "/a%20b");
    assert_eq!(lines[0]["route"], "default");
    assert_eq!(lines[0]["status"], 200);
    assert_eq!(lines[0]["client"], "127.0.0.1");
    assert_eq!(lines[1]["path"], "/work/…");
    assert_eq!(
        (&lines[1]["status"], &lines[2]["status"]),
        (&404.into(), &400.into())
    );
    for line in &lines[3..] {
        assert_eq!(line["path"], "/work/…");
        assert_eq!(line["status"], 400);
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_has_a_line_without_a_status() {
    let upstream = Upstream::of_requests(|_| std::future::pending::<http::Response<Body>>()).await;
    let url = upstream.url();
    let arguments = ["--upstream", &*url, "--listen", "127.0.0.1:0"];
    let mut command = command([&arguments[..], &["--admin", "127.0.0.1:0"]].concat());
    command.stderr(Stdio::piped());
    let mut gateway = Gateway::start(command).await;
    let mut client = TcpStream::connect(gateway.address()).await.unwrap();
    let request = b"GET /left HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n\r\n";
    client.write_all(request).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    drop(client);
    let counted = "gateway_requests_total{route=\"default\",method=\"GET\",status=\"none\"} 1";
    let noted = async {
        while !get(gateway.operators("/metrics"))
            .await
            .text()
            .contains(counted)
        {
            sleep(Duration::from_millis(20)).await;
        }
    };
    soon(noted).await;
    let lines = lines(&mut gateway, "request").await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(
        (&lines[0]["path"], &lines[0]["status"]),
        (&"/left".into(), &Value::Null)
    );
    assert_eq!(lines[0]["handle"].as_str().unwrap().len(), 16);
    assert!(lines[0]["seconds"].as_f64().unwrap() > 0.09);
}

#[tokio::test]
async fn routes_whose_jobs_may_be_lost_are_named_at_the_start_and_by_a_reload() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("gateway.toml");
    let write = |routes: [&str; 4]| {
        let mut settings = "listen = [\"127.0.0.1:0\"]\nstore = \"sqlite:jobs.db\"\n\
                            [upstreams.app]\nurl = \"http://127.0.0.1:9\"\n"
            .to_owned();
        for (number, terms) in routes.iter().enumerate() {
            settings +=
                &format!("[[routes]]\nname = \"route-{number}\"\nmatch = \"/{number}\"\n{terms}\n");
        }
        std::fs::write(&file, settings).unwrap();
    };
    let none = "replay = \"none\"";
    let keyed = "replay = \"keyed\"\ncredentials = \"drop\"";
    let all = "replay = \"all\"";
    let kept = "replay = \"all\"\ncredentials = \"keep\"";
    write([none, keyed, all, kept]);
    let mut command = command(["--config", file.to_str().unwrap()]);
    command.stderr(Stdio::piped());
    let mut gateway = Gateway::start(command).await;
    write([kept, kept, kept, none]);
    gateway.signal(rustix::process::Signal::HUP);
    sleep(Duration::from_millis(300)).await;
    let message =
        "requests of a route cannot be sent again: their jobs are lost if the gateway dies";
    let lines = lines(&mut gateway, message).await;
    let named: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["route"].as_str().unwrap(),
                line["requests"].as_str().unwrap(),
            )
        })
        .collect();
    let keyless = "those of methods other than GET, PUT and DELETE without an Idempotency-Key";
    let of_default = "those of methods other than GET, PUT and DELETE, and those with credentials";
    let expected = [
        ("route-0", "all"),
        ("route-1", keyless),
        ("route-2", "those with credentials"),
        ("default", of_default),
        ("route-3", "all"),
        ("default", of_default),
    ];
    assert_eq!(named, expected);
    assert!(lines.iter().all(|line| line["level"] == "WARN"));
}

#[tokio::test]
async fn a_warning_names_its_job_by_the_handle() {
    let upstream = Upstream::of_requests(|_| async {
        sleep(Duration::from_millis(200)).await;
        http::Response::new(full("x".repeat(2_000)))
    });
    let upstream = upstream.await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("gateway.toml");
    let settings = format!(
        "listen = [\"127.0.0.1:0\"]\n[upstreams.app]\nurl = \"{}\"\n\
         [defaults]\nresult_limit = \"1KiB\"\ninline_wait = \"0s\"\n",
        upstream.url()
    );
    std::fs::write(&file, settings).unwrap();
    let mut command = command(["--config", file.to_str().unwrap()]);
    command.stderr(Stdio::piped());
    let mut gateway = Gateway::start(command).await;
    let job = submit(&gateway, "/long").await;
    let poll = Request::get(gateway.url(&job)).header("prefer", "wait=10");
    let failed = send(poll.body("".into()).unwrap()).await;
    assert!(failed.text().contains("result_limit"), "{}", failed.text());
    let log = log(&mut gateway).await;
    let id = job.strip_prefix("/work/").unwrap();
    assert!(
        !log.iter().any(|line| line.to_string().contains(&id[..8])),
        "{log:?}"
    );
    let warning = log.iter().find(|line| line["level"] == "WARN").unwrap();
    let end = log.iter().find(|line| line["message"] == "job").unwrap();
    assert_eq!(end["state"], "failed");
    assert_eq!(warning["handle"], end["handle"]);
}
