//! Idempotency keys, used on two nodes of one store.

use std::{collections::HashSet, sync::Arc};

use axum::body::Body;
use http::{Request, StatusCode};
use tokio::task::JoinSet;
use tower_async_job_testkit::NotRun;

use crate::{
    node::Node,
    nodes::Nodes,
    roles::served::{Served, of_users},
    routes::endless,
    run::Ran,
};

fn keyed(user: &str, body: &'static str) -> Request<Body> {
    Request::post("/once")
        .header("idempotency-key", "\"k\"")
        .header("user", user)
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

pub(crate) async fn s43_one_key_in_two_processes_at_once_makes_one_job(data: &impl Nodes) -> Ran {
    const REPEATS: usize = 30;
    let mut process = Served::start(data, "");
    let node = Arc::new(Node::configured(data, endless(), of_users).await?);
    for key in 0..5 {
        let mut repeats = JoinSet::new();
        for _ in 0..REPEATS {
            process.ask(&format!("POST /once idempotency-key:{key} user:one"));
            let repeat = Request::post("/once")
                .header("idempotency-key", key)
                .header("user", "one");
            let (node, repeat) = (node.clone(), repeat.body(Body::empty()).unwrap());
            repeats.spawn(async move { node.send(repeat).await });
        }
        let answers = repeats.join_all().await;
        let mut urls: HashSet<_> = answers
            .iter()
            .map(|answer| answer.location().to_owned())
            .collect();
        for _ in 0..REPEATS {
            let [status, _, url] = process.answer();
            assert_eq!(status, "303");
            urls.insert(url);
        }
        assert_eq!(urls.len(), 1, "{urls:?}");
    }
    Ok(())
}

pub(crate) async fn s44_of_different_bodies_with_one_key_at_once_one_is_accepted(
    data: &impl Nodes,
) -> Ran {
    const BODIES: [&str; 4] = ["figures", "others", "", "{}"];
    let nodes = nodes(data).await?;
    for key in 0..10 {
        let mut repeats = JoinSet::new();
        for number in 0..40 {
            let node = nodes[number % 2].clone();
            let body = BODIES[number / 2 % 4];
            let request = Request::post("/again")
                .header("idempotency-key", key)
                .header("user", "one")
                .body(Body::from(body))
                .unwrap();
            repeats.spawn(async move { (body, node.send(request).await) });
        }
        let answers = repeats.join_all().await;
        let (refused, accepted): (Vec<_>, Vec<_>) = answers
            .iter()
            .partition(|(_, answer)| answer.status == StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!((refused.len(), accepted.len()), (30, 10));
        let accepted: HashSet<_> = accepted
            .iter()
            .map(|(body, answer)| (body, answer.location()))
            .collect();
        assert_eq!(accepted.len(), 1, "{accepted:?}");
    }
    Ok(())
}
