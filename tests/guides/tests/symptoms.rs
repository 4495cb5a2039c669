//! The symptoms and limits that the guides name without an example.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::Request as Incoming,
    middleware::{Next, from_fn},
    routing::post,
};
use guides::{ask, connect, greeter_api::greeter_client::GreeterClient, location, patient};
use http::{Request, StatusCode};
use tonic::metadata::MetadataValue;
use tower::{Layer, ServiceBuilder};
use tower_async_job::{AsyncJobLayer, store::Principal};
use tower_http::{cors::CorsLayer, timeout::TimeoutLayer};
use tower_poll::{PollLayer, PollUpdate};

/// Returns a router with a route that never ends.
fn endless() -> Router {
    Router::new().route("/report", post(pending::<String>))
}

#[tokio::test(start_paused = true)]
async fn without_the_public_base_no_route_matches_the_job() {
    let jobs = AsyncJobLayer::new();
    let api = endless()
        .layer(jobs.clone())
        .nest_service("/work", jobs.resource());
    let app = Router::new().nest("/api", api);
    let accepted = ask(&app, Request::post("/api/report")).await;
    let poll = ask(&app, Request::get(location(&accepted))).await;
    assert_eq!(poll.status(), StatusCode::NOT_FOUND);
    assert!(!poll.headers().contains_key("job-status"));
}

#[tokio::test(start_paused = true)]
async fn timeout_outside_that_is_shorter_than_the_inline_wait_leaves_no_job() {
    let jobs = AsyncJobLayer::new();
    let timeout =
        TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_millis(500));
    let app = endless()
        .layer(jobs.clone())
        .nest_service("/work", jobs.resource())
        .layer(timeout);
    let answer = ask(&app, Request::post("/report")).await;
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    assert!(!answer.headers().contains_key("location"));
}

#[tokio::test(start_paused = true)]
async fn resource_outside_of_authentication_knows_no_job_of_the_caller() {
    #[derive(Clone)]
    struct User;
    async fn authenticate(mut request: Incoming, next: Next) -> axum::response::Response {
        request.extensions_mut().insert(User);
        next.run(request).await
    }
    let principal = |user: &User| {
        let User = user;
        Principal::new("ada")
    };
    let jobs = AsyncJobLayer::builder()
        .principal(move |request| request.extensions.get().map(principal))
        .build()
        .unwrap();
    let app = endless()
        .layer(jobs.clone())
        .layer(from_fn(authenticate))
        .nest_service("/work", jobs.resource());
    let accepted = ask(&app, Request::post("/report")).await;
    let poll = ask(&app, Request::get(location(&accepted))).await;
    assert_eq!(poll.status(), StatusCode::NOT_FOUND);
    assert_eq!(poll.headers()["job-status"], "unknown");
}

#[tokio::test(start_paused = true)]
async fn pending_answers_outside_of_cors_are_not_allowed() {
    let jobs = AsyncJobLayer::new();
    let app = endless()
        .layer(CorsLayer::permissive())
        .layer(jobs.clone())
        .nest_service("/work", jobs.resource());
    let accepted = ask(&app, Request::post("/report")).await;
    let poll = ask(&app, Request::get(location(&accepted))).await;
    for answer in [accepted, poll] {
        let allowed = "access-control-allow-origin";
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert!(!answer.headers().contains_key(allowed));
    }
}

#[tokio::test(start_paused = true)]
async fn grpc_message_beyond_the_spool_is_polled_since_it_is_read_at_once() {
    let polls = Arc::new(AtomicU32::new(0));
    let counted = polls.clone();
    let layer = PollLayer::new().observe(move |_: &PollUpdate| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let jobs = AsyncJobLayer::builder().request_spool(1 << 20);
    let channel = connect(jobs.build().unwrap()).await;
    let mut client = GreeterClient::new(layer.layer(channel));
    let request = patient(&"a".repeat(2 << 20));
    client.greet(request).await.unwrap();
    assert!(polls.load(Ordering::Relaxed) > 0);
}

#[tokio::test(start_paused = true)]
async fn polls_of_grpc_calls_carry_credentials_and_kept_metadata_and_no_other() {
    const NAMES: [&str; 3] = ["authorization", "x-tenant", "x-other"];
    let seen = Arc::new(Mutex::new(Vec::new()));
    let see = seen.clone();
    let tenant = http::HeaderName::from_static("x-tenant");
    let channel = ServiceBuilder::new()
        .layer(PollLayer::new().keep_header(tenant))
        .map_request(move |request: http::Request<_>| {
            let carried = NAMES.map(|name| request.headers().contains_key(name));
            see.lock().unwrap().push(carried);
            request
        })
        .service(connect(AsyncJobLayer::new()).await);
    let mut request = patient("Ada");
    for name in NAMES {
        let value = MetadataValue::from_static("7");
        request.metadata_mut().insert(name, value);
    }
    GreeterClient::new(channel).greet(request).await.unwrap();
    let seen = seen.lock().unwrap();
    let (submission, polls) = seen.split_first().unwrap();
    assert_eq!(*submission, [true; 3]);
    assert!(!polls.is_empty());
    assert!(polls.iter().all(|poll| *poll == [true, true, false]));
}
