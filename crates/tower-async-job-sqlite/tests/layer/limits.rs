//! Limits of the queue.

use axum::{Router, body::Body, routing::post};
use http::{Request, StatusCode};
use tower_async_job::{AsyncJobLayer, Role, store::Principal};
use tower_async_job_sqlite::SqliteStore;

use super::{directory, send};

#[tokio::test]
async fn s38_fronts_on_one_file_keep_to_their_queue_limit_together() {
    let (_directory, path) = directory();
    let mut applications = Vec::new();
    for _ in 0..2 {
        let front = AsyncJobLayer::builder()
            .store(SqliteStore::open(&path).await.unwrap())
            .inline_wait(std::time::Duration::ZERO)
            .replay_when(|_| true)
            .principal(|request| {
                let user = request.headers.get("user")?.to_str().ok()?;
                Some(Principal::new(user))
            })
            .role(Role::Front)
            .queue_limit(5, 3)
            .build()
            .unwrap();
        let unused = || async { "run by the front" };
        applications.push(Router::new().route("/report", post(unused)).layer(front));
    }
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..20 {
        let application = applications[number % 2].clone();
        let request = Request::post("/report").header("user", if number < 10 { "a" } else { "b" });
        let request = request.body(Body::empty()).unwrap();
        clients.spawn(async move { send(&application, request).await });
    }
    let (accepted, refused): (Vec<_>, Vec<_>) = clients
        .join_all()
        .await
        .into_iter()
        .partition(|answer| answer.status == StatusCode::SEE_OTHER);
    assert_eq!((accepted.len(), refused.len()), (5, 15), "{refused:?}");
    for answer in refused {
        let of_limits = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        assert!(of_limits.contains(&answer.status), "{answer:?}");
        assert_eq!(answer.header("retry-after"), "5");
    }
}
