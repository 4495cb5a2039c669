//! An application with the store.

mod downloads;

use std::{path::Path, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::post,
};
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_async_job::{AsyncJobLayer, Role};
use tower_async_job_sqlite::SqliteStore;

/// The length of the result, which is stored in chunks.
const LENGTH: usize = 1_000_000;

async fn jobs(path: &Path, role: Role) -> AsyncJobLayer {
    let store = SqliteStore::open(path).await.unwrap();
    AsyncJobLayer::builder()
        .store(store)
        .inline_wait(Duration::ZERO)
        .replay_when(|request| request.uri.path() == "/replayable")
        .role(role)
        .build()
        .unwrap()
}

async fn application(path: &Path) -> Router {
    let jobs = jobs(path, Role::Both).await;
    let handler = || async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        "x".repeat(LENGTH)
    };
    Router::new()
        .route("/report", post(handler))
        .layer(jobs.clone())
        .nest_service("/work", jobs.resource())
}

/// Polls a job until it ends.
async fn ended(application: &Router, path: &str) -> Response<Body> {
    loop {
        let answer = get(application, path).await;
        if answer.status() != StatusCode::SEE_OTHER {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn text(answer: Response<Body>) -> Bytes {
    answer.into_body().collect().await.unwrap().to_bytes()
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
    let answer = ended(&first, location).await;
    assert_eq!(answer.status(), StatusCode::OK);
    drop((answer, first));

    let second = application(&path).await;
    let answer = get(&second, location).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(text(answer).await, "x".repeat(LENGTH));
}

#[tokio::test]
async fn a_job_that_a_front_offers_is_run_by_the_worker_of_another_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let front = jobs(&path, Role::Front).await;
    let unused = || async { "run by the front" };
    let application = Router::new()
        .route("/replayable", post(unused))
        .layer(front.clone())
        .nest_service("/work", front.resource());
    let request = Request::post("/replayable").body(Body::from("figures"));
    let accepted = application.clone().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(accepted.status(), StatusCode::SEE_OTHER);
    assert_eq!(accepted.headers()["job-status"], "queued");
    let location = accepted.headers()[header::LOCATION].to_str().unwrap();
    assert_eq!(
        get(&application, location).await.headers()["job-status"],
        "queued"
    );

    let worker = jobs(&path, Role::Worker).await;
    let report = |body: String| async move { format!("report on {body}") };
    let routes: Router = Router::new().route("/replayable", post(report));
    tokio::spawn(worker.worker(routes).run());
    let answer = tokio::time::timeout(Duration::from_secs(20), ended(&application, location));
    let answer = answer.await.expect("the worker runs it");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(text(answer).await, "report on figures");
}
