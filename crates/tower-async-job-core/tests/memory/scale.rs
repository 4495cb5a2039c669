//! Many jobs: work on all of them yields to others, and stays correct while jobs come and go.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http_polling::JobState;
use proptest::prelude::*;
use tower_async_job_core::{
    ClaimQuery, JobHandle, JobId, JobQuery, JobStore, Lease, MemoryStore, Principal, Released,
    Retention, SweepQuery,
};

use crate::common::*;

/// Polls to completion and calls `between` after each poll; returns the number of polls.
fn drive<T>(future: impl Future<Output = T>, mut between: impl FnMut()) -> (T, usize) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for polls in 1.. {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return (value, polls);
        }
        between();
    }
    unreachable!("it ends before there are no more numbers")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    drive(future, || {}).0
}

fn polls<T>(future: impl Future<Output = T>) -> usize {
    drive(future, || {}).1
}

async fn store_of(jobs: usize, shards: Option<usize>) -> (MemoryStore, TestClock, Vec<Lease>) {
    let (store, clock) = store_with(|builder| {
        let builder = builder.lease_duration(LEASE);
        match shards {
            Some(shards) => builder.shards(shards),
            None => builder,
        }
    });
    let mut leases = Vec::new();
    for _ in 0..jobs {
        leases.push(create(&store, replayable()).await);
    }
    (store, clock, leases)
}

#[tokio::test]
async fn long_work_is_done_in_slices() {
    for shards in [None, Some(1)] {
        let (store, clock, leases) = store_of(20_000, shards).await;
        let page = JobQuery::default().with_limit(JobQuery::MAX_LIMIT);
        assert!(polls(store.list(&page)) > 20_000 / 1024);
        assert!(polls(store.renew(&leases)) > 20_000 / 20);
        clock.advance(LEASE);
        assert!(polls(store.sweep(&SweepQuery::default())) > 20_000 / 20);
        clock.advance(HOUR * 2);
        assert!(polls(store.claim(&ClaimQuery::new(1))) > 20_000 / 20);
    }
}

#[tokio::test]
async fn a_list_of_one_principal_looks_at_none_of_others() {
    for shards in [None, Some(1)] {
        let (store, clock, _) = store_of(5_000, shards).await;
        let of = |name: &str| job().with_principal(Principal::new(name));
        for _ in 0..2_000 {
            create(&store, of("other")).await;
        }
        let mut own = Vec::new();
        for _ in 0..30 {
            clock.advance(Duration::from_secs(1));
            own.insert(0, create(&store, of("own")).await.id);
        }
        let mut query = JobQuery::default()
            .with_principal(Principal::new("own"))
            .with_limit(10);
        let mut listed = Vec::new();
        loop {
            let (page, polls) = drive(store.list(&query), || {});
            assert!(polls <= 2, "{polls}");
            let page = page.unwrap();
            listed.extend(page.jobs.iter().map(|record| record.id));
            let Some(next) = page.next else { break };
            query = query.with_after(next);
        }
        assert_eq!(listed, own);
        // A page of many own ones is found among the newest.
        let many = JobQuery::default().with_principal(Principal::new("other"));
        assert!(polls(store.list(&many)) <= 4);
    }
}

#[tokio::test]
async fn little_work_is_done_at_once() {
    let (store, _, leases) = store_of(10, None).await;
    assert_eq!(polls(store.list(&JobQuery::default())), 1);
    assert_eq!(polls(store.renew(&leases)), 1);
    assert_eq!(polls(store.sweep(&SweepQuery::default())), 1);
    assert_eq!(polls(store.find(JobHandle::random())), 1);
}

#[tokio::test]
async fn a_store_of_many_parts_is_searched_in_slices() {
    let store = MemoryStore::builder().shards(4096).build();
    assert!(polls(store.find(JobHandle::random())) > 4);
    assert!(polls(store.sweep(&SweepQuery::default())) > 4);
}

#[tokio::test]
async fn a_list_in_slices_misses_none_that_is_there_all_the_while() {
    for shards in [None, Some(1)] {
        let (store, _, leases) = store_of(8_000, shards).await;
        let mut going = leases.iter().step_by(4);
        let mut staying: HashSet<JobId> = leases.iter().map(|lease| lease.id).collect();
        for lease in going.clone() {
            staying.remove(&lease.id);
        }
        let mut query = JobQuery::default().with_limit(700);
        let (mut listed, mut places) = (Vec::new(), Vec::new());
        loop {
            let list = store.list(&query);
            let (page, polls) = drive(list, || {
                for lease in going.by_ref().take(20) {
                    block_on(store.discard(lease)).unwrap();
                }
                block_on(store.create(job())).unwrap();
            });
            assert!(polls > 1);
            let page = page.unwrap();
            listed.extend(page.jobs.iter().map(|record| record.id));
            places.extend(
                page.jobs
                    .iter()
                    .map(|record| (record.created, record.handle)),
            );
            let Some(next) = page.next else { break };
            query = query.with_after(next);
        }
        assert!(places.is_sorted_by(|one, next| one > next), "newest first");
        let once: HashSet<JobId> = listed.iter().copied().collect();
        assert_eq!(once.len(), listed.len());
        assert!(once.is_superset(&staying));
    }
}

#[tokio::test]
async fn a_full_store_makes_room_little_by_little() {
    let (store, clock) = store_with(|builder| builder.max_jobs(1000));
    let retention = Retention::new(LEASE, HOUR);
    for _ in 0..1000 {
        let lease = create(&store, job().with_retention(retention)).await;
        store.finish(&lease, done(b"")).await.unwrap();
    }
    assert!(store.create(job()).await.unwrap_err().is_full());
    clock.advance(LEASE);
    for _ in 0..1000 {
        create(&store, job()).await;
    }
    assert!(store.create(job()).await.unwrap_err().is_full());
}

#[tokio::test]
async fn a_backlog_is_swept_in_parts_and_claimed_once_each() {
    let (store, clock) = store();
    for _ in 0..40_000 {
        create(&store, replayable()).await;
    }
    clock.advance(LEASE);
    assert_eq!(
        store.sweep(&SweepQuery::default()).await.unwrap().next,
        Some(Duration::ZERO)
    );
    while store.sweep(&SweepQuery::default()).await.unwrap().next == Some(Duration::ZERO) {}
    let mut claimed = HashSet::new();
    loop {
        let claims = store.claim(&ClaimQuery::new(1000)).await.unwrap().jobs;
        assert!(claims.len() <= 1000);
        if claims.is_empty() {
            break;
        }
        claimed.extend(claims.iter().map(|claim| claim.lease.id));
    }
    assert_eq!(claimed.len(), 40_000);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Create,
    Finish,
    Discard,
    Remove,
    Release,
    Pass,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Create),
        2 => Just(Step::Finish),
        1 => Just(Step::Discard),
        1 => Just(Step::Remove),
        1 => Just(Step::Release),
        1 => Just(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// After any sequence of removals, every other job is found by its id and its handle, and ends
    /// when it is due. The number of a step chooses the job, or the time that passes.
    #[test]
    fn jobs_are_found_whatever_was_removed(
        steps in prop::collection::vec((step(), any::<usize>()), 1..200),
        shards in 1..4usize,
    ) {
        let (store, clock) = store_with(|builder| builder.shards(shards));
        let retention = Retention::new(Duration::from_secs(5), Duration::from_secs(3));
        let mut jobs: Vec<(Lease, JobHandle)> = Vec::new();
        // The expected states, and their beginnings.
        let mut states: HashMap<JobId, (JobState, u64)> = HashMap::new();
        let mut now = 0;
        for (step, number) in steps {
            let lease = (!jobs.is_empty()).then(|| jobs[number % jobs.len()].0);
            match (step, lease) {
                (Step::Create, _) => {
                    let job = job().with_retention(retention);
                    let (id, handle) = (job.id, job.handle);
                    jobs.push((block_on(store.create(job)).map(|_| Lease::new(id, 1)).unwrap(), handle));
                    states.insert(id, (JobState::Running, now));
                }
                (Step::Pass, _) => {
                    let seconds = number as u64 % 8;
                    now += seconds;
                    clock.advance(Duration::from_secs(seconds));
                    block_on(store.sweep(&SweepQuery::default())).unwrap();
                }
                (Step::Finish, Some(lease)) => {
                    if block_on(store.finish(&lease, done(b"x"))).is_ok() {
                        states.entry(lease.id).and_modify(|state| {
                            if !state.0.is_final() {
                                *state = (JobState::Done, now);
                            }
                        });
                    }
                }
                (Step::Discard, Some(lease)) => {
                    if block_on(store.discard(&lease)).is_ok() {
                        states.remove(&lease.id);
                    }
                }
                (Step::Remove, Some(lease)) => {
                    if block_on(store.remove(&lease.id)).unwrap() {
                        states.remove(&lease.id);
                    }
                }
                (Step::Release, Some(lease)) => {
                    if block_on(release(&store, &lease)) != Released::Lost {
                        states.insert(lease.id, (JobState::Lost, now));
                    }
                }
                (_, None) => {}
            }
            for (lease, handle) in &jobs {
                let expected = states.get(&lease.id).and_then(|&(state, since)| {
                    match now - since {
                        0..5 => Some(state),
                        _ if !state.is_final() => Some(state),
                        5..8 => Some(JobState::Expired),
                        _ => None,
                    }
                });
                prop_assert_eq!(block_on(state(&store, &lease.id)), expected);
                let found = block_on(store.find(*handle)).unwrap();
                prop_assert_eq!(found, expected.map(|_| lease.id));
            }
        }
    }
}
