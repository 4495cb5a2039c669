//! Downloads of results that are stored in chunks.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    routing::post,
};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::Notify;
use tower::ServiceExt;
use tower_async_job::Role;

use super::{ended, jobs, text};

const LENGTH: usize = 1_000_000;

fn result() -> Bytes {
    (0..LENGTH).map(|at| (at % 251) as u8).collect()
}

#[tokio::test]
async fn download_that_breaks_off_is_continued_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.db");
    let gate = Arc::new(Notify::new());
    let application = async || {
        let jobs = jobs(&path, Role::Both).await;
        let gate = gate.clone();
        let report = || async move {
            gate.notified().await;
            result()
        };
        Router::new()
            .route("/report", post(report))
            .layer(jobs.clone())
            .nest_service("/work", jobs.resource())
    };
    let first = application().await;
    let submission = Request::post("/report").header("prefer", "respond-async");
    let submission = submission.body(Body::empty()).unwrap();
    let accepted = first.clone().oneshot(submission).await.unwrap();
    let location = accepted.headers()[header::LOCATION].to_str().unwrap();
    gate.notify_one();
    let mut answer = ended(&first, location).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let tag = answer.headers()[header::ETAG].clone();
    let mut read = Vec::new();
    while read.len() < LENGTH / 3 {
        let frame = answer.body_mut().frame().await.unwrap().unwrap();
        read.extend(frame.into_data().unwrap());
    }
    drop((answer, first));

    let second = application().await;
    let rest = Request::get(location)
        .header(header::RANGE, format!("bytes={}-", read.len()))
        .header(header::IF_RANGE, &tag);
    let answer = second.oneshot(rest.body(Body::empty()).unwrap()).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(answer.headers()[header::ETAG], tag);
    let range = format!("bytes {}-{}/{LENGTH}", read.len(), LENGTH - 1);
    assert_eq!(answer.headers()[header::CONTENT_RANGE], range);
    read.extend(text(answer).await);
    assert_eq!(read, result());
}
