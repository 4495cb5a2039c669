//! Results that another process or node delivers.

use std::time::Duration;

use axum::{Router, body::Body, routing::post};
use http::{Method, Request, StatusCode};
use tower_async_job::Role;

use crate::{
    jobs::open,
    node::{Node, id_of, request},
    nodes::Nodes,
    roles::served::{LONG, Served},
    routes::{endless, routes},
    run::Ran,
};

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

pub(crate) async fn a_result_is_streamed_and_removed_by_another_process_than_its_own(
    data: &impl Nodes,
) -> Ran {
    let mut process = Served::start(data, "long-results");
    let node = Node::new(data, endless()).await?;
    let url = process.submit("POST /once");
    let answer = node.ended(&url).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, "x".repeat(LONG));
    let part = Request::get(&url).header("range", "bytes=999990-");
    let part = node.send(part.body(Body::empty()).unwrap()).await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.body, "x".repeat(10));
    process.ask(&format!("GET {url}"));
    assert_eq!(process.answer()[..2], ["200", "done"]);
    let removed = node.send(request(Method::DELETE, &url)).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    process.ask(&format!("GET {url}"));
    // Its key counts for longer.
    assert_eq!(process.answer()[0], "410");
    Ok(())
}

pub(crate) async fn s50_a_result_that_another_handle_extends_is_kept_by_all_processes(
    data: &impl Nodes,
) -> Ran {
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
    let mut process = Served::start(data, "long-results");
    let node = Node::new(data, endless()).await?;
    let [kept, expired] = [(); 2].map(|()| process.submit("POST /once"));
    for url in [&kept, &expired] {
        assert_eq!(node.ended(url).await.body.len(), LONG);
    }
    let store = open(data).await?;
    assert!(store.extend(&id_of(&kept), 2 * WEEK).await.unwrap());
    data.later(WEEK).await?;
    for (url, status) in [(kept, "200"), (expired, "404")] {
        assert_eq!(node.get(&url).await.status.as_str(), status);
        process.ask(&format!("GET {url}"));
        assert_eq!(process.answer()[0], status);
    }
    Ok(())
}
