//! The address of operators.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use rustix::process::Signal;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::sleep,
};

use crate::support::{Gateway, Upstream, full, get, send, soon, talk};

const ADMIN: [&str; 4] = ["--admin", "127.0.0.1:0", "--inline-wait", "100ms"];

async fn slow() -> Upstream {
    Upstream::of_requests(|request| async move {
        if request.uri().path() != "/quick" {
            sleep(Duration::from_secs(10)).await;
        }
        Response::new(full("done"))
    })
    .await
}

#[tokio::test]
async fn probes_never_ask_the_server() {
    let gateway = Gateway::before("http://127.0.0.1:9", &ADMIN).await;
    let alive = get(gateway.operators("/livez")).await;
    assert_eq!((alive.status, alive.text()), (StatusCode::OK, "alive\n"));
    assert_eq!(
        get(gateway.operators("/readyz")).await.status,
        StatusCode::OK
    );
    assert_eq!(
        get(gateway.operators("/other")).await.status,
        StatusCode::NOT_FOUND
    );
    let post = Request::post(gateway.operators("/livez"))
        .body("".into())
        .unwrap();
    let refused = send(post).await;
    assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refused.header("allow"), "GET, HEAD");
}

#[tokio::test]
async fn a_gateway_that_ends_is_alive_but_not_ready() {
    let arguments = [&ADMIN[..], &["--drain-delay", "1s"]].concat();
    let mut gateway = Gateway::before("http://127.0.0.1:9", &arguments).await;
    gateway.signal(Signal::TERM);
    sleep(Duration::from_millis(200)).await;
    let ready = get(gateway.operators("/readyz")).await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        get(gateway.operators("/livez")).await.status,
        StatusCode::OK
    );
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn operators_see_jobs_by_their_handles_and_cancel_them() {
    let upstream = slow().await;
    let gateway = Gateway::before(&upstream.url(), &ADMIN).await;
    let post = Request::post(gateway.url("/slow")).body("".into()).unwrap();
    let pending = send(post).await;
    let id = pending.header("location")["/work/".len()..]
        .split('?')
        .next()
        .unwrap();
    let list = get(gateway.operators("/jobs?state=running")).await;
    assert!(!list.text().contains(id), "{}", list.text());
    let jobs: Value = serde_json::from_slice(&list.body).unwrap();
    let handle = jobs["jobs"][0]["handle"].as_str().unwrap().to_owned();
    assert_eq!(jobs["jobs"][0]["route"], "default");
    let job = gateway.operators(&format!("/jobs/{handle}"));
    let cancelled = send(Request::delete(job).body("".into()).unwrap()).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    let gone = get(gateway.url(pending.header("location"))).await;
    assert_eq!(gone.status, StatusCode::GONE);
}

#[tokio::test]
async fn metrics_have_few_labels_whatever_clients_send() {
    let upstream = slow().await;
    let gateway = Gateway::before(&upstream.url(), &ADMIN).await;
    for method in ["GET", "BREW", "PROPFIND", "GET"] {
        let request = Request::builder()
            .method(method)
            .uri(gateway.url("/quick?a=1"))
            .header("prefer", "wait=10");
        send(request.body("".into()).unwrap()).await;
    }
    send(Request::post(gateway.url("/slow")).body("".into()).unwrap()).await;
    get(gateway.url("/work/0123456789abcdef0123456789abcdef")).await;
    get(gateway.url("/a/../b")).await;
    let metrics = get(gateway.operators("/metrics")).await;
    assert!(
        metrics
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    for line in [
        "gateway_requests_total{route=\"default\",method=\"GET\",status=\"2xx\"} 2",
        "gateway_requests_total{route=\"default\",method=\"other\",status=\"2xx\"} 2",
        "gateway_requests_total{route=\"default\",method=\"POST\",status=\"3xx\"} 1",
        "gateway_requests_total{route=\"/work\",method=\"GET\",status=\"4xx\"} 1",
        "gateway_requests_total{route=\"none\",method=\"GET\",status=\"4xx\"} 1",
        "async_job_accepted_total 1",
        "config_reload_success 1",
    ] {
        assert!(
            metrics.text().contains(line),
            "{line} in {}",
            metrics.text()
        );
    }
    assert!(!metrics.text().contains("quick"));
}

#[tokio::test]
async fn requests_that_are_not_replayed_for_a_reason_of_their_own_are_counted() {
    let upstream = slow().await;
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("jobs.db").display());
    let arguments = [&ADMIN[..], &["--store", &store, "--replay", "all"]].concat();
    let gateway = Gateway::before(&upstream.url(), &arguments).await;
    for (name, value, body) in [
        ("x-other", "a", 1),
        ("authorization", "Bearer a", 1),
        ("cookie", "a=b", 1),
        ("x-other", "a", (2 << 20) + 1),
    ] {
        let request = Request::post(gateway.url("/quick")).header(name, value);
        let answer = send(request.body(vec![0; body].into()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    let metrics = get(gateway.operators("/metrics")).await;
    for (reason, count) in [("credentials", 2), ("body", 1)] {
        let name = "gateway_unreplayable_requests_total";
        let line = format!("{name}{{route=\"default\",reason=\"{reason}\"}} {count}\n");
        assert!(
            metrics.text().contains(&line),
            "{line} in {}",
            metrics.text()
        );
    }
}

#[tokio::test]
async fn a_page_of_another_origin_cannot_ask() {
    let gateway = Gateway::before("http://127.0.0.1:9", &ADMIN).await;
    let address = gateway.operators("");
    let address = address.strip_prefix("http://").unwrap();
    for path in ["/jobs", "/metrics", "/livez"] {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
        let answer = talk(address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_cannot_cancel() {
    let upstream = slow().await;
    let gateway = Gateway::before(&upstream.url(), &ADMIN).await;
    let post = Request::post(gateway.url("/slow")).body("".into()).unwrap();
    let pending = send(post).await;
    let list = get(gateway.operators("/jobs")).await;
    let jobs: Value = serde_json::from_slice(&list.body).unwrap();
    let handle = jobs["jobs"][0]["handle"].as_str().unwrap();
    let address = gateway.operators("");
    let request = format!(
        "DELETE /jobs/{handle} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n"
    );
    let answer = talk(address.strip_prefix("http://").unwrap(), request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    let runs = get(gateway.url(pending.header("location"))).await;
    assert_eq!(runs.header("job-status"), "running");
}

#[tokio::test]
async fn operators_change_nothing_but_jobs() {
    let gateway = Gateway::before("http://127.0.0.1:9", &ADMIN).await;
    for path in [
        "/",
        "/livez",
        "/readyz",
        "/metrics",
        "/jobs",
        "/config",
        "/config/routes",
    ] {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let request = Request::builder()
                .method(method)
                .uri(gateway.operators(path));
            let refused = send(request.body("{}".into()).unwrap()).await;
            let status = refused.status.as_u16();
            assert!([404, 405].contains(&status), "{method} {path}: {status}");
        }
    }
}

#[tokio::test]
async fn the_address_may_be_a_socket_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let admin = format!("unix:{}", path.display());
    let _gateway = Gateway::before("http://127.0.0.1:9", &["--admin", &admin]).await;
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let request = b"GET /readyz HTTP/1.1\r\nhost: any.name\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn clients_reach_no_path_of_operators() {
    let upstream = Upstream::of_requests(|request| async move {
        let path = request.uri().path().to_owned();
        Response::new(full(format!("the server has {path}")))
    });
    let upstream = upstream.await;
    let patient = ["--admin", "127.0.0.1:0", "--inline-wait", "10s"];
    let gateway = Gateway::before(&upstream.url(), &patient).await;
    for path in ["/livez", "/readyz", "/metrics", "/jobs"] {
        let answer = get(gateway.url(path)).await;
        assert_eq!(answer.text(), format!("the server has {path}"));
    }
}
