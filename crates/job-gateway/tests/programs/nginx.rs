//! nginx before the gateway.

use http::{Request, StatusCode};
use serde_json::Value;
use test_services::{WebServer, available, python};

use crate::{
    process::run,
    servers::PYTHON,
    support::{Gateway, get, send},
    websockets::TALK,
};

/// The directives of a location before the gateway, as its documentation has them.
fn location(prefix: &str, address: &str) -> String {
    format!(
        "location {prefix} {{
            proxy_pass {address};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $http_connection;
            proxy_request_buffering off;
            proxy_buffering off;
        }}"
    )
}

/// Sends slow work through nginx, and gets the result behind the location that it was told.
async fn slow_work(nginx: &WebServer, prefix: &str, location: &str) {
    let url = format!("{}{prefix}/slow", nginx.url());
    let pending = send(Request::post(url).body("".into()).unwrap()).await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER, "{pending:?}");
    let told = pending.header("location");
    assert!(told.starts_with(location), "{told}");
    let url = format!("{}{told}", nginx.url());
    let mut done = get(url.clone()).await;
    while done.status == StatusCode::SEE_OTHER {
        assert_eq!(done.header("location"), told);
        done = get(url.clone()).await;
    }
    assert_eq!(done.status, StatusCode::OK, "{done:?}");
    assert_eq!(done.text(), "slowly done");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_found_through_nginx() {
    let Some(server) = available(WebServer::uvicorn(PYTHON)) else {
        return;
    };
    let settings = format!(
        "trusted_proxies = [\"127.0.0.1\"]\n\
         [upstreams.app]\nurl = \"{}\"\n[defaults]\ninline_wait = \"100ms\"\n",
        server.url()
    );
    let gateway = Gateway::with(&settings).await;
    let directives = location("/", &gateway.url(""));
    let Some(nginx) = available(WebServer::nginx(&directives)) else {
        return;
    };
    slow_work(&nginx, "", "/work/").await;
    let told = get(format!("{}/echo", nginx.url())).await;
    let told: Value = serde_json::from_slice(&told.body).expect("an echo");
    let fields = &told["fields"];
    assert_eq!(fields["host"], nginx.address().to_string());
    assert_eq!(fields["x-forwarded-for"], "127.0.0.1, 127.0.0.1");
    assert_eq!(fields["x-forwarded-proto"], "https");
    let Some(mut client) = available(python("websockets")) else {
        return;
    };
    client.args(["-c", TALK]);
    let said = run(client, &[&format!("{}/socket", nginx.url())]).await;
    assert_eq!(said, "closed by the server with 4001\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_found_behind_a_prefix_that_nginx_strips() {
    let Some(server) = available(WebServer::gunicorn(PYTHON)) else {
        return;
    };
    let arguments = ["--inline-wait", "100ms", "--public-base", "/api/work"];
    let gateway = Gateway::before(&server.url(), &arguments).await;
    let directives = location("/api/", &gateway.url("/"));
    let Some(nginx) = available(WebServer::nginx(&directives)) else {
        return;
    };
    slow_work(&nginx, "/api", "/api/work/").await;
}
