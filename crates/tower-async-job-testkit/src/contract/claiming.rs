//! Claims: what they return, within which limits, and what they keep of an earlier run.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use http_polling::{JobState, Progress};
use serde_json::json;
use tower_async_job_core::{
    ClaimQuery, Created, Detail, JobHandle, JobId, JobRecord, Lease, Release, Released, Renewal,
    ReplayedRequest, Report, Start, StoredRequest, Task,
};

use crate::{harness::Harness, node::*};

/// Returns a request with a body of this length.
fn request(bytes: usize) -> StoredRequest {
    let mut request = ReplayedRequest::default();
    request.body = Bytes::from(vec![b'x'; bytes]);
    StoredRequest::encode(&request)
}

fn said() -> Report {
    let metadata = json!({ "kept": true });
    Report::default()
        .with_progress(Progress::of(9, 10))
        .with_partial(json!([1]))
        .with_metadata(metadata.as_object().unwrap().clone())
}

fn assert_cleared(record: &JobRecord) {
    assert_eq!((&record.progress, &record.partial), (&None, &None));
    assert_eq!(record.metadata, Some(json!({ "kept": true }).into()));
}

pub(crate) async fn a_claim_clears_progress_and_partial_result(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.replayable()).await;
    node.say(&lease, said()).await;
    harness.advance(node.lease()?).await?;
    node.claim_one().await;
    assert_cleared(&node.known(&lease.id).await);
    Ok(())
}

pub(crate) async fn a_lapsed_lease_clears_progress_and_partial_result(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.replayable()).await;
    node.say(&lease, said()).await;
    harness.advance(node.lease()?).await?;
    node.sweep_all().await;
    let record = node.known(&lease.id).await;
    assert_eq!(record.state, JobState::Queued);
    assert_cleared(&record);
    Ok(())
}

pub(crate) async fn a_release_clears_progress_and_partial_result(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.replayable()).await;
    node.say(&lease, said()).await;
    node.release_one(&lease, Release::default()).await;
    assert_cleared(&node.known(&lease.id).await);
    Ok(())
}

pub(crate) async fn a_claim_has_the_request_and_the_remaining_time(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let job = node.job().with_request(request(1000)).with_deadline(HOUR);
    let handle = job.handle;
    let id = node.offer(job).await;
    harness.advance(5 * SECOND).await?;
    let claim = node.claim_one().await;
    assert_eq!((claim.lease.id, claim.handle), (id, handle));
    assert_eq!(claim.task, Task::Run(request(1000)));
    assert_eq!(
        (claim.age, claim.remaining),
        (5 * SECOND, HOUR - 5 * SECOND)
    );
    assert_eq!(claim.created, node.known(&id).await.created);
    Ok(())
}

pub(crate) async fn a_claim_is_bounded_in_jobs_and_reports_whether_more_are_left(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let mut left = HashSet::new();
    for _ in 0..10 {
        left.insert(node.offer(node.replayable()).await);
    }
    let query = ClaimQuery::new(4);
    while !left.is_empty() {
        let claims = node.claim(&query).await.unwrap();
        assert!((1..=4).contains(&claims.jobs.len()));
        for claim in &claims.jobs {
            assert!(left.remove(&claim.lease.id));
        }
        let more = claims.next == Some(Duration::ZERO);
        assert!(more || left.is_empty(), "{} are left", left.len());
    }
    assert!(node.claim_by(&ClaimQuery::new(0)).await.is_empty());
    Ok(())
}

pub(crate) async fn a_claim_with_limit_zero_takes_nothing_and_is_never_due_at_once(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let query = ClaimQuery::new(0);
    for _ in 0..2 {
        node.offer(node.replayable()).await;
        let claims = node.claim(&query).await.unwrap();
        assert!(claims.jobs.is_empty());
        assert_ne!(claims.next, Some(Duration::ZERO));
    }
    assert_eq!(node.claim_some(9).await.len(), 2);
    Ok(())
}

pub(crate) async fn a_claim_is_bounded_in_bytes_but_one_job_is_always_allowed(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    for _ in 0..6 {
        node.offer(node.job().with_request(request(1000))).await;
    }
    // A store may add bytes to each.
    let size = request(1000).as_bytes().len();
    let query = ClaimQuery::new(9).with_max_bytes(5 * size / 2);
    assert_eq!(node.claim_by(&query).await.len(), 2);
    let query = query.with_max_bytes(3 * size / 2);
    assert_eq!(node.claim_by(&query).await.len(), 1);
    let query = query.with_max_bytes(1);
    assert_eq!(node.claim_by(&query).await.len(), 1);
    assert_eq!(node.claim_some(9).await.len(), 2);
    Ok(())
}

pub(crate) async fn a_claim_is_filtered_by_route(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    for _ in 0..20 {
        node.offer(node.replayable().with_route("/a")).await;
    }
    let wanted = node.offer(node.replayable().with_route("/b")).await;
    node.offer(node.replayable().with_route("/c")).await;
    let none = ClaimQuery::new(9).with_routes(["/d", "/"]);
    assert!(node.claim_by(&none).await.is_empty());
    let query = ClaimQuery::new(9).with_routes(["/b", "/d"]);
    let claims = node.claim_by(&query).await;
    let ids: Vec<_> = claims.iter().map(|claim| claim.lease.id).collect();
    assert_eq!(ids, [wanted]);
    assert_eq!(node.claim_some(99).await.len(), 21);
    Ok(())
}

pub(crate) async fn a_job_of_another_route_is_not_touched_by_a_claim(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let job = node.replayable().with_route("/a");
    let lease = node.add(job).await;
    harness.advance(node.lease()?).await?;
    let query = ClaimQuery::new(9).with_routes(["/b"]);
    assert!(node.claim_by(&query).await.is_empty());
    let record = node.known(&lease.id).await;
    assert_eq!(record.attempt, 1);
    assert_eq!(node.claim_one().await.attempt, 2);
    Ok(())
}

pub(crate) async fn s41_a_request_of_a_newer_format_is_left_to_newer_workers(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let id = node.offer(node.replayable()).await;
    let before = node.known(&id).await;
    let old = ClaimQuery::new(9).with_newest_format(StoredRequest::FORMAT - 1);
    assert!(node.claim_by(&old).await.is_empty());
    assert_eq!(node.known(&id).await, before);
    assert_eq!(node.claim_one().await.attempt, 1);

    let newer = StoredRequest::from_bytes(Bytes::from_static(&[StoredRequest::FORMAT + 1]));
    let id = node.offer(node.job().with_request(newer)).await;
    node.claim_none().await;
    node.sweep_all().await;
    assert_eq!(node.state(&id).await, Some(JobState::Queued));
    let newest = ClaimQuery::new(9).with_newest_format(StoredRequest::FORMAT + 1);
    assert_eq!(node.claim_by(&newest).await[0].lease.id, id);
    Ok(())
}

pub(crate) async fn s41_a_record_of_a_newer_format_is_left_alone(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let lease = node.add(node.replayable()).await;
    harness.give_newer_format(lease.id).await?;
    harness.advance(node.lease()?).await?;
    node.claim_none().await;
    node.sweep_all().await;
    for detail in [Detail::Status, Detail::Full] {
        let error = node.read(&lease.id, detail).await.unwrap_err();
        assert!(error.is_unsupported_version());
    }
    Ok(())
}

pub(crate) async fn s42_a_corrupt_request_ends_its_job_once(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    for bytes in [&b""[..], b"\0 no request has this format"] {
        let damaged = node
            .job()
            .with_request(StoredRequest::from_bytes(Bytes::from_static(bytes)));
        let handle = damaged.handle;
        let id = damaged.id;
        match node.create(damaged.with_start(Start::Offered)).await {
            // A store that reads requests may refuse it.
            Err(error) if error.is_corrupt() => {
                assert!(node.record(&id).await.is_none());
                continue;
            }
            created => assert!(matches!(created, Ok(Created::Offered { .. }))),
        }
        let sound = node.offer(node.replayable()).await;
        assert_ends_once(&node, handle, sound).await;
        let record = node.known(&id).await;
        assert_eq!(record.state, JobState::Failed);
        assert!(record.outcome.is_some(), "a problem document");
    }
    Ok(())
}

pub(crate) async fn s42_a_corrupt_record_ends_its_job_once(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let damaged = node.replayable();
    let handle = damaged.handle;
    let id = node.offer(damaged).await;
    let sound = node.offer(node.replayable()).await;
    harness.corrupt(id).await?;
    assert_ends_once(&node, handle, sound).await;
    Ok(())
}

pub(crate) async fn s42_a_corrupt_record_spoils_no_batch_of_leases(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(node.add(node.replayable()).await);
    }
    harness.corrupt(leases[1].id).await?;
    let renewed = node.renew(&leases).await.unwrap();
    assert_eq!(renewed.len(), 3);
    assert_eq!([renewed[0], renewed[2]], [Renewal::Held; 2]);
    let released = node.release(&leases, Release::default()).await.unwrap();
    assert_eq!(released.len(), 3);
    assert_eq!([released[0], released[2]], [Released::Queued; 2]);
    Ok(())
}

/// Claims twice: the corrupt job is reported once, and does not prevent the other from being
/// claimed.
async fn assert_ends_once(node: &Node, corrupt: JobHandle, sound: JobId) {
    let mut claimed = Vec::new();
    let mut unreadable = Vec::new();
    for _ in 0..3 {
        let claims = node.claim(&ClaimQuery::new(9)).await.unwrap();
        claimed.extend(claims.jobs.iter().map(|claim| claim.lease.id));
        unreadable.extend(claims.unreadable);
    }
    assert_eq!((claimed, unreadable), (vec![sound], vec![corrupt]));
}

pub(crate) async fn s32_a_claim_whose_answer_is_lost_counts_as_an_attempt(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let id = node.offer(node.replayable()).await;
    let mut epochs = Vec::new();
    for attempt in 1..=3 {
        // The answer is lost.
        drop(node.claim(&ClaimQuery::new(9)).await);
        node.claim_none().await;
        let record = node.known(&id).await;
        assert_eq!((record.state, record.attempt), (JobState::Running, attempt));
        epochs.push(record.epoch);
        harness.advance(node.lease()? + SECOND).await?;
    }
    assert!(epochs.is_sorted_by(|one, next| one < next), "{epochs:?}");
    node.claim_none().await;
    assert_eq!(node.state(&id).await, Some(JobState::Failed));
    Ok(())
}

pub(crate) async fn many_nodes_claim_and_end_each_job_once(harness: &dyn Harness) -> Ran {
    let nodes = [Node::of(harness), Node::second(harness).await?];
    let mut left = HashSet::new();
    for _ in 0..200 {
        left.insert(nodes[0].offer(nodes[0].replayable()).await);
    }
    let workers: Vec<_> = (0..4)
        .map(|number| {
            let node = nodes[number % 2].clone();
            tokio::spawn(async move {
                let mut ended: Vec<Lease> = Vec::new();
                loop {
                    let claims = node.claim_some(3).await;
                    if claims.is_empty() {
                        return ended;
                    }
                    for claim in claims {
                        tokio::task::yield_now().await;
                        node.end(&claim.lease, done(b"")).await.unwrap();
                        ended.push(claim.lease);
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        for lease in worker.await.unwrap() {
            assert!(left.remove(&lease.id), "{lease:?} was claimed twice");
        }
    }
    assert!(left.is_empty(), "{} jobs were not claimed", left.len());
    Ok(())
}

pub(crate) async fn each_job_of_a_backlog_is_claimed_once(harness: &dyn Harness) -> Ran {
    let nodes = [Node::of(harness), Node::second(harness).await?];
    let mut left = HashSet::new();
    for _ in 0..300 {
        left.insert(nodes[0].add(nodes[0].replayable()).await.id);
    }
    harness.advance(nodes[0].lease()?).await?;
    let workers = nodes.map(|node| {
        tokio::spawn(async move {
            let mut claimed = Vec::new();
            loop {
                node.sweep_all().await;
                let claims = node.claim_some(7).await;
                assert!(claims.len() <= 7);
                if claims.is_empty() {
                    return claimed;
                }
                claimed.extend(claims.iter().map(|claim| claim.lease.id));
                tokio::task::yield_now().await;
            }
        })
    });
    for worker in workers {
        for id in worker.await.unwrap() {
            assert!(left.remove(&id), "{id:?} was claimed twice");
        }
    }
    assert!(left.is_empty(), "{} jobs were not claimed", left.len());
    Ok(())
}

pub(crate) async fn the_longest_waiting_job_is_claimed_first(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(node.offer(node.replayable()).await);
        harness.advance(MOMENT).await?;
    }
    let mut claimed = Vec::new();
    for limit in [3, 17] {
        let claims = node.claim_some(limit).await;
        claimed.extend(claims.iter().map(|claim| claim.lease.id));
    }
    assert_eq!(claimed, ids);
    Ok(())
}
