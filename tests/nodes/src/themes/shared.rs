//! Nodes that share a store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use http::{Method, Request, StatusCode};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower_async_job::{Builder, JobContext};
use tower_async_job_core::{Lease, Release, Released};

use crate::{
    jobs::{add, open, replayable},
    node::{Node, RECOVERY, id_of, request, until},
    nodes::{LEASE, Nodes, Settings},
    routes::{attempt, endless, routes, slow, watched},
    run::Ran,
};

const SHORT: Duration = Duration::from_millis(200);

pub(crate) async fn s08_a_job_claimed_again_beside_its_old_run_in_the_same_process_keeps_the_new_lease(
    data: &impl Nodes,
) -> Ran {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let handler = async move |job: JobContext| {
        counted.fetch_add(1, Ordering::SeqCst);
        sleep(2 * LEASE).await;
        attempt(&job)
    };
    let grace = |layer: Builder| layer.cancellation_grace(Duration::from_secs(60));
    let node = Node::configured(data, routes(handler), grace).await?;
    node.work();
    let url = node.submit("/again").await;
    // Another process takes the lease of the run, which goes on until its renewal is refused.
    let lease = Lease::new(id_of(&url), 1);
    let store = open(data).await?;
    let released = store.release(&[lease], Release::default()).await;
    assert_eq!(released.unwrap(), [Released::Queued]);
    assert_eq!(node.ended(&url).await.body, "attempt 2");
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    Ok(())
}

pub(crate) async fn s09_nodes_that_look_for_ended_leases_together_run_each_job_once_more(
    data: &impl Nodes,
) -> Ran {
    const JOBS: usize = 20;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let routes = routes(async move |job: JobContext| {
        counted.fetch_add(1, Ordering::SeqCst);
        attempt(&job)
    });
    let abandoned = open(data).await?;
    let mut urls = Vec::new();
    for _ in 0..JOBS {
        let lease = add(&*abandoned, replayable(&*abandoned, "/again")).await;
        urls.push(format!("/work/{}", lease.id.encode()));
    }
    let [one, other] = [
        Node::new(data, routes.clone()).await?,
        Node::new(data, routes).await?,
    ];
    one.work();
    other.work();
    for url in urls {
        assert_eq!(one.ended(&url).await.body, "attempt 2");
    }
    assert_eq!(runs.load(Ordering::SeqCst), JOBS);
    Ok(())
}

pub(crate) async fn s11_a_job_that_ends_after_it_was_cancelled_elsewhere_stays_cancelled(
    data: &impl Nodes,
) -> Ran {
    let ends = Arc::new(AtomicUsize::new(0));
    let counted = ends.clone();
    let handler = async move || {
        sleep(LEASE / 2).await;
        counted.fetch_add(1, Ordering::SeqCst);
        "too late"
    };
    let [one, other] = [
        Node::new(data, routes(handler)).await?,
        Node::new(data, endless()).await?,
    ];
    let url = one.submit("/once").await;
    other.send(request(Method::DELETE, &url)).await;
    // It has the grace of a cancellation.
    until("it ends", || ends.load(Ordering::SeqCst) == 1).await;
    sleep(SHORT).await;
    for node in [&one, &other] {
        assert_eq!(node.get(&url).await.state(), "cancelled");
    }
    Ok(())
}

pub(crate) async fn s13_a_cancel_on_another_node_is_stored_before_it_is_answered_and_ends_the_run(
    data: &impl Nodes,
) -> Ran {
    let (routes, running) = watched();
    let no_grace = |layer: Builder| layer.cancellation_grace(Duration::ZERO);
    let one = Node::configured(data, routes, no_grace).await?;
    let other = Node::new(data, endless()).await?;
    let url = one.submit("/once").await;
    let answer = other.send(request(Method::DELETE, &url)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let cancelled = Instant::now();
    for node in [&one, &other] {
        assert_eq!(node.get(&url).await.state(), "cancelled");
    }
    until("it is dropped", || running.strong_count() == 0).await;
    assert!(cancelled.elapsed() < LEASE, "{:?}", cancelled.elapsed());
    Ok(())
}

pub(crate) async fn s26_s27_all_of_ten_thousand_polls_held_elsewhere_are_answered_at_the_end(
    data: &impl Nodes,
) -> Ran {
    let time = 2 * LEASE;
    // The crowd must not keep the lease from being renewed.
    let lease = Settings {
        lease: RECOVERY,
        ..Settings::default()
    };
    let one = Node::with(data, slow(time), |layer| layer, lease).await?;
    let other = Node::with(data, endless(), |layer| layer, lease).await?;
    let other = Arc::new(other);
    let url = one.submit("/once").await;
    let mut polls = JoinSet::new();
    for _ in 0..10_000 {
        let poll = Request::get(&url).header("prefer", "wait=25");
        let (other, poll) = (other.clone(), poll.body(Body::empty()).unwrap());
        polls.spawn(async move { other.send(poll).await });
    }
    for answer in polls.join_all().await {
        assert_eq!(answer.body, "attempt 1");
    }
    Ok(())
}

pub(crate) async fn s14_s15_a_node_whose_day_is_ahead_takes_no_job_of_another(
    data: &impl Nodes,
) -> Ran {
    let one = Node::new(data, slow(3 * LEASE)).await?;
    let [again, once] = [one.submit("/again").await, one.submit("/once").await];
    sleep(LEASE).await;
    let ahead = Settings {
        ahead: Duration::from_secs(1800),
        ..Settings::default()
    };
    let other = Node::with(data, endless(), |layer| layer, ahead).await?;
    other.work();
    for url in [again, once] {
        assert_eq!(other.ended(&url).await.body, "attempt 1");
    }
    Ok(())
}
