//! Jobs of all kinds, of which nothing is left after their retention.

use std::time::Duration;

use futures_util::future::join_all;
use http_polling::{Problem, ProblemType};
use test_services::Redis;
use tower_async_job_core::{
    ClaimKind, ClaimQuery, Detail, End, IdempotencyKey, JobStore, Lease, NewJob, Outcome, Outside,
    Principal, Release, Report, Retention, Start, StoredResponse, SweepQuery,
};
use tower_async_job_redis::RedisStore;

use crate::{add, builder, job, losses::TestClock, own, replayable};

/// The number of ways in which a job lives and ends.
const WAYS: usize = 10;

/// The number of jobs. More are run through by hand, as `LEFTOVERS=10000`.
fn jobs() -> usize {
    let number = std::env::var("LEFTOVERS").ok();
    number.map_or(200, |number| number.parse().unwrap())
}

fn failed() -> End {
    Outcome::Failed(Problem::new(ProblemType::JobFailed)).into()
}

/// Lets a job live and end in the way of its number.
async fn run(store: &RedisStore, number: usize) {
    let short = Retention::new(Duration::from_secs(60), Duration::from_secs(60));
    let owner = Principal::new(format!("owner {}", number % 7));
    let with = |new: NewJob| {
        let new = new.with_retention(short).with_route("/report");
        new.with_principal(owner.clone())
    };
    let done = || Outcome::Done(StoredResponse::from_bytes("result".into()));
    let key = IdempotencyKey::new(format!("key {number}"), [7; 32]).unwrap();
    let how = Release::default();
    match number % WAYS {
        0 => {
            let lease = add(store, with(job(store))).await;
            store.finish(&lease, done().into()).await.unwrap();
        }
        1 => {
            let new = NewJob::new(store.new_id(Some(&key), Some(&owner)));
            let lease = add(store, with(new).with_idempotency(key)).await;
            store.finish(&lease, done().into()).await.unwrap();
        }
        2 => {
            let lease = add(store, with(replayable(store)).with_notify("address")).await;
            store.finish(&lease, failed()).await.unwrap();
        }
        3 => {
            let lease = add(store, with(job(store))).await;
            for index in 0..3 {
                let chunk = store.write_chunk(&lease, index, "chunk".into());
                chunk.await.unwrap();
            }
            let streamed = Outcome::Streamed {
                head: StoredResponse::from_bytes("head".into()),
                chunks: 3,
                len: 15,
            };
            store.finish(&lease, streamed.into()).await.unwrap();
            store.remove(&lease.id).await.unwrap();
        }
        4 => {
            let lease = add(store, with(replayable(store))).await;
            store.write_chunk(&lease, 0, "chunk".into()).await.unwrap();
            store.release(&[lease], how).await.unwrap();
            store.cancel(&lease.id).await.unwrap();
        }
        5 => {
            let lease = add(store, with(replayable(store))).await;
            let outside = Outside::new("token", Duration::from_secs(10));
            let how = how.with_outside(outside);
            store.release(&[lease], how).await.unwrap();
            let report = Report::default().with_checkpoint("checkpoint");
            let renewed = store.renew_outside(&lease.id, outside, report);
            assert!(renewed.await.unwrap().is_held());
        }
        6 => {
            let lease = add(store, with(job(store))).await;
            store.discard(&lease).await.unwrap();
        }
        7 => {
            // Its node dies.
            let new = NewJob::new(store.new_id(Some(&key), Some(&owner)));
            add(store, with(new).with_idempotency(key)).await;
        }
        8 => {
            let new = with(replayable(store)).with_start(Start::Offered);
            store.create(new.with_max_attempts(2)).await.unwrap();
        }
        _ => {
            let lease = add(store, with(job(store))).await;
            store.finish(&lease, failed()).await.unwrap();
            let longer = Duration::from_secs(100);
            assert!(store.extend(&lease.id, longer).await.unwrap());
        }
    }
}

fn bytes(server: &Redis) -> i64 {
    let memory = server.command(&["INFO", "memory"]);
    let line = memory
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    line.unwrap().trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_any_job_is_left_after_its_retention() {
    let Some(server) = own() else { return };
    let clock = TestClock::default();
    let store = builder(&server)
        .clock(clock.clone())
        .connect()
        .await
        .unwrap();
    // Scripts and buffers are of no job.
    join_all((0..WAYS).map(|number| run(&store, number))).await;
    let before = bytes(&server);
    let numbers: Vec<_> = (WAYS..jobs()).collect();
    for some in numbers.chunks(500) {
        join_all(some.iter().map(|number| run(&store, *number))).await;
    }
    let meanwhile = bytes(&server) - before;
    // Leases and retention end, and chunks linger for ten minutes.
    for _ in 0..40 {
        clock.advance(Duration::from_secs(60));
        let query = ClaimQuery::new(256);
        let claims = store.claim(&query).await.unwrap();
        let leases: Vec<Lease> = claims.jobs.iter().map(|claim| claim.lease).collect();
        let ends = leases.iter().map(|lease| store.finish(lease, failed()));
        join_all(ends).await;
        let query = query.with_kind(ClaimKind::Notify);
        let claims = store.claim(&query).await.unwrap();
        let notified = claims
            .jobs
            .iter()
            .map(|claim| store.notified(&claim.lease, None));
        join_all(notified).await;
        let mut is_swept = false;
        while !is_swept {
            let upkeep = store.sweep(&SweepQuery::default()).await.unwrap();
            is_swept = upkeep.next != Some(Duration::ZERO);
        }
    }
    let keys = server.command(&["KEYS", "*"]);
    let mut keys: Vec<_> = keys.lines().collect();
    keys.sort_unstable();
    assert_eq!(keys, ["{jobs:events}", "{jobs:nodes}"]);
    let left = bytes(&server) - before;
    println!(
        "{} jobs: {meanwhile} bytes, of which {left} are left",
        jobs()
    );
    // Buffers of connections vary by as much as a few jobs take.
    let is_large = jobs() >= 10_000;
    assert!(!is_large || left < meanwhile / 10, "{left} of {meanwhile}");
    assert!(
        store
            .read(&job(&store).id, Detail::Full)
            .await
            .unwrap()
            .is_none()
    );
}
