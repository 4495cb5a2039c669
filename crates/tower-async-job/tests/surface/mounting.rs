//! The job resource in axum applications with other routes and fallbacks, and nested layers.

use std::{convert::Infallible, time::Duration};

use crate::support::{self, Answer, SECOND, eager, path_of};
use axum::{
    Router,
    body::Body,
    routing::{get, post},
};
use http::{Method, Request, StatusCode};
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt};
use tower_async_job::{AsyncJobLayer, Builder, JobContext};

async fn report() -> &'static str {
    sleep(60 * SECOND).await;
    "report"
}

async fn index() -> &'static str {
    "index.html"
}

fn builder() -> Builder {
    AsyncJobLayer::builder()
}

/// Returns a router with a slow route beneath the layer.
fn slow(jobs: &AsyncJobLayer) -> Router {
    Router::new()
        .route("/report", post(report))
        .layer(jobs.clone())
}

async fn ask<S>(app: &S, method: Method, uri: &str) -> Answer
where
    S: Service<Request<Body>, Response = axum::response::Response, Error = Infallible> + Clone,
{
    let request = Request::builder().method(method).uri(uri);
    send(app, request).await
}

async fn send<S>(app: &S, request: http::request::Builder) -> Answer
where
    S: Service<Request<Body>, Response = axum::response::Response, Error = Infallible> + Clone,
{
    let request = request.body(Body::empty()).expect("valid request");
    let response = app.clone().oneshot(request).await;
    Answer::of(response.unwrap_or_else(|never| match never {})).await
}

/// Submits, and requests every answer of the job resource.
async fn is_reachable(app: &Router, submission: &str) {
    let accepted = ask(app, Method::POST, submission).await.pending();
    let job = path_of(accepted.location()).to_owned();
    let pending = ask(app, Method::GET, &job).await.pending();
    assert_eq!(pending.header("job-status"), "running");
    let status = ask(app, Method::GET, &format!("{job}/status")).await;
    assert_eq!(status.json()["state"], "running");
    sleep(61 * SECOND).await;
    let done = ask(app, Method::GET, &job).await;
    assert_eq!(
        (done.header("job-status"), &*done.body),
        ("done", &b"report"[..])
    );
    assert_eq!(
        ask(app, Method::DELETE, &job).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        ask(app, Method::GET, &job).await.header("job-status"),
        "unknown"
    );
    assert_eq!(
        ask(app, Method::GET, "/work/x").await.header("job-status"),
        "unknown"
    );
}

// ---- routes added after the layer

#[tokio::test(start_paused = true)]
async fn s75_fallback_set_after_the_layer_does_not_hide_the_mounted_resource() {
    let jobs = eager(builder());
    let mounted = [
        slow(&jobs).nest_service("/work", jobs.resource()),
        slow(&jobs).route_service("/work/{*job}", jobs.resource()),
    ];
    for app in mounted {
        let app = app.fallback(index);
        assert_eq!(
            ask(&app, Method::GET, "/elsewhere").await.body,
            "index.html"
        );
        is_reachable(&app, "/report").await;
    }
}

#[tokio::test(start_paused = true)]
async fn s75_resource_can_be_mounted_before_or_after_whatever_else_is_set() {
    let jobs = eager(builder());
    let others = || {
        Router::new()
            .route("/{*page}", get(index))
            .nest("/assets", Router::new().fallback(index))
            .fallback(index)
    };
    let before = slow(&jobs).nest_service("/work", jobs.resource());
    let after = slow(&jobs).merge(others());
    for app in [
        before.merge(others()),
        after.nest_service("/work", jobs.resource()),
    ] {
        assert_eq!(ask(&app, Method::GET, "/assets/x").await.body, "index.html");
        assert_eq!(
            ask(&app, Method::GET, "/elsewhere").await.body,
            "index.html"
        );
        is_reachable(&app, "/report").await;
    }
}

#[tokio::test(start_paused = true)]
async fn s75_answer_that_is_not_the_job_s_has_no_job_status() {
    // Nothing is mounted; the missing header shows that this is not the job resource.
    let app = slow(&eager(builder())).fallback(index);
    let accepted = ask(&app, Method::POST, "/report").await.pending();
    let answer = ask(&app, Method::GET, accepted.location()).await;
    assert_eq!(
        (answer.header("job-status"), &*answer.body),
        ("", &b"index.html"[..])
    );
}

// ---- the path that the resource sees

#[tokio::test(start_paused = true)]
async fn s75_resource_within_a_nested_router_sees_a_part_of_the_path() {
    for mount in [
        |router: Router, jobs: &AsyncJobLayer| router.nest_service("/work", jobs.resource()),
        |router: Router, jobs: &AsyncJobLayer| {
            router.route_service("/work/{*job}", jobs.resource())
        },
    ] {
        let jobs = eager(builder().public_base("/api/work"));
        let api = mount(slow(&jobs), &jobs);
        let app = Router::new()
            .nest("/api", api)
            .nest_service("/work", jobs.resource())
            .fallback(index);
        is_reachable(&app, "/api/report").await;
    }
}

#[tokio::test(start_paused = true)]
async fn s75_resource_outside_a_nested_router_sees_the_whole_path() {
    for base in ["/api/work", "https://api.example/api/work"] {
        let jobs = eager(builder().public_base(base));
        let app = Router::new()
            .nest("/api", slow(&jobs))
            .route_service("/api/work/{*job}", jobs.resource())
            .route_service("/work/{*job}", jobs.resource())
            .fallback(index);
        let accepted = ask(&app, Method::POST, "/api/report").await.pending();
        assert!(accepted.location().starts_with(base));
        is_reachable(&app, "/api/report").await;
    }
}

// ---- a whole router beneath the layer

#[tokio::test(start_paused = true)]
async fn s75_layer_around_a_whole_router_comes_before_all_of_it() {
    let jobs = eager(builder());
    let whole = Router::new()
        .route("/report", post(report))
        .route("/{*page}", get(index))
        .fallback(index);
    // As a router again, whose only route is the whole router.
    let app = Router::new().fallback_service(whole).layer(jobs);
    assert_eq!(ask(&app, Method::GET, "/").await.body, "index.html");
    is_reachable(&app, "/report").await;
}

#[tokio::test]
async fn s75_axum_serves_a_layer_around_a_whole_router() {
    let report = async || {
        tokio::task::yield_now().await;
        "report"
    };
    let router = Router::new().route("/report", post(report));
    let jobs = eager(builder());
    let app = tower::ServiceBuilder::new()
        .map_response(axum::response::IntoResponse::into_response)
        .layer(jobs)
        .service(router);
    let app = axum::ServiceExt::<Request<Body>>::into_make_service(app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http::<Body>();
    let ask = async |method: Method, path: &str| {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"));
        let request = request.body(Body::empty()).expect("valid");
        Answer::of(client.request(request).await.expect("an answer")).await
    };
    let mut answer = ask(Method::POST, "/report").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    while answer.header("job-status") != "done" {
        answer = ask(Method::GET, answer.location()).await;
    }
    assert_eq!(answer.body, "report");
}

// ---- nested layers

/// Returns a router with the inner layer around its slow route, and the outer one around
/// everything.
fn nested(inner: &AsyncJobLayer, outer: &AsyncJobLayer) -> Router {
    Router::new().merge(slow(inner)).layer(outer.clone())
}

#[tokio::test(start_paused = true)]
async fn s75_layer_within_another_passes_through() {
    // The same base, with jobs in separate stores.
    let (inner, outer) = (eager(builder()), eager(builder()));
    let app = nested(&inner, &outer);
    is_reachable(&app, "/report").await;
}

#[tokio::test(start_paused = true)]
async fn s75_inner_layer_does_not_shorten_the_outer_one_s_wait() {
    let outer = builder().inline_wait(10 * SECOND).build().expect("valid");
    let app = nested(&eager(builder().base("/inner")), &outer);
    let begun = Instant::now();
    let accepted = ask(&app, Method::POST, "/report").await.pending();
    assert_eq!(begun.elapsed(), 10 * SECOND);
    assert!(accepted.location().starts_with("/work/"));
}

#[tokio::test(start_paused = true)]
async fn s75_layer_around_itself_takes_one_place_and_one_key() {
    for builder in [builder(), builder().context(false)] {
        let jobs = eager(builder.limits(1, 0));
        let app = nested(&jobs, &jobs);
        let keyed = || Request::post("/report").header("idempotency-key", "k");
        let accepted = send(&app, keyed()).await.pending();
        let repeated = send(&app, keyed()).await.pending();
        assert_eq!(path_of(accepted.location()), path_of(repeated.location()));
        sleep(61 * SECOND).await;
        assert_eq!(
            ask(&app, Method::GET, accepted.location()).await.body,
            "report"
        );
        let accepted = ask(&app, Method::POST, "/report").await.pending();
        sleep(61 * SECOND).await;
        assert_eq!(
            ask(&app, Method::GET, accepted.location()).await.body,
            "report"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn s75_inner_layer_works_on_what_the_outer_one_leaves_out() {
    let outer = eager(builder().defer_when(|request| request.uri.path() != "/report"));
    let inner = eager(builder().base("/inner"));
    let app = nested(&inner, &outer);
    let accepted = ask(&app, Method::POST, "/report").await.pending();
    assert!(accepted.location().starts_with("/inner/"));
}

#[tokio::test(start_paused = true)]
async fn s75_inner_layer_s_resource_is_reachable_through_the_outer_one() {
    let inner = eager(builder().base("/inner"));
    let accepted = ask(&slow(&inner), Method::POST, "/report").await.pending();
    let outer = builder()
        .inline_wait(Duration::from_secs(5))
        .build()
        .expect("valid");
    let app = Router::new()
        .nest_service("/inner", inner.resource())
        .layer(outer.clone());
    let poll = ask(&app, Method::GET, path_of(accepted.location())).await;
    assert_eq!(poll.header("job-status"), "running");
    let whole = outer.layer(inner.layer(Router::new()));
    let request = Request::get(path_of(accepted.location())).body(Body::empty());
    let poll = support::call(&whole, request.expect("valid")).await;
    assert_eq!(poll.headers()["job-status"], "running");
}

#[tokio::test(start_paused = true)]
async fn s75_handler_beneath_two_layers_reports_to_its_job() {
    let handler = async |request: axum::extract::Request| {
        JobContext::of(&request).message("thinking");
        sleep(60 * SECOND).await;
    };
    let inner = eager(builder());
    let app = Router::new()
        .route("/report", post(handler))
        .layer(inner)
        .layer(eager(builder()));
    let accepted = ask(&app, Method::POST, "/report").await.pending();
    support::settle().await;
    let pending = ask(&app, Method::GET, accepted.location()).await;
    assert_eq!(pending.json()["progress"]["message"], "thinking");
}
