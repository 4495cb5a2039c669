//! Limits of the queue.

use std::time::Duration;

use axum::{Router, body::Body, routing::post};
use http::{Request, StatusCode};
use tokio::task::JoinSet;
use tower_async_job::{AsyncJobLayer, Builder, Role, store::Principal};

use crate::{
    node::{Node, send},
    nodes::{Nodes, Settings},
    roles::served::{Served, limited},
    routes::endless,
    run::Ran,
};

const fn is_exact<N: Nodes>(_: &N) -> bool {
    N::EXACT_LIMITS
}

pub(crate) async fn s38_fronts_keep_to_their_queue_limit_together(data: &impl Nodes) -> Ran {
    let mut applications = Vec::new();
    for _ in 0..2 {
        let front = AsyncJobLayer::builder()
            .store(data.open(Settings::default()).await?)
            .inline_wait(Duration::ZERO)
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
    let mut clients = JoinSet::new();
    let mut answers = Vec::new();
    for number in 0..20 {
        let application = applications[number % 2].clone();
        let request = Request::post("/report").header("user", if number < 10 { "a" } else { "b" });
        let request = request.body(Body::empty()).unwrap();
        clients.spawn(async move { send(&application, request).await });
        if !is_exact(data) {
            // The limits hold for what is not in flight at the same time.
            answers.extend(clients.join_next().await);
        }
    }
    while let Some(answer) = clients.join_next().await {
        answers.push(answer);
    }
    let (accepted, refused): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .map(Result::unwrap)
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
    Ok(())
}

pub(crate) async fn s38_a_principal_beyond_its_quota_in_two_processes_leaves_others_alone(
    data: &impl Nodes,
) -> Ran {
    let front = |layer: Builder| limited(layer).role(Role::Front);
    let front = Node::configured(data, endless(), front).await?;
    let mut process = Served::start(data, "limited");
    let mut send = async |user: &str| {
        let submission = Request::post("/again").header("user", user);
        let here = front.send(submission.body(Body::empty()).unwrap()).await;
        process.ask(&format!("POST /again user:{user}"));
        let [there, _, _] = process.answer();
        [here.status.as_u16(), there.parse().unwrap()]
    };
    assert_eq!(send("a").await, [303, 303]);
    assert_eq!(send("a").await, [303, 429]);
    assert_eq!(send("a").await, [429, 429]);
    assert_eq!(send("b").await, [303, 303]);
    // The queue is full, for the user who has room too.
    assert_eq!(send("b").await, [503, 503]);
    assert_eq!(send("c").await, [503, 503]);
    Ok(())
}
