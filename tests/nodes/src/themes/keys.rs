//! Idempotency keys, used on two nodes of one store.

use std::{collections::HashSet, sync::Arc};

use axum::body::Body;
use http::{Request, StatusCode};
use tokio::task::JoinSet;
use tower_async_job::{Builder, store::Principal};
use tower_async_job_testkit::NotRun;

use crate::{node::Node, nodes::Nodes, routes::endless, run::Ran};

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

async fn nodes(data: &impl Nodes) -> Result<[Arc<Node>; 2], NotRun> {
    Ok([
        Arc::new(Node::configured(data, endless(), of_users).await?),
        Arc::new(Node::configured(data, endless(), of_users).await?),
    ])
}

pub(crate) async fn s43_a_hundred_repeats_on_two_nodes_at_once_make_one_job(
    data: &impl Nodes,
) -> Ran {
    let nodes = nodes(data).await?;
    let mut repeats = JoinSet::new();
    for number in 0..100 {
        let node = nodes[number % 2].clone();
        repeats.spawn(async move { node.send(keyed("one", "figures")).await });
    }
    let answers = repeats.join_all().await;
    let urls: HashSet<_> = answers.iter().map(|answer| answer.location()).collect();
    assert_eq!(urls.len(), 1, "{urls:?}");
    Ok(())
}

pub(crate) async fn s44_a_key_with_another_body_is_refused_on_another_node(
    data: &impl Nodes,
) -> Ran {
    let [one, other] = nodes(data).await?;
    one.send(keyed("one", "figures")).await.location();
    let refused = other.send(keyed("one", "others")).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    Ok(())
}

pub(crate) async fn s45_a_key_of_another_principal_is_another_job(data: &impl Nodes) -> Ran {
    let [one, other] = nodes(data).await?;
    let first = one.send(keyed("one", "figures")).await;
    let second = other.send(keyed("other", "others")).await;
    assert_ne!(first.location(), second.location());
    Ok(())
}
