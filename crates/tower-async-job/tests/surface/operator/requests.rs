//! Methods, malformed handles and mounting of the operator resource.

use std::sync::Arc;

use super::{handle, jobs, list, operate, submit};
use crate::support::{
    Answer, SECOND, eager,
    faulty::{Fault, FaultyStore, Op},
    get, id_of,
    lists::assert_problem,
    memory, path_of, request, slow,
};
use axum::{Router, extract::Request as AxumRequest, middleware::Next, response::IntoResponse};
use http::{Method, StatusCode};
use http_polling::JobState;
use tower::ServiceExt;
use tower_async_job::AsyncJobLayer;

#[tokio::test(start_paused = true)]
async fn unknown_and_malformed_handles_are_answered_alike() {
    let layer = eager(AsyncJobLayer::builder());
    let location = submit(&layer, slow(60 * SECOND, "late"), "/report").await;
    let id = id_of(&location).encode();
    let resource = layer.operator_resource();
    for path in [
        "/0000000000000000",
        "/x",
        "/00000000000000FF",
        "//",
        "/0000000000000000/status",
        "/../secret",
        "/%00",
        &format!("/{id}"),
        path_of(&location),
    ] {
        for method in [Method::GET, Method::DELETE] {
            let answer = operate(&resource, request(method, path)).await;
            assert_problem(&answer, StatusCode::NOT_FOUND);
        }
        let head = operate(&resource, request(Method::HEAD, path)).await;
        assert_eq!(head.status, StatusCode::NOT_FOUND);
        assert!(head.body.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn head_options_and_other_methods() {
    let layer = eager(AsyncJobLayer::builder());
    submit(&layer, slow(60 * SECOND, "late"), "/report").await;
    let handle = handle(&layer).await;
    let resource = layer.operator_resource();
    for (path, allowed) in [
        ("/".to_owned(), "GET, HEAD, OPTIONS"),
        (format!("/{handle}"), "GET, HEAD, DELETE, OPTIONS"),
    ] {
        let full = operate(&resource, get(&path)).await;
        let head = operate(&resource, request(Method::HEAD, &path)).await;
        assert_eq!(head.status, StatusCode::OK);
        assert!(head.body.is_empty());
        assert_eq!(head.header("content-length"), full.body.len().to_string());
        let options = operate(&resource, request(Method::OPTIONS, &path)).await;
        assert_eq!(options.status, StatusCode::NO_CONTENT);
        assert_eq!(options.header("allow"), allowed);
        let mut others = vec![Method::POST, Method::PUT, Method::PATCH];
        if path == "/" {
            others.push(Method::DELETE);
        }
        for method in others {
            let answer = operate(&resource, request(method, &path)).await;
            assert_problem(&answer, StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(answer.header("allow"), allowed);
        }
    }
    assert_eq!(jobs(&list(&layer, "/").await).len(), 1, "nothing was done");
}

#[tokio::test(start_paused = true)]
async fn s17_store_out_of_reach_is_told_with_when_to_come_again() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let layer = eager(AsyncJobLayer::builder().store(store.clone()));
    submit(&layer, slow(60 * SECOND, "late"), "/report").await;
    let handle = format!("/{}", handle(&layer).await);
    let resource = layer.operator_resource();
    for (op, method, path) in [
        (Op::List, Method::GET, "/"),
        (Op::List, Method::HEAD, "/"),
        (Op::Find, Method::GET, &*handle),
        (Op::Read, Method::GET, &*handle),
        (Op::Find, Method::DELETE, &*handle),
        (Op::Cancel, Method::DELETE, &*handle),
    ] {
        store.plan(op, Fault::Unavailable, 1);
        let answer = operate(&resource, request(method.clone(), path)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{op:?}");
        assert_eq!(answer.header("retry-after"), "5");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.body.is_empty(), method == Method::HEAD);
    }
    assert_eq!(store.jobs_in(JobState::Running).await, 1);
}

#[tokio::test(start_paused = true)]
async fn stands_in_plain_tower_under_its_own_path() {
    let layer = eager(AsyncJobLayer::builder());
    submit(&layer, slow(60 * SECOND, "late"), "/report").await;
    let handle = handle(&layer).await;
    let resource = layer.operator_resource().base("/admin/jobs/");
    for path in ["/admin/jobs", "/admin/jobs/", "/admin/jobs?limit=1"] {
        assert_eq!(
            jobs(&operate(&resource, get(path)).await).len(),
            1,
            "{path}"
        );
    }
    let job = operate(&resource, get(&format!("/admin/jobs/{handle}"))).await;
    assert_eq!(job.json()["handle"], *handle);
    for path in ["/admin/jobsx", "/admin", "/other"] {
        assert_problem(&operate(&resource, get(path)).await, StatusCode::NOT_FOUND);
    }
}

#[tokio::test(start_paused = true)]
async fn nests_in_axum_behind_a_guard_and_is_mounted_nowhere_by_default() {
    async fn guard(request: AxumRequest, next: Next) -> axum::response::Response {
        if request.headers().contains_key("x-operator") {
            next.run(request).await
        } else {
            StatusCode::FORBIDDEN.into_response()
        }
    }
    let layer = eager(AsyncJobLayer::builder());
    submit(&layer, slow(60 * SECOND, "late"), "/report").await;
    let operators = Router::new()
        .nest_service("/admin/jobs", layer.operator_resource())
        .layer(axum::middleware::from_fn(guard));
    let app: Router = Router::new()
        .route("/report", axum::routing::post(|| async { "done" }))
        .layer(layer.clone())
        .merge(operators);
    let asked = async |path: &str, operator: bool| {
        let mut request = get(path).map(axum::body::Body::new);
        if operator {
            request
                .headers_mut()
                .insert("x-operator", http::HeaderValue::from_static("yes"));
        }
        Answer::of(app.clone().oneshot(request).await.expect("infallible")).await
    };
    for path in ["/admin/jobs", "/admin/jobs/", "/admin/jobs?state=running"] {
        assert_eq!(asked(path, false).await.status, StatusCode::FORBIDDEN);
        assert_eq!(jobs(&asked(path, true).await).len(), 1, "{path}");
    }
    let handle = handle(&layer).await;
    let job = asked(&format!("/admin/jobs/{handle}"), true).await;
    assert_eq!(job.json()["handle"], *handle);
    for path in ["/work", "/work/", "/work/admin", "/jobs", "/operators"] {
        let answer = asked(path, true).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}
