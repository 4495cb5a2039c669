//! Waiting for the end of a job.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use tower_async_job_core::JobId;

use crate::{harness::Harness, node::*};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) async fn an_ended_or_missing_job_is_not_waited_for(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add_ended(job(), 0).await;
    node.see_end(&lease.id).await;
    node.see_end(&JobId::random()).await;
    Ok(())
}

pub(crate) async fn s26_every_kind_of_end_wakes(harness: &dyn Harness) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    for end in ["finish", "cancel", "release", "discard", "sweep"] {
        for waiting in [&node, &other] {
            let lease = node.add(job()).await;
            let mut ended = waiting.ended(&lease.id);
            let early = tokio::time::timeout(Duration::from_millis(5), &mut ended);
            assert!(early.await.is_err(), "the job is pending");
            match end {
                "finish" => node.end(&lease, done(b"")).await.unwrap(),
                "cancel" => drop(node.cancel(&lease.id).await.unwrap()),
                "release" => node.hand_back(&lease).await.unwrap(),
                "discard" => node.discard(&lease).await.unwrap(),
                _ => {
                    harness.advance(node.lease()?).await?;
                    node.sweep_all().await;
                }
            }
            let ended = tokio::time::timeout(PATIENCE, ended).await;
            assert!(ended.is_ok(), "{end} wakes nobody");
        }
    }
    Ok(())
}

pub(crate) async fn s25_a_lost_notification_delays_a_wait_and_no_more(
    harness: &dyn Harness,
) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let lease = node.add(job()).await;
    let mut ended = other.ended(&lease.id);
    let early = tokio::time::timeout(Duration::from_millis(5), &mut ended);
    assert!(early.await.is_err(), "the job is pending");
    harness.lose_notifications().await?;
    node.end(&lease, done(b"")).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    assert!(ended.is_ok(), "nothing makes up for a lost notification");
    Ok(())
}

pub(crate) async fn only_the_latest_waker_of_a_waiter_is_woken(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(job()).await;
    let counts = [Arc::new(Count::default()), Arc::new(Count::default())];
    let mut ended = node.ended(&lease.id);
    for count in &counts {
        let waker = Waker::from(Arc::clone(count));
        let mut context = Context::from_waker(&waker);
        assert!(ended.as_mut().poll(&mut context).is_pending());
    }
    node.end(&lease, done(b"")).await.unwrap();
    node.see_end(&lease.id).await;
    let [earlier, _] = counts.map(|count| count.0.load(Ordering::SeqCst));
    assert_eq!(earlier, 0);
    Ok(())
}

pub(crate) async fn s27_ten_thousand_waiters_are_all_woken(harness: &dyn Harness) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let lease = node.add(job()).await;
    let mut waiters = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let other = other.clone();
        waiters.spawn(async move { other.ended(&lease.id).await.unwrap() });
    }
    tokio::task::yield_now().await;
    node.end(&lease, done(b"")).await.unwrap();
    let woken = tokio::time::timeout(PATIENCE, waiters.join_all()).await;
    assert_eq!(woken.expect("all are woken").len(), 10_000);
    Ok(())
}

pub(crate) async fn s29_a_dropped_waiter_leaves_no_waker_behind(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(job()).await;
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    for _ in 0..100 {
        let mut ended = node.ended(&lease.id);
        let polled = ended.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(matches!(polled, Poll::Pending));
    }
    drop(waker);
    assert_eq!(Arc::strong_count(&count), 1);
    node.end(&lease, done(b"")).await.unwrap();
    assert_eq!(count.0.load(Ordering::SeqCst), 0);
    Ok(())
}

pub(crate) async fn s39_a_released_job_is_still_waited_for(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(replayable()).await;
    node.hand_back(&lease).await.unwrap();
    let mut ended = node.ended(&lease.id);
    let early = tokio::time::timeout(Duration::from_millis(5), &mut ended);
    assert!(early.await.is_err(), "the job is queued");
    let claim = node.claim_one().await;
    node.end(&claim.lease, done(b"")).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    assert!(ended.is_ok(), "the second run wakes nobody");
    Ok(())
}
