//! Limits of the jobs that wait for a run.

use http_polling::JobState;
use tower_async_job_core::{
    ClaimQuery, Created, JobQuery, Lease, NewJob, Principal, QueueLimit, Release, Retention, Start,
    StoreError,
};

use crate::{harness::Harness, node::*};

const MANY: usize = usize::MAX;

/// Returns an offered job that may be the last of these numbers of waiting jobs.
fn limited(node: &Node, overall: usize, per_principal: usize) -> NewJob {
    let job = node.replayable().with_start(Start::Offered);
    job.with_queue_limit(QueueLimit::new(overall, per_principal))
}

async fn refused(node: &Node, job: NewJob) -> StoreError {
    let id = job.id;
    let refused = node.create(job).await.expect_err("beyond the limit");
    assert!(node.record(&id).await.is_none(), "a refused job is stored");
    refused
}

/// Asserts the number of waiting jobs, in total and of a principal.
async fn assert_waiting(node: &Node, expected: usize, owner: &Principal, own: usize) {
    let probe = |overall, per_principal| {
        limited(node, overall, per_principal).with_principal(owner.clone())
    };
    assert!(refused(node, probe(expected, MANY)).await.is_queue_full());
    let quota = refused(node, probe(MANY, own)).await;
    assert!(quota.is_quota_exceeded(), "{quota}");
    let last = probe(expected + 1, own + 1);
    let lease = last.first_lease();
    let created = node.create(last).await;
    assert!(
        matches!(created, Ok(Created::Offered { .. })),
        "{created:?}"
    );
    node.discard(&lease).await.unwrap();
}

pub(crate) async fn s38_a_create_beyond_the_queue_limit_stores_nothing(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let keyed = |text| node.with_key(limited(&node, 2, MANY), key(text, 1));
    node.offer(keyed("first")).await;
    node.offer(keyed("second")).await;
    let error = refused(&node, keyed("third")).await;
    assert!(error.is_queue_full() && !error.is_full(), "{error}");
    let limit = error.limit().expect("a limit");
    assert_eq!((limit.setting, limit.value), ("queue_limit", 2));
    let taken = node.look_up(None, &key("third", 1)).await.unwrap();
    assert!(taken.is_none(), "{taken:?}");
    assert_eq!(node.claim_some(1).await.len(), 1);
    node.offer(keyed("third")).await;
    Ok(())
}

pub(crate) async fn s38_a_principal_beyond_its_quota_leaves_others_alone(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let job = || limited(&node, 5, 2);
    let [one, other] = ["one", "other"].map(Principal::new);
    for _ in 0..2 {
        node.offer(job().with_principal(one.clone())).await;
    }
    let error = refused(&node, job().with_principal(one)).await;
    assert!(
        error.is_quota_exceeded() && !error.is_queue_full(),
        "{error}"
    );
    assert_eq!(error.limit().expect("a limit").value, 2);
    node.offer(job().with_principal(other.clone())).await;
    // Jobs without a principal have no quota.
    node.offer(job()).await;
    node.offer(job()).await;
    let error = refused(&node, job().with_principal(other)).await;
    assert!(error.is_queue_full(), "{error}");
    Ok(())
}

pub(crate) async fn s38_jobs_count_as_waiting_exactly_while_they_are_queued(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let until = node.lease()?;
    let owner = Principal::new("owner");
    let job = || node.replayable().with_principal(owner.clone());
    assert_waiting(&node, 0, &owner, 0).await;
    node.add(job()).await;
    assert_waiting(&node, 0, &owner, 0).await;
    let begun = node.add(job().with_start(Start::Queued)).await;
    let [cancelled, _] = [
        node.add(job().with_start(Start::Queued)).await,
        node.add(node.replayable().with_start(Start::Queued)).await,
    ];
    assert_waiting(&node, 3, &owner, 2).await;
    node.start(&begun).await.unwrap();
    node.start(&begun).await.unwrap();
    assert_waiting(&node, 2, &owner, 1).await;
    node.cancel(&cancelled.id).await.unwrap();
    assert_waiting(&node, 1, &owner, 0).await;
    let later = Release::default().with_after(SECOND);
    node.release_one(&begun, later).await;
    assert_waiting(&node, 2, &owner, 1).await;
    // The running one waits for another run, and the queued one still does.
    harness.advance(until).await?;
    node.sweep_all().await;
    assert_waiting(&node, 3, &owner, 2).await;
    let claims = node.claim_by(&ClaimQuery::new(2)).await;
    assert_eq!(claims.len(), 2);
    for claim in &claims {
        node.end(&claim.lease, failed()).await.unwrap();
    }
    assert_eq!(node.claim_some(9).await.len(), 1);
    assert_waiting(&node, 0, &owner, 0).await;
    node.offer(job().with_deadline(HOUR)).await;
    assert_waiting(&node, 1, &owner, 1).await;
    harness.advance(HOUR).await?;
    node.sweep_all().await;
    assert_waiting(&node, 0, &owner, 0).await;
    Ok(())
}

pub(crate) async fn s38_a_job_that_runs_at_once_is_stored_though_the_queue_is_full(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    node.offer(limited(&node, 1, 1)).await;
    node.add(limited(&node, 0, 0).with_start(Start::Running))
        .await;
    let queued = limited(&node, 1, 1).with_start(Start::Queued);
    assert!(refused(&node, queued).await.is_queue_full());
    Ok(())
}

pub(crate) async fn s38_repeats_are_answered_though_the_queue_is_full(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let owner = Principal::new("owner");
    let keyed = |fingerprint| {
        let job = limited(&node, 1, 1).with_principal(owner.clone());
        node.with_key(job, key("key", fingerprint))
    };
    let first = keyed(1);
    node.offer(first.clone()).await;
    node.offer(first.clone()).await;
    assert_eq!(node.add_again(keyed(1)).await.id, first.id);
    let reused = node.create(keyed(2)).await;
    assert!(matches!(reused, Ok(Created::KeyReused)), "{reused:?}");
    Ok(())
}

pub(crate) async fn s38_creates_at_once_exceed_the_queue_limit_by_those_in_flight_at_most(
    harness: &dyn Harness,
) -> Ran {
    const LIMIT: usize = 20;
    const CREATORS: usize = 4;
    let nodes = [Node::of(harness), Node::second(harness).await?];
    let mut creators = tokio::task::JoinSet::new();
    for number in 0..CREATORS {
        let node = nodes[number % nodes.len()].clone();
        creators.spawn(async move {
            let mut stored = 0;
            for _ in 0..LIMIT {
                match node.create(limited(&node, LIMIT, MANY)).await {
                    Ok(_) => stored += 1,
                    Err(error) => assert!(error.is_queue_full(), "{error}"),
                }
                tokio::task::yield_now().await;
            }
            stored
        });
    }
    let stored: usize = creators.join_all().await.into_iter().sum();
    assert!((LIMIT..LIMIT + CREATORS).contains(&stored), "{stored}");
    Ok(())
}

pub(crate) async fn s38_the_numbers_of_waiting_jobs_are_right_after_any_history(
    harness: &dyn Harness,
) -> Ran {
    const HISTORIES: u64 = 12;
    const CALLS: usize = 60;
    let nodes = [Node::of(harness), Node::second(harness).await?];
    let lease = nodes[0].lease()?;
    let owners = ["one", "other"].map(Principal::new);
    for seed in 0..HISTORIES {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut leases = Vec::new();
        for _ in 0..CALLS {
            let node = &nodes[rng.usize(..nodes.len())];
            let held = rng.choice(&leases).copied();
            match (rng.u8(..12), held) {
                (0..4, _) | (_, None) => leases.push(create(node, &owners, &mut rng).await),
                // Most answers are refusals, since leases are stale.
                (4, Some(held)) => drop(node.start(&held).await),
                (5, Some(held)) => drop(node.end(&held, failed()).await),
                (6, Some(held)) => {
                    let after = Release::default().with_after(lease * rng.u32(..3));
                    drop(node.release(&[held], after).await);
                }
                (7, Some(held)) => drop(node.cancel(&held.id).await),
                (8, Some(held)) => drop(node.remove(&held.id).await),
                (9, Some(held)) => drop(node.discard(&held).await),
                (10, _) => {
                    let claims = node.claim_some(rng.usize(1..4)).await;
                    leases.extend(claims.iter().map(|claim| claim.lease));
                }
                _ => harness.advance(lease / 2).await?,
            }
        }
        nodes[0].sweep_all().await;
        let queued = JobQuery::default()
            .with_state(JobState::Queued)
            .with_limit(1000);
        let all = nodes[0].list(&queued).await.unwrap().jobs;
        for owner in &owners {
            let own = all
                .iter()
                .filter(|job| job.is_visible_to(Some(owner)) && !job.is_visible_to(None));
            assert_waiting(&nodes[1], all.len(), owner, own.count()).await;
        }
    }
    Ok(())
}

/// Creates a random job, and returns its first lease.
async fn create(node: &Node, owners: &[Principal], rng: &mut fastrand::Rng) -> Lease {
    let starts = [Start::Running, Start::Queued, Start::Offered];
    let mut job = node
        .replayable()
        .with_start(*rng.choice(&starts).expect("some"));
    job = job.with_max_attempts(rng.u32(1..4));
    if rng.bool() {
        job.principal = rng.choice(owners).cloned();
    }
    if rng.bool() {
        job = job.with_deadline(SECOND * rng.u32(..100));
    }
    if rng.bool() {
        job = job.with_retention(Retention::new(SECOND * rng.u32(..9), SECOND * rng.u32(..9)));
    }
    if rng.bool() {
        let key = key(&rng.u8(..4).to_string(), 1);
        job = node.with_key(job, key);
    }
    let lease = job.first_lease();
    drop(node.create(job).await);
    lease
}
