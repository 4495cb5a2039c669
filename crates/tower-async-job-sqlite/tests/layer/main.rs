//! An application with the store.

use std::{path::Path, time::Duration};

use axum::{Router, body::Body, routing::post};
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_async_job::AsyncJobLayer;
use tower_async_job_sqlite::SqliteStore;

/// The length of the result, which is stored in chunks.
const LENGTH: usize = 1_000_000;

async fn application(path: &Path) -> Router {
    let store = SqliteStore::open(path).await.unwrap();
    let jobs = AsyncJobLayer::builder()
        .store(store)
        .inline_wait(Duration::ZERO)
        .build()
        .unwrap();
    let handler = || async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        "x".repeat(LENGTH)
    };
    Router::new()
        .route("/report", post(handler))
        .layer(jobs.clone())
        .nest_service("/work", jobs.resource())
}

async fn get(application: &Router, path: &str) -> Response<Body> {
    let request = Request::get(path).body(Body::empty()).unwrap();
    application.clone().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn a_result_is_delivered_by_the_process_that_comes_after() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let first = application(&path).await;
    let request = Request::post("/report").body(Body::empty()).unwrap();
    let accepted = first.clone().oneshot(request).await.unwrap();
    assert_eq!(accepted.status(), StatusCode::SEE_OTHER);
    let location = accepted.headers()[header::LOCATION].to_str().unwrap();
    let mut answer = get(&first, location).await;
    while answer.status() == StatusCode::SEE_OTHER {
        tokio::time::sleep(Duration::from_millis(20)).await;
        answer = get(&first, location).await;
    }
    assert_eq!(answer.status(), StatusCode::OK);
    drop((answer, first));

    let second = application(&path).await;
    let answer = get(&second, location).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "x".repeat(LENGTH));
}
