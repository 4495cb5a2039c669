//! Waiting for the end of a job.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use tower_async_job_core::{JobId, Release, Subscription};

use crate::{harness::Harness, node::*};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll(subscription: &mut Subscription, waker: &Waker) -> Poll<()> {
    Pin::new(subscription).poll(&mut Context::from_waker(waker))
}

pub(crate) async fn a_subscription_to_an_ended_or_missing_job_resolves_at_once(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let lease = node.add_ended(node.job(), 0).await;
    node.see_end(&lease.id).await;
    node.see_end(&JobId::random()).await;
    Ok(())
}

pub(crate) async fn s26_every_kind_of_end_wakes_its_waiters(harness: &dyn Harness) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    for end in ["finish", "cancel", "release", "discard", "sweep"] {
        for waiting in [&node, &other] {
            let lease = node.add(node.job()).await;
            let ended = waiting.waits(&lease.id).await;
            match end {
                "finish" => node.end(&lease, done(b"")).await.unwrap(),
                "cancel" => drop(node.cancel(&lease.id).await.unwrap()),
                "release" => drop(node.release_one(&lease, Release::default()).await),
                "discard" => node.discard(&lease).await.unwrap(),
                _ => {
                    harness.advance(node.lease()?).await?;
                    node.sweep_all().await;
                }
            }
            wakes(ended, end).await;
        }
    }
    Ok(())
}

pub(crate) async fn s25_a_lost_notification_only_delays_a_wait(harness: &dyn Harness) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let lease = node.add(node.job()).await;
    let ended = other.waits(&lease.id).await;
    harness.lose_notifications().await?;
    node.end(&lease, done(b"")).await.unwrap();
    wakes(ended, "an end without its notification").await;
    Ok(())
}

pub(crate) async fn only_the_latest_waker_of_a_waiter_is_woken(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    let counts = [Arc::new(Count::default()), Arc::new(Count::default())];
    let mut ended = node.subscribe(&lease.id);
    for count in &counts {
        let waker = Waker::from(Arc::clone(count));
        assert!(poll(&mut ended, &waker).is_pending());
    }
    node.end(&lease, done(b"")).await.unwrap();
    node.see_end(&lease.id).await;
    let [earlier, _] = counts.map(|count| count.0.load(Ordering::SeqCst));
    assert_eq!(earlier, 0);
    Ok(())
}

pub(crate) async fn s27_ten_thousand_waiters_are_all_woken(harness: &dyn Harness) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let lease = node.add(node.job()).await;
    let mut waiters = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let other = other.clone();
        waiters.spawn(async move { other.subscribe(&lease.id).await });
    }
    tokio::task::yield_now().await;
    node.end(&lease, done(b"")).await.unwrap();
    let woken = tokio::time::timeout(PATIENCE, waiters.join_all()).await;
    assert_eq!(woken.expect("all are woken").len(), 10_000);
    Ok(())
}

pub(crate) async fn s29_a_dropped_waiter_leaves_no_waker_behind(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    for _ in 0..100 {
        let mut ended = node.subscribe(&lease.id);
        assert!(poll(&mut ended, &waker).is_pending());
    }
    drop(waker);
    assert_eq!(Arc::strong_count(&count), 1);
    node.end(&lease, done(b"")).await.unwrap();
    assert_eq!(count.0.load(Ordering::SeqCst), 0);
    Ok(())
}

pub(crate) async fn s39_waiters_of_a_released_job_keep_waiting(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.replayable()).await;
    node.release_one(&lease, Release::default()).await;
    drop(node.waits(&lease.id).await);
    let claim = node.claim_one().await;
    let ended = node.waits(&lease.id).await;
    node.end(&claim.lease, done(b"")).await.unwrap();
    wakes(ended, "the end of the second run").await;
    Ok(())
}

pub(crate) async fn s26_a_subscription_before_a_read_misses_no_end(harness: &dyn Harness) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    for round in 0..50 {
        let lease = node.add(node.job()).await;
        let waiting = {
            let other = other.clone();
            tokio::spawn(async move {
                let ended = other.subscribe(&lease.id);
                if round % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                if !other.known(&lease.id).await.state.is_final() {
                    wakes(ended, "an end behind the read").await;
                }
                assert!(other.known(&lease.id).await.state.is_final());
            })
        };
        if round % 3 == 0 {
            tokio::task::yield_now().await;
        }
        node.end(&lease, done(b"")).await.unwrap();
        waiting.await.unwrap();
    }
    Ok(())
}

pub(crate) async fn a_subscription_is_registered_before_its_first_poll(
    harness: &dyn Harness,
) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let lease = node.add(node.job()).await;
    let ended = other.subscribe(&lease.id);
    node.end(&lease, done(b"")).await.unwrap();
    assert!(node.remove(&lease.id).await.unwrap());
    wakes(ended, "an end before the first poll").await;
    Ok(())
}

pub(crate) async fn workers_are_woken_when_there_is_work(harness: &dyn Harness) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    node.claim_none().await;
    let offered = other.work();
    node.offer(node.replayable()).await;
    wakes(offered, "an offered job").await;
    let claim = other.claim_one().await;

    let released = other.work();
    node.release_one(&claim.lease, Release::default()).await;
    wakes(released, "a released job").await;
    other.claim_one().await;
    harness.advance(node.lease()? + SECOND).await?;
    let lapsed = other.work();
    node.sweep_all().await;
    wakes(lapsed, "a lease that ran out").await;
    let claim = other.claim_one().await;
    node.cancel(&claim.lease.id).await.unwrap();

    let lease = node.add(node.job().with_notify("due")).await;
    let due = other.work();
    node.end(&lease, done(b"")).await.unwrap();
    wakes(due, "a notification that is due").await;
    Ok(())
}
