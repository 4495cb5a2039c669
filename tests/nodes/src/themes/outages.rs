//! Stores that are out of reach or full.

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, StatusCode, Uri};
use tokio::time::{Instant, sleep};
use tower_async_job::{Builder, OnStoreFailure, store::Retention};
use tower_async_job_core::JobQuery;
use tower_async_job_testkit::{Call, Fault};

use crate::{
    jobs::open,
    node::{Node, request, until, until_async},
    nodes::{LEASE, Nodes, Settings},
    routes::{endless, routes, slow, watched},
    run::Ran,
};

const SHORT: Duration = Duration::from_millis(200);

/// A store that soon fails.
fn impatient() -> Settings {
    Settings {
        operation_timeout: Some(SHORT),
        ..Settings::default()
    }
}

/// Polls a job that runs, during an outage.
async fn poll_meanwhile<N: Nodes>(_: &N, node: &Node, url: &str) {
    let answer = node.get(url).await;
    if N::READS_DURING_OUTAGES {
        assert_eq!(answer.state(), "running");
    } else {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_ne!(answer.header("retry-after"), "");
    }
}

const fn room_of<N: Nodes>(_: &N) -> &'static str {
    N::ROOM
}

pub(crate) async fn s10_an_end_whose_acknowledgement_is_lost_is_repeated_and_changes_nothing(
    data: &impl Nodes,
) -> Ran {
    let node = Node::new(data, slow(SHORT)).await?;
    node.faults.next(Call::Finish, Fault::Unacknowledged);
    let url = node.submit("/once").await;
    assert_eq!(node.ended(&url).await.body, "attempt 1");
    until("it is repeated", || node.faults.calls(Call::Finish) == 2).await;
    sleep(SHORT).await;
    assert_eq!(node.get(&url).await.body, "attempt 1");
    Ok(())
}

pub(crate) async fn s16_a_node_that_cannot_write_aborts_its_jobs_before_their_leases_end(
    data: &impl Nodes,
) -> Ran {
    let (routes, running) = watched();
    let node = Node::new(data, routes).await?;
    let other = Node::new(data, endless()).await?;
    let url = node.submit("/once").await;
    let outage = data.outage().await?;
    let begun = Instant::now();
    until("it is dropped", || running.strong_count() == 0).await;
    assert!(begun.elapsed() < LEASE, "{:?}", begun.elapsed());
    poll_meanwhile(data, &other, &url).await;
    outage.await?;
    assert_eq!(other.ended(&url).await.state(), "lost");
    Ok(())
}

pub(crate) async fn s17_a_poll_that_cannot_read_is_told_to_come_again(data: &impl Nodes) -> Ran {
    let node = Node::with(data, endless(), |layer| layer, impatient()).await?;
    let url = node.submit("/once").await;
    node.faults.next(Call::Read, Fault::Unavailable);
    let answer = node.get(&url).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_ne!(answer.header("retry-after"), "");
    assert_eq!(node.get(&url).await.state(), "running");
    let outage = data.outage().await?;
    poll_meanwhile(data, &node, &url).await;
    outage.await?;
    let found = async || {
        let answer = node.get(&url).await;
        assert_ne!(answer.status, StatusCode::NOT_FOUND);
        answer.state() == "running"
    };
    until_async("it is found again", found).await;
    Ok(())
}

pub(crate) async fn s18_a_submission_that_cannot_be_stored_stays_inline_or_is_refused(
    data: &impl Nodes,
) -> Ran {
    let store = open(data).await?;
    for (failure, status) in [
        (OnStoreFailure::StayInline, StatusCode::OK),
        (OnStoreFailure::Refuse, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let layer = |layer: Builder| layer.on_store_failure(failure);
        let node = Node::with(data, slow(5 * SHORT), layer, impatient()).await?;
        let outage = data.outage().await?;
        let answer = node.send(request(Method::POST, "/once")).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(!answer.headers.contains_key("location"));
        outage.await?;
        sleep(SHORT).await;
        let jobs = store.list(&JobQuery::default()).await.unwrap().jobs;
        assert!(jobs.is_empty(), "{jobs:?}");
    }
    Ok(())
}

pub(crate) async fn s19_an_end_that_cannot_be_stored_is_repeated_until_the_lease_ends(
    data: &impl Nodes,
) -> Ran {
    for (time, body) in [(LEASE / 4, "attempt 1"), (LEASE * 3 / 2, "attempt 2")] {
        let node = Node::with(data, slow(SHORT), |layer| layer, impatient()).await?;
        let other = Node::with(data, slow(SHORT), |layer| layer, impatient()).await?;
        let url = node.submit("/again").await;
        let outage = data.outage().await?;
        sleep(time).await;
        poll_meanwhile(data, &other, &url).await;
        outage.await?;
        other.work();
        assert_eq!(other.ended(&url).await.body, body);
    }
    Ok(())
}

pub(crate) async fn s20_a_full_store_refuses_submissions_and_serves_the_results_that_it_has(
    data: &impl Nodes,
) -> Ran {
    let hour = Duration::from_secs(3600);
    let layer = |layer: Builder| {
        layer
            .on_store_failure(OnStoreFailure::Refuse)
            .retention(Retention::new(hour, hour))
    };
    let full = Settings {
        max_bytes: Some(1 << 20),
        ..Settings::default()
    };
    let long = routes(async |uri: Uri| {
        // A handler that ends before its job is stored would be answered inline.
        sleep(if uri.path() == "/once" { SHORT } else { LEASE }).await;
        "x".repeat(100_000)
    });
    let node = Node::with(data, long, layer, full).await?;
    let mut done = Vec::new();
    let last = loop {
        let submitted = node.submitted("/once").await;
        if submitted.status == StatusCode::SERVICE_UNAVAILABLE {
            break submitted;
        }
        let url = submitted.location().to_owned();
        let answer = node.ended(&url).await;
        if answer.state() != "done" {
            break answer;
        }
        done.push(url);
        assert!(done.len() < 20, "it is never full");
    };
    assert!(done.len() > 5, "{}", done.len());
    if last.status == StatusCode::SERVICE_UNAVAILABLE {
        // The store knows beforehand that the result would find no room.
        assert_eq!(last.problem(), "capacity-exhausted");
    } else {
        assert_eq!(last.state(), "failed");
        let text = String::from_utf8_lossy(&last.body);
        assert!(text.contains(room_of(data)), "{text}");
    }
    // A request that is stored with its job.
    let upload = Request::post("/again").body(Body::from(vec![7; 300_000]));
    let refused = node.send(upload.unwrap()).await;
    assert_eq!(
        refused.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{:?}",
        refused.headers
    );
    assert_eq!(refused.problem(), "capacity-exhausted");
    assert_ne!(refused.header("retry-after"), "");
    for url in done {
        assert_eq!(node.get(&url).await.body.len(), 100_000);
    }
    Ok(())
}
