//! Servers that obey the protocol.

use std::{path::Path, process::Stdio, time::Duration};

use axum::{Router, routing::post};
use test_services::{Missing, WebServer, available};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    time::sleep,
};
use tower_async_job::PendingStatus::{Accepted, SeeOther};
use tower_async_job_sqlite::SqliteStore;

use crate::{
    outcome::{check, check_as, check_with},
    server::{Fault, builder, serve, start},
};

/// The requirements about inline answers and other origins, which this server does not show.
const USUAL: [&str; 2] = ["1.1", "6.6"];

/// The arguments of a check without principals.
const ALONE: [&str; 2] = ["-d", "year=2031"];

#[tokio::test(flavor = "multi_thread")]
async fn layer_with_303_passes() {
    let url = start(builder(SeeOther), Fault::NONE).await;
    check(&url).await.is_clean_without(&USUAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn layer_with_202_passes() {
    let url = start(builder(Accepted), Fault::NONE).await;
    check(&url).await.is_clean_without(&USUAL);
}

#[tokio::test(flavor = "multi_thread")]
async fn layer_with_a_durable_store_passes() {
    for pending in [SeeOther, Accepted] {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("jobs.db"))
            .await
            .unwrap();
        let url = start(builder(pending).store(store), Fault::NONE).await;
        check(&url).await.is_clean_without(&USUAL);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_layer_does_not_offer_does_not_apply() {
    let restricted = builder(SeeOther)
        .max_hold(Duration::ZERO)
        .page(false)
        .cancellation_grace(Duration::from_millis(300))
        .limits_per_principal(1, 0);
    let url = start(restricted, Fault::NONE).await;
    let outcome = check(&url).await;
    let missing = [
        "1.1", "2.11", "2.12", "6.1", "6.2", "6.3", "6.4", "6.5", "6.6",
    ];
    outcome.is_clean_without(&missing);
    assert!(
        missing
            .iter()
            .all(|number| outcome.verdicts[*number] == "n/a"),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn request_without_a_body_needs_no_key() {
    let url = start(builder(SeeOther), Fault::NONE).await;
    let outcome = check_with(&url, &["-X", "GET"]).await;
    outcome.is_clean_without(&["1.1", "1.10", "2.16", "6.6"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_another_header_there_is_no_stranger() {
    let url = start(builder(SeeOther), Fault::NONE).await;
    let outcome = check_as(&url, &ALONE).await;
    outcome.is_clean_without(&["1.1", "2.13", "6.6"]);
    assert_eq!(outcome.verdicts["2.13"], "n/a");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_pass_if_they_see_what_they_need() {
    let open = Fault {
        after: |seen, response| {
            let exposed = "Location, Content-Location, Retry-After, Retry-After-Ms, Job-Status, \
                           Preference-Applied";
            if !seen.header("origin").is_empty() {
                let headers = response.headers_mut();
                headers.insert("access-control-allow-origin", "*".parse().unwrap());
                headers.insert(
                    "access-control-allow-methods",
                    "GET, DELETE".parse().unwrap(),
                );
                headers.insert("access-control-expose-headers", exposed.parse().unwrap());
            }
        },
        ..Fault::NONE
    };
    let url = start(builder(Accepted), open).await;
    let outcome = check(&url).await;
    outcome.is_clean_without(&["1.1"]);
    assert_eq!(outcome.verdicts["6.6"], "pass");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_within_the_inline_wait_pass() {
    let quick = Fault {
        before: |seen, request| {
            if seen.header("prefer") == "wait=2" {
                request
                    .headers_mut()
                    .insert("x-quick", "1".parse().unwrap());
            }
        },
        ..Fault::NONE
    };
    let url = start(builder(SeeOther), quick).await;
    let outcome = check(&url).await;
    outcome.is_clean_without(&["6.6"]);
    assert_eq!(outcome.verdicts["1.1"], "pass");
}

/// The directives of a location before `server`, as the documentation has them.
fn location(prefix: &str, server: &str) -> String {
    format!(
        "location {prefix} {{
            proxy_pass {server};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $http_connection;
            proxy_read_timeout 60s;
            proxy_request_buffering off;
            proxy_buffering off;
        }}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn layer_behind_nginx_passes() {
    for pending in [SeeOther, Accepted] {
        let layer = serve(builder(pending), Fault::NONE).await;
        let directives = location("/", &format!("http://{layer}"));
        let Some(nginx) = available(WebServer::nginx(&directives)) else {
            return;
        };
        let url = format!("{}/report", nginx.url());
        check(&url).await.is_clean_without(&USUAL);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn layer_with_a_public_base_behind_a_prefix_that_nginx_strips_passes() {
    let layer = serve(builder(SeeOther).public_base("/api/work"), Fault::NONE).await;
    let directives = location("/api/", &format!("http://{layer}/"));
    let Some(nginx) = available(WebServer::nginx(&directives)) else {
        return;
    };
    let url = format!("{}/api/report", nginx.url());
    check(&url).await.is_clean_without(&USUAL);
}

/// Starts a server that knows nothing of jobs, and is slower than all requests for a pending one.
async fn slow_server() -> String {
    let report = async || {
        sleep(Duration::from_secs(4)).await;
        "the report of the year"
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/report", post(report));
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

/// Starts the gateway before a server, and returns its URL.
async fn gateway(upstream: &str) -> Result<(Child, String), Missing> {
    let program = Path::new(env!("CARGO_BIN_EXE_poll")).with_file_name("job-gateway");
    if !program.is_file() {
        let reason = "it is not built; `cargo build -p job-gateway` does that";
        return Err(Missing::new("job-gateway", reason));
    }
    let mut gateway = Command::new(program)
        .args([
            "--upstream",
            upstream,
            "--listen",
            "127.0.0.1:0",
            "--inline-wait",
            "100ms",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(gateway.stdout.take().unwrap()).lines();
    let mut url = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        match line.strip_prefix("listening on ") {
            Some(address) => url = address.to_owned(),
            None if line == "ready" => break,
            None => {}
        }
    }
    Ok((gateway, url))
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_passes_alone_and_behind_nginx() {
    let upstream = slow_server().await;
    let Some((_gateway, url)) = available(gateway(&upstream).await) else {
        return;
    };
    let direct = format!("{url}/report");
    let Some(nginx) = available(WebServer::nginx(&location("/", &url))) else {
        return;
    };
    let proxied = format!("{}/report", nginx.url());
    let (direct, proxied) = tokio::join!(check_as(&direct, &ALONE), check_as(&proxied, &ALONE));
    for outcome in [direct, proxied] {
        outcome.is_clean_without(&["1.1", "2.13", "6.6"]);
    }
}
