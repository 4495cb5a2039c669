//! Idempotency keys: one job for each, while it counts.

use std::time::Duration;

use http_polling::JobState;
use tower_async_job_core::{Created, Lease, Principal, Retention};

use crate::{harness::Harness, node::*};

/// Repeats the create of an ended job whose result is gone.
async fn assert_counts(node: &Node, first: &Lease) {
    let record = node.add_again(node.keyed("key", 1)).await;
    assert_eq!((record.id, record.state), (first.id, JobState::Expired));
}

pub(crate) async fn look_up_answers_as_create_does_and_stores_nothing(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let look_up = async |fingerprint| node.look_up(None, &key("key", fingerprint)).await.unwrap();
    assert_eq!(look_up(1).await, None);
    let lease = node.add(node.keyed("key", 1)).await;
    let found = look_up(1).await;
    assert!(matches!(found, Some(Created::Existing(record)) if record.id == lease.id));
    assert_eq!(look_up(2).await, Some(Created::KeyReused));
    let stranger = Principal::new("another");
    let found = node.look_up(Some(&stranger), &key("key", 1)).await;
    assert_eq!(found.unwrap(), None);
    node.discard(&lease).await.unwrap();
    assert_eq!(look_up(1).await, None);
    Ok(())
}

pub(crate) async fn s43_one_key_makes_one_job(harness: &dyn Harness) -> Ran {
    let nodes = [Node::of(harness), Node::second(harness).await?];
    for round in 0..20 {
        let creates: Vec<_> = (0..16)
            .map(|number| {
                let node = nodes[number % 2].clone();
                let job = node.keyed(&format!("key {round}"), 1);
                tokio::spawn(async move { node.create(job).await.unwrap() })
            })
            .collect();
        let (mut made, mut found) = (Vec::new(), Vec::new());
        for create in creates {
            match create.await.unwrap() {
                Created::New { lease, .. } => made.push(lease.id),
                Created::Existing(record) => found.push(record.id),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(made.len(), 1);
        assert!(found.iter().all(|id| *id == made[0]));
    }
    Ok(())
}

pub(crate) async fn s44_one_key_with_another_request_is_refused(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    node.add(node.keyed("key", 1)).await;
    let other = node.create(node.keyed("key", 2)).await.unwrap();
    assert_eq!(other, Created::KeyReused);
    Ok(())
}

pub(crate) async fn s45_one_key_of_two_principals_makes_two_jobs(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let of = |name| node.keyed_of(Principal::new(name), "key", 1);
    let first = node.add(of("a")).await;
    node.add(of("b")).await;
    node.add(node.keyed("key", 1)).await;
    assert_eq!(node.add_again(of("a")).await.id, first.id);
    Ok(())
}

pub(crate) async fn s45_keys_of_principals_never_collide(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let of = |name, key| node.keyed_of(Principal::new(name), key, 1);
    for job in [
        of("a", "bc"),
        of("ab", "c"),
        node.keyed("abc", 1),
        of("", "abc"),
    ] {
        node.add(job).await;
    }
    Ok(())
}

pub(crate) async fn a_key_counts_as_long_as_its_job(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let first = node.add_ended(node.keyed("key", 1), 0).await;
    harness.advance(HOUR - MOMENT).await?;
    let again = node.add_again(node.keyed("key", 1)).await;
    assert_eq!((again.id, again.state), (first.id, JobState::Done));
    harness.advance(MOMENT).await?;
    let second = node.add(node.keyed("key", 2)).await;
    node.sweep_all().await;
    assert_eq!(node.add_again(node.keyed("key", 2)).await.id, second.id);
    node.cancel(&second.id).await.unwrap();
    node.remove(&second.id).await.unwrap();
    let reused = node.create(node.keyed("key", 3)).await.unwrap();
    assert_eq!(reused, Created::KeyReused);
    harness.advance(HOUR).await?;
    node.add(node.keyed("key", 3)).await;
    Ok(())
}

pub(crate) async fn s73_key_of_a_result_that_was_delivered_counts_until_its_retention(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let before = node.usage();
    let first = node.add_ended(node.keyed("key", 1), 1000).await;
    node.note_delivery(&first.id, Some(SECOND));
    harness.advance(3 * SECOND).await?;
    for _ in 0..2 {
        assert_eq!(node.state(&first.id).await, Some(JobState::Expired));
        assert_counts(&node, &first).await;
        node.sweep_all().await;
    }
    harness.advance(HOUR).await?;
    node.sweep_all().await;
    assert_eq!(node.usage(), before);
    node.add(node.keyed("key", 1)).await;
    Ok(())
}

pub(crate) async fn s73_key_of_a_delivered_result_counts_before_the_sweep_without_tombstones_too(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let retention = Retention::new(HOUR, Duration::ZERO);
    let first = node
        .add_ended(node.keyed("key", 1).with_retention(retention), 1000)
        .await;
    node.note_delivery(&first.id, Some(SECOND));
    harness.advance(3 * SECOND).await?;
    for _ in 0..2 {
        assert_eq!(node.state(&first.id).await, Some(JobState::Expired));
        assert_counts(&node, &first).await;
        node.sweep_all().await;
    }
    Ok(())
}

pub(crate) async fn s73_key_of_a_removed_result_counts_until_its_retention(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let first = node.add_ended(node.keyed("key", 1), 5000).await;
    let full = node.usage();
    for _ in 0..2 {
        assert!(node.remove(&first.id).await.unwrap());
        assert_eq!(node.state(&first.id).await, Some(JobState::Expired));
        assert_counts(&node, &first).await;
        if let (Some(full), Some(left)) = (full, node.usage()) {
            assert!(left.bytes + 4000 <= full.bytes, "the result is gone");
        }
    }
    harness.advance(HOUR).await?;
    node.add(node.keyed("key", 1)).await;
    Ok(())
}

pub(crate) async fn s73_key_of_a_removed_job_that_was_cancelled_counts_until_its_retention(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let first = node.add(node.keyed("key", 1)).await;
    node.cancel(&first.id).await.unwrap();
    assert!(node.remove(&first.id).await.unwrap());
    assert_counts(&node, &first).await;
    Ok(())
}
