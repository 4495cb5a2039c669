//! Limits of the queue.

use std::time::Duration;

use axum::{Router, body::Body, routing::post};
use http::{Request, StatusCode};
use tokio::task::JoinSet;
use tower_async_job::{AsyncJobLayer, Builder, Role, store::Principal};
use tower_async_job_core::{Claim, JobId, JobStore, Start};

use crate::{
    jobs::{claim, open, replayable},
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

/// The jobs of a tenant that wait before another tenant comes.
const BACKLOG: usize = 300;

/// Offers a job of a tenant.
async fn offer_of(store: &dyn JobStore, tenant: &str) -> JobId {
    let job = replayable(store, "/again")
        .with_principal(Principal::new(tenant))
        .with_start(Start::Offered);
    let id = job.id;
    store.create(job).await.unwrap();
    id
}

pub(crate) async fn s38_the_first_job_of_a_tenant_overtakes_the_backlog_of_another(
    data: &impl Nodes,
) -> Ran {
    let (store, other) = (open(data).await?, open(data).await?);
    for _ in 0..BACKLOG {
        offer_of(&*store, "large").await;
    }
    // Some rounds later too.
    claim(&*other, BACKLOG / 3).await;
    for small in ["one", "another"] {
        let id = offer_of(&*store, small).await;
        // Two tenants are active.
        let claims = claim(&*other, 4).await;
        assert_eq!(claims.len(), 4);
        assert!(claims.iter().any(|claim| claim.lease.id == id), "{small}");
    }
    Ok(())
}

pub(crate) async fn s38_tenants_take_turns_at_the_workers(data: &impl Nodes) -> Ran {
    let (store, other) = (open(data).await?, open(data).await?);
    let tenants = ["a", "b", "c"];
    for tenant in tenants {
        for _ in 0..20 {
            offer_of(&*store, tenant).await;
        }
    }
    for round in 1..=6 {
        let claims = claim(if round % 2 == 0 { &*store } else { &*other }, 9).await;
        for tenant in tenants {
            let is_of = |claim: &&Claim| claim.principal.as_ref().unwrap().as_str() == tenant;
            let count = claims.iter().filter(is_of).count();
            // A round begins with a tenant's job, and the others' are of the next one.
            assert!(
                (2..=4).contains(&count),
                "{count} of {tenant} in round {round}"
            );
        }
    }
    Ok(())
}
