//! Idempotency keys, used on two nodes of one file.

use std::{collections::HashSet, sync::Arc};

use axum::body::Body;
use http::{Request, StatusCode};
use tokio::task::JoinSet;
use tower_async_job::{Builder, store::Principal};

use crate::{Node, directory, endless};

/// Finds the principal of a request in a header.
fn of_users(layer: Builder) -> Builder {
    layer.principal(|request| {
        let name = request.headers.get("x-user")?.to_str().ok()?;
        Some(Principal::new(name))
    })
}

fn keyed(user: &str, body: &'static str) -> Request<Body> {
    Request::post("/once")
        .header("idempotency-key", "\"k\"")
        .header("x-user", user)
        .body(Body::from(body))
        .unwrap()
}

async fn nodes(path: &std::path::Path) -> [Arc<Node>; 2] {
    [
        Arc::new(Node::configured(path, endless(), of_users).await),
        Arc::new(Node::configured(path, endless(), of_users).await),
    ]
}

#[tokio::test]
async fn s43_a_hundred_repeats_on_two_nodes_at_once_make_one_job() {
    let (_directory, path) = directory();
    let nodes = nodes(&path).await;
    let mut repeats = JoinSet::new();
    for number in 0..100 {
        let node = nodes[number % 2].clone();
        repeats.spawn(async move { node.send(keyed("one", "figures")).await });
    }
    let answers = repeats.join_all().await;
    let urls: HashSet<_> = answers.iter().map(|answer| answer.location()).collect();
    assert_eq!(urls.len(), 1, "{urls:?}");
}

#[tokio::test]
async fn s44_a_key_with_another_body_is_refused_on_another_node() {
    let (_directory, path) = directory();
    let [one, other] = nodes(&path).await;
    one.send(keyed("one", "figures")).await.location();
    let refused = other.send(keyed("one", "others")).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn s45_a_key_of_another_principal_is_another_job() {
    let (_directory, path) = directory();
    let [one, other] = nodes(&path).await;
    let first = one.send(keyed("one", "figures")).await;
    let second = other.send(keyed("other", "others")).await;
    assert_ne!(first.location(), second.location());
}
