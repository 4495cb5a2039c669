//! Results that another process or node delivers.

use std::time::Duration;

use axum::{Router, body::Body, routing::post};
use http::{Request, StatusCode};
use tower_async_job::Role;

use crate::{node::Node, nodes::Nodes, routes::routes, run::Ran};

/// The length of the result, which is stored in chunks.
const LENGTH: usize = 1_000_000;

fn long() -> Router {
    routes(async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        "x".repeat(LENGTH)
    })
}

pub(crate) async fn a_result_is_delivered_by_the_process_that_comes_after(
    data: &impl Nodes,
) -> Ran {
    let first = Node::new(data, long()).await?;
    let url = first.submit("/once").await;
    assert_eq!(first.ended(&url).await.status, StatusCode::OK);
    drop(first);

    let second = Node::new(data, long()).await?;
    let answer = second.get(&url).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, "x".repeat(LENGTH));
    Ok(())
}

pub(crate) async fn a_job_that_a_front_offers_is_run_by_the_worker_of_another_store(
    data: &impl Nodes,
) -> Ran {
    let unused = routes(async || "run by the front");
    let front = Node::configured(data, unused, |layer| layer.role(Role::Front)).await?;
    let request = Request::post("/again").body(Body::from("figures")).unwrap();
    let accepted = front.send(request).await;
    assert_eq!(accepted.status, StatusCode::SEE_OTHER);
    assert_eq!(accepted.state(), "queued");
    let url = accepted.location();
    assert_eq!(front.get(url).await.state(), "queued");

    let report = async |body: String| format!("report on {body}");
    let routes = Router::new().route("/again", post(report));
    let worker = Node::configured(data, routes, |layer| layer.role(Role::Worker)).await?;
    worker.work();
    let answer = front.ended(url).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, "report on figures");
    Ok(())
}
