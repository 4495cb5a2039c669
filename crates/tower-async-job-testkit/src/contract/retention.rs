//! Retention: results expire, and expired jobs are forgotten.

use std::time::Duration;

use http_polling::JobState::{self, Done, Expired};
use serde_json::json;
use tower_async_job_core::{Cancellation, Owner, Principal, Report, Retention};

use crate::{harness::Harness, node::*};

pub(crate) async fn s49_a_result_expires_and_is_forgotten_with_and_without_a_sweep(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    for sweep in [false, true] {
        let retention = Retention::new(HOUR, 2 * HOUR);
        let owner = Principal::new("a");
        let job = node
            .job()
            .with_retention(retention)
            .with_principal(owner.clone());
        let lease = node.add(job).await;
        let report = Report::default().with_partial(json!({"some": "thing"}));
        node.report(&lease, report).await.unwrap();
        node.end(&lease, done(b"hello")).await.unwrap();
        harness.advance(HOUR - MOMENT).await?;
        assert_eq!(node.state(&lease.id).await, Some(Done));
        harness.advance(MOMENT).await?;
        if sweep {
            node.sweep_all().await;
        }
        let record = node.known(&lease.id).await;
        assert_eq!((record.state, &record.outcome), (Expired, &None), "{sweep}");
        assert!(record.is_visible_to(Some(&owner)) && !record.is_visible_to(None));
        assert_eq!(record.partial, None);
        let cancelled = node.cancel(&lease.id).await.unwrap();
        assert_eq!(cancelled, Cancellation::Ended(Expired));
        assert!(!node.extend(&lease.id, HOUR).await.unwrap());
        harness.advance(2 * HOUR).await?;
        if sweep {
            node.sweep_all().await;
        }
        assert!(node.record(&lease.id).await.is_none());
        let cancelled = node.cancel(&lease.id).await.unwrap();
        assert_eq!(cancelled, Cancellation::Unknown);
    }
    Ok(())
}

pub(crate) async fn a_pending_job_never_expires(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let retention = Retention::new(Duration::ZERO, Duration::ZERO);
    let job = node.job().with_retention(retention).with_deadline(9 * HOUR);
    let lease = node.add(job).await;
    let step = node.properties().lease.unwrap_or(HOUR) / 2;
    for _ in 0..100 {
        harness.advance(step).await?;
        assert!(node.renew(&[lease]).await.unwrap()[0].is_held());
        node.sweep_all().await;
        assert_eq!(node.state(&lease.id).await, Some(JobState::Running));
    }
    node.end(&lease, done(b"")).await.unwrap();
    Ok(())
}

pub(crate) async fn a_removed_job_is_unknown(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    assert!(!node.remove(&lease.id).await.unwrap());
    node.end(&lease, done(b"")).await.unwrap();
    assert!(node.remove(&lease.id).await.unwrap());
    assert!(!node.remove(&lease.id).await.unwrap());
    assert!(node.record(&lease.id).await.is_none());
    Ok(())
}

pub(crate) async fn s50_an_extended_result_is_kept_and_never_cut_short(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.job()).await;
    assert!(!node.extend(&lease.id, HOUR).await.unwrap());
    node.end(&lease, done(b"")).await.unwrap();
    assert!(node.extend(&lease.id, MOMENT).await.unwrap());
    harness.advance(HOUR - MOMENT).await?;
    assert_eq!(node.state(&lease.id).await, Some(Done));
    assert!(node.extend(&lease.id, HOUR).await.unwrap());
    harness.advance(HOUR - MOMENT).await?;
    node.sweep_all().await;
    assert_eq!(node.state(&lease.id).await, Some(Done));
    harness.advance(MOMENT).await?;
    assert_eq!(node.state(&lease.id).await, Some(Expired));
    Ok(())
}

pub(crate) async fn a_delivered_result_is_kept_for_a_time_of_its_own(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let retention = Retention::new(20 * SECOND, HOUR);
    let mut ids = Vec::new();
    for _ in 0..4 {
        let lease = node
            .add_ended(node.job().with_retention(retention), 0)
            .await;
        ids.push(lease.id);
    }
    let states = async || {
        let mut states = Vec::new();
        for id in &ids {
            states.push(node.state(id).await.unwrap());
        }
        states
    };
    let [kept, renewed, ending, extended] = ids[..] else {
        unreachable!("there are four")
    };
    node.extend(&extended, HOUR).await.unwrap();
    let keep = Some(5 * SECOND);
    for id in [&kept, &renewed, &extended] {
        node.note_delivery(id, keep);
    }
    harness.advance(4 * SECOND).await?;
    node.note_delivery(&renewed, keep);
    harness.advance(4 * SECOND).await?;
    assert_eq!(states().await, [Expired, Done, Done, Done]);
    harness.advance(10 * SECOND).await?;
    node.note_delivery(&ending, keep);
    harness.advance(2 * SECOND).await?;
    assert_eq!(states().await, [Expired, Expired, Expired, Done]);
    Ok(())
}

pub(crate) async fn s69_no_name_is_kept_of_an_expired_job(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let long = "x".repeat(64_000);
    let owner = Principal::new(&*long);
    let job = node.keyed_of(owner.clone(), "key", 1).with_route(&*long);
    let lease = node.add_ended(job, 1).await;
    harness.advance(HOUR).await?;
    node.sweep_all().await;
    let record = node.known(&lease.id).await;
    let digest = Owner::Digest(Box::new(owner.digest()));
    assert_eq!(record.owner, Some(digest));
    assert_eq!(&*record.route, "");
    assert!(record.is_visible_to(Some(&owner)));
    assert!(!record.is_visible_to(Some(&Principal::new("b"))));
    Ok(())
}
