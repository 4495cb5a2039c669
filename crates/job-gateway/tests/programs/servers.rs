//! Servers of other languages behind the gateway.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::Value;
use test_services::{Missing, WebServer, available};

use crate::support::{Answer, Body, Gateway, client, full, get, send, soon};

pub(crate) const PYTHON: &str = include_str!("app.py");
const NODE: &str = include_str!("app.mjs");

#[tokio::test(flavor = "multi_thread")]
async fn gunicorn() {
    site(WebServer::gunicorn(PYTHON)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uvicorn() {
    site(WebServer::uvicorn(PYTHON)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node() {
    site(WebServer::node(NODE)).await;
}

async fn site(server: Result<WebServer, Missing>) {
    let Some(server) = available(server) else {
        return;
    };
    // Quick requests become no jobs on a busy machine either.
    let quick = Gateway::before(&server.url(), &["--inline-wait", "30s"]).await;
    let slow = Gateway::before(&server.url(), &["--inline-wait", "200ms"]).await;
    tokio::join!(
        its_own_fields(&quick),
        a_long_upload(&quick),
        slow_work(&slow),
        events(&slow),
        its_redirects_and_failures(&quick),
    );
}

async fn its_own_fields(gateway: &Gateway) {
    let request = Request::get(gateway.url("/echo"))
        .header("x_forwarded_for", "1.2.3.4")
        .header("job-principal", "admin")
        .header("x-own", "1");
    let told = send(request.body("".into()).unwrap()).await;
    let told: Value = serde_json::from_slice(&told.body).expect("an echo");
    let field = |name: &str| told["fields"][name].as_str().unwrap_or_default();
    assert_eq!(field("host"), gateway.address(), "{told}");
    assert_eq!(field("x-forwarded-for"), "127.0.0.1");
    assert_eq!(field("x-own"), "1");
    assert_eq!(field("job-principal"), "");
    assert_eq!(field("job-attempt"), "1");
    assert_eq!(field("job-handle").len(), 16);
    assert_eq!(field("via"), "1.1 job-gateway");
}

async fn a_long_upload(gateway: &Gateway) {
    let pieces = (0..64).map(|_| Ok(Frame::data(Bytes::from(vec![0; 1 << 16]))));
    let body: Body = StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync();
    let request = Request::put(gateway.url("/echo")).body(body).unwrap();
    let told = Answer::read(soon(client(false).request(request)).await.unwrap()).await;
    let told: Value = serde_json::from_slice(&told.body).expect("an echo");
    assert_eq!(told["method"], "PUT");
    assert_eq!(told["body"], 1 << 22);
}

async fn slow_work(gateway: &Gateway) {
    let pending = send(Request::post(gateway.url("/slow")).body("".into()).unwrap()).await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER, "{pending:?}");
    let location = gateway.url(pending.header("location"));
    let mut done = get(location.clone()).await;
    while done.status == StatusCode::SEE_OTHER {
        done = get(location.clone()).await;
    }
    assert_eq!(done.status, StatusCode::OK, "{done:?}");
    assert_eq!(done.header("content-type"), "text/plain");
    assert_eq!(done.text(), "slowly done");
}

async fn events(gateway: &Gateway) {
    let begun = Instant::now();
    let request = Request::get(gateway.url("/events")).header("accept", "text/event-stream");
    let request = request.body(full("")).unwrap();
    let response = soon(client(false).request(request)).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let first = soon(body.frame()).await.unwrap().unwrap();
    let first = first.into_data().unwrap();
    assert_eq!(first, "data: 0\n\n");
    let since = begun.elapsed();
    let rest = soon(body.collect()).await.unwrap().to_bytes();
    assert_eq!(rest, "data: 1\n\ndata: 2\n\n");
    // The first has not waited for the others.
    assert!(begun.elapsed() - since > Duration::from_millis(300));
}

async fn its_redirects_and_failures(gateway: &Gateway) {
    let moved = get(gateway.url("/moved")).await;
    assert_eq!(moved.status, StatusCode::FOUND);
    assert_eq!(moved.header("location"), "/echo");
    let failed = get(gateway.url("/failed")).await;
    assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(failed.header("retry-after"), "7");
    assert_eq!(failed.text(), "not today");
    assert!(!failed.headers.contains_key("proxy-status"), "{failed:?}");
}
