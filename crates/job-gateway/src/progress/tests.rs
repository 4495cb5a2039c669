//! Reports over HTTP, without a network.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, interval, sleep},
};
use tower::{BoxError, Layer, ServiceExt, service_fn};
use tower_async_job::{
    AsyncJobLayer, JobBody, JobContext,
    store::{JobStore, MemoryStore},
};
use tower_async_job_testkit::{Call, FaultyStore};

use super::{Parties, Reach, Run, Runs};

fn runs() -> Runs {
    Runs::new("127.0.0.1:9000".parse().unwrap())
}

async fn answer<B>(runs: &Runs, request: Request<B>) -> Response<Full<Bytes>>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let parties = Parties::new(AsyncJobLayer::new(), |_| None);
    super::answer::answer(runs, &parties, request).await
}

fn begun(runs: &Runs) -> (Run, String) {
    let run = runs.begin(JobContext::inert(), None);
    let url = run.url(&Reach::Local);
    (run, url)
}

fn put(url: &str, report: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::put(url).header("content-type", "application/json");
    request.body(Full::new(report.into())).unwrap()
}

fn get(url: &str) -> Request<Full<Bytes>> {
    Request::get(url).body(Full::default()).unwrap()
}

async fn status(runs: &Runs, request: Request<Full<Bytes>>) -> StatusCode {
    answer(runs, request).await.status()
}

async fn problem(runs: &Runs, request: Request<Full<Bytes>>) -> (StatusCode, String) {
    let (head, body) = answer(runs, request).await.into_parts();
    assert_eq!(head.headers["content-type"], "application/problem+json");
    assert_eq!(head.headers["cache-control"], "no-store");
    let body = body.collect().await.unwrap().to_bytes();
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["status"], head.status.as_u16());
    (head.status, problem["detail"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_run_has_a_state_and_the_time_that_is_left() {
    let runs = runs();
    let deadline = SystemTime::now() + Duration::from_millis(3_540_500);
    let run = runs.begin(JobContext::inert(), Some(deadline));
    let url = run.url(&Reach::Local);
    assert!(url.starts_with("http://127.0.0.1:9000/runs/"), "{url}");
    assert_eq!(url.rsplit('/').next().unwrap().len(), 32);
    for request in [get(&url), put(&url, r#"{"fraction": 0.5}"#)] {
        let told = answer(&runs, request).await;
        assert_eq!(told.status(), StatusCode::NO_CONTENT);
        assert_eq!(told.headers()["job-status"], "running");
        assert_eq!(told.headers()["cancel-after"], "3540s");
    }
}

#[tokio::test]
async fn a_run_that_is_over_is_told_from_one_that_never_was() {
    let runs = runs();
    let (run, url) = begun(&runs);
    let (_other, other) = begun(&runs);
    assert_ne!(url, other);
    drop(run);
    let (gone, _) = problem(&runs, get(&url)).await;
    assert_eq!(gone, StatusCode::GONE);
    assert_eq!(status(&runs, put(&url, "{}")).await, StatusCode::GONE);
    assert_eq!(status(&runs, get(&other)).await, StatusCode::NO_CONTENT);

    let (start, secret) = other.split_at(other.len() - 1);
    let guess = if secret == "0" { "1" } else { "0" };
    let upper = |url: &str| url.replace("runs/", "runs/A");
    for unknown in [
        "http://a/runs/00000000000000000000000000000000",
        "http://a/runs/ffffffffffffffffffffffffffffffff",
        "http://a/runs/+0000000000000000000000000000000",
        "http://a/runs/",
        "http://a/",
        &format!("{start}{guess}"),
        &format!("{other}/"),
        &format!("{other}0"),
        &upper(&other[..other.len() - 1]),
    ] {
        let (status, _) = problem(&runs, get(unknown)).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{unknown}");
    }
}

#[tokio::test]
async fn ten_thousand_runs_leave_nothing() {
    let runs = runs();
    let mut urls = Vec::new();
    for _ in 0..10_000 {
        let (_run, url) = begun(&runs);
        let report = json!({"metadata": {"a": 1}, "partial": [1], "message": "x"});
        assert_eq!(status(&runs, put(&url, report.to_string())).await, 204);
        urls.push(url);
    }
    assert_eq!(runs.len(), 0);
    for url in [&urls[0], &urls[9_999]] {
        assert_eq!(status(&runs, get(url)).await, StatusCode::GONE);
    }
}

#[tokio::test]
async fn requests_are_refused_as_http_says() {
    let runs = runs();
    let (_run, url) = begun(&runs);
    let delete = Request::delete(&url).body(Full::default()).unwrap();
    let refused = answer(&runs, delete).await;
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refused.headers()["allow"], "GET, HEAD, PUT");
    let head = Request::head(&url).body(Full::default()).unwrap();
    assert_eq!(status(&runs, head).await, StatusCode::NO_CONTENT);

    let of_type = |name: &str, value: &str| {
        let request = Request::put(&url).header(name, value);
        request.body(Full::from("{}")).unwrap()
    };
    for (name, value) in [
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-type", "text/json"),
        ("content-type", ""),
        ("content-encoding", "gzip"),
    ] {
        let refused = answer(&runs, of_type(name, value)).await;
        assert_eq!(refused.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(refused.headers()["accept"], "application/json");
    }
    for value in ["application/json", "Application/JSON; charset=utf-8"] {
        assert_eq!(status(&runs, of_type("content-type", value)).await, 204);
    }
    let untyped = Request::put(&url).body(Full::from("{}")).unwrap();
    assert_eq!(status(&runs, untyped).await, StatusCode::NO_CONTENT);

    let of_size = |size: usize| {
        let around = r#"{"message": ""}"#.len();
        put(
            &url,
            json!({"message": "a".repeat(size - around + 1)}).to_string(),
        )
    };
    assert_eq!(
        status(&runs, of_size(64 << 10)).await,
        StatusCode::NO_CONTENT
    );
    let long = of_size((64 << 10) + 1);
    assert_eq!(status(&runs, long).await, StatusCode::PAYLOAD_TOO_LARGE);
    let (head, body) = of_size((64 << 10) + 1).into_parts();
    let chunks = futures_util::stream::iter([Ok::<_, Infallible>(http_body::Frame::data(
        body.collect().await.unwrap().to_bytes(),
    ))]);
    let streamed = Request::from_parts(head, http_body_util::StreamBody::new(chunks));
    let refused = answer(&runs, streamed).await;
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_stalls_is_given_up() {
    let runs = runs();
    let (_run, url) = begun(&runs);
    let stalled = futures_util::stream::pending::<Result<http_body::Frame<Bytes>, Infallible>>();
    let request = Request::put(&url).body(http_body_util::StreamBody::new(stalled));
    let begun = Instant::now();
    let refused = answer(&runs, request.unwrap()).await;
    assert_eq!(refused.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_wrong_member_is_named() {
    let runs = runs();
    let (_run, url) = begun(&runs);
    for (report, named) in [
        (r#"{"fraction": 1.5}"#, "fraction"),
        (r#"{"fraction": -0.1}"#, "fraction"),
        (r#"{"fraction": "0.5"}"#, "fraction"),
        (r#"{"fraction": null}"#, "fraction"),
        (r#"{"done": 1}"#, "done"),
        (r#"{"total": 1}"#, "total"),
        (r#"{"done": -1, "total": 2}"#, "done"),
        (r#"{"done": 1, "total": 2.5}"#, "total"),
        (r#"{"fraction": 0.5, "done": 1, "total": 2}"#, "fraction"),
        (r#"{"message": 1}"#, "message"),
        (r#"{"message": null}"#, "message"),
        (r#"{"metadata": []}"#, "metadata"),
        (r#"{"progress": 0.5}"#, "progress"),
        ("[]", "an object"),
        ("", "no JSON"),
        (r#"{"fraction": NaN}"#, "no JSON"),
        (r#"{"fraction": 0.5"#, "no JSON"),
    ] {
        let (status, detail) = problem(&runs, put(&url, report)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{report}");
        assert!(detail.contains(named), "{report}: {detail}");
    }
    let deep = "[".repeat(30_000);
    let (status, _) = problem(&runs, put(&url, format!(r#"{{"partial": {deep}"#))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn metadata_is_limited_in_all_reports_together() {
    let runs = runs();
    let (_run, url) = begun(&runs);
    let report = |key: &str| {
        let metadata = json!({key: "x".repeat(40_000)});
        put(&url, json!({"metadata": metadata}).to_string())
    };
    for _ in 0..10 {
        assert_eq!(status(&runs, report("a")).await, StatusCode::NO_CONTENT);
    }
    let (refused, detail) = problem(&runs, report("b")).await;
    assert_eq!(refused, StatusCode::BAD_REQUEST);
    assert!(detail.contains("metadata"), "{detail}");
    let small = json!({"metadata": {"a": 1}}).to_string();
    assert_eq!(status(&runs, put(&url, small)).await, 204);
    assert_eq!(status(&runs, report("b")).await, StatusCode::NO_CONTENT);
}

/// Starts a job over this store, whose handler runs for a time. Returns the URL of its run.
async fn job(runs: &Runs, store: Arc<dyn JobStore>, takes: Duration) -> String {
    let layer = AsyncJobLayer::builder()
        .store(store)
        .inline_wait(Duration::ZERO)
        .build()
        .unwrap();
    let (urls, mut url) = mpsc::unbounded_channel();
    let runs = runs.clone();
    let service = service_fn(move |request: Request<JobBody<Full<Bytes>>>| {
        let run = runs.begin(JobContext::of(&request), None);
        urls.send(run.url(&Reach::Local)).unwrap();
        async move {
            sleep(takes).await;
            drop(run);
            Ok::<_, Infallible>(Response::new(Full::from("done")))
        }
    });
    let request = Request::post("/").body(Full::default()).unwrap();
    let Ok(accepted) = layer.layer(service).oneshot(request).await;
    assert_eq!(accepted.headers()["job-status"], "running");
    url.recv().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_reports_a_second_are_ten_writes() {
    let runs = runs();
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    let url = job(&runs, store.store(), Duration::from_secs(60)).await;
    let mut ticks = interval(Duration::from_millis(1));
    let begun = Instant::now();
    for number in 1..=3000 {
        ticks.tick().await;
        let report = json!({"done": number, "total": 3000, "partial": number});
        assert_eq!(status(&runs, put(&url, report.to_string())).await, 204);
    }
    sleep(Duration::from_millis(200)).await;
    let seconds = begun.elapsed().as_secs_f64();
    let writes = store.calls(Call::Report);
    assert!((20..=33).contains(&writes), "{writes} in {seconds} s");
}
