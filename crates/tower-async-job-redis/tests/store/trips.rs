//! The number of round trips of each method.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::{join, join_all};
use http_polling::{Problem, ProblemType};
use tokio::task::JoinSet;
use tower_async_job_core::{
    ClaimQuery, Detail, IdempotencyKey, JobQuery, JobStore, NewJob, Outcome, Principal, Release,
    Report, ResultRef, Start, StoredResponse,
};
use tower_async_job_redis::RedisStore;

use crate::{add, builder, job, replayable, shared};

/// A store, and its round trips until now.
struct Counted {
    store: Arc<RedisStore>,
    known: BTreeMap<&'static str, u64>,
}

impl Counted {
    async fn open(prefix: &str) -> Option<Self> {
        let builder = builder(shared()?).prefix(prefix);
        Some(Self {
            store: Arc::new(builder.connect().await.unwrap()),
            known: BTreeMap::new(),
        })
    }

    /// Returns the round trips since the last time, without those of the fallback.
    fn trips(&mut self) -> Vec<(&'static str, u64)> {
        let trips = self.store.round_trips();
        let known = std::mem::replace(&mut self.known, trips.clone());
        trips
            .into_iter()
            .map(|(name, count)| (name, count - known.get(name).unwrap_or(&0)))
            .filter(|(name, count)| *count > 0 && !["pending", "work"].contains(name))
            .collect()
    }
}

fn failed() -> Outcome {
    Outcome::Failed(Problem::new(ProblemType::JobFailed))
}

#[tokio::test]
async fn each_change_of_a_job_is_one_round_trip() {
    let Some(mut counted) = Counted::open("changes").await else {
        return;
    };
    let store = Arc::clone(&counted.store);
    let lease = add(&store, job(&store).with_start(Start::Queued)).await;
    assert_eq!(counted.trips(), [("create", 1)]);
    store.start(&lease).await.unwrap();
    assert_eq!(counted.trips(), [("start", 1)]);
    store.report(&lease, Report::default()).await.unwrap();
    assert_eq!(counted.trips(), [("report", 1)]);
    store.write_chunk(&lease, 0, "chunk".into()).await.unwrap();
    assert_eq!(counted.trips(), [("write_chunk", 1)]);
    let head = StoredResponse::from_bytes("head".into());
    let outcome = Outcome::Streamed {
        head,
        chunks: 1,
        len: 5,
    };
    store.finish(&lease, outcome.into()).await.unwrap();
    assert_eq!(counted.trips(), [("finish", 1)]);
    let result = ResultRef::new(lease, 5).with_chunks(1);
    assert!(store.read_chunk(&result, 0).await.unwrap().is_some());
    assert_eq!(counted.trips(), [("read_chunk", 1)]);
    let minute = Duration::from_secs(60);
    assert!(store.extend(&lease.id, minute).await.unwrap());
    assert_eq!(counted.trips(), [("extend", 1)]);
    assert!(store.remove(&lease.id).await.unwrap());
    assert_eq!(counted.trips(), [("remove", 1)]);
    let [cancelled, discarded] = [
        add(&store, job(&store)).await,
        add(&store, job(&store)).await,
    ];
    counted.trips();
    store.cancel(&cancelled.id).await.unwrap();
    assert_eq!(counted.trips(), [("cancel", 1)]);
    store.discard(&discarded).await.unwrap();
    assert_eq!(counted.trips(), [("discard", 1)]);
}

#[tokio::test]
async fn changes_at_the_same_time_share_round_trips() {
    let Some(mut counted) = Counted::open("shared").await else {
        return;
    };
    let store = Arc::clone(&counted.store);
    let leases = join_all((0..200).map(|_| add(&store, job(&store)))).await;
    let result = || Outcome::Done(StoredResponse::from_bytes("result".into()));
    let ends = leases
        .iter()
        .map(|lease| store.finish(lease, result().into()));
    for ended in join_all(ends).await {
        ended.unwrap();
    }
    // Of the connections, each has changes of up to 64 jobs at once.
    let trips = counted.trips();
    assert!(trips.iter().all(|(_, trips)| *trips <= 8), "{trips:?}");
    assert!(
        trips
            .iter()
            .map(|(name, _)| *name)
            .eq(["create_plain", "finish_plain"])
    );
    let pages = store.list(&JobQuery::default()).await.unwrap();
    assert!(pages.jobs.iter().all(|job| job.state.is_final()));
}

#[tokio::test]
async fn common_changes_have_scripts_of_their_own_and_others_decide_about_the_rest() {
    let Some(mut counted) = Counted::open("common").await else {
        return;
    };
    let store = Arc::clone(&counted.store);
    let result = || Outcome::Done(StoredResponse::from_bytes("result".into()));
    let plain = job(&store);
    let lease = add(&store, plain.clone()).await;
    assert_eq!(counted.trips(), [("create_plain", 1)]);
    // It repeats the first.
    add(&store, plain).await;
    assert_eq!(counted.trips(), [("create", 1), ("create_plain", 1)]);
    store.finish(&lease, result().into()).await.unwrap();
    assert_eq!(counted.trips(), [("finish_plain", 1)]);
    store.finish(&lease, result().into()).await.unwrap();
    assert_eq!(counted.trips(), [("finish", 1), ("finish_plain", 1)]);
    let key = IdempotencyKey::new("common".to_owned(), [7; 32]).unwrap();
    let keyed = NewJob::new(store.new_id(Some(&key), None)).with_idempotency(key);
    let lease = add(&store, keyed).await;
    assert_eq!(counted.trips(), [("create", 1)]);
    store.finish(&lease, result().into()).await.unwrap();
    assert_eq!(counted.trips(), [("finish", 1)]);
}

#[tokio::test]
async fn many_jobs_are_claimed_renewed_and_released_together() {
    let Some(mut counted) = Counted::open("together").await else {
        return;
    };
    let store = Arc::clone(&counted.store);
    for _ in 0..100 {
        let offered = replayable(&store).with_start(Start::Offered);
        store.create(offered).await.unwrap();
    }
    counted.trips();
    let claims = store.claim(&ClaimQuery::new(100)).await.unwrap();
    assert_eq!(counted.trips(), [("claim", 1), ("ready", 1)]);
    let leases: Vec<_> = claims.jobs.iter().map(|claim| claim.lease).collect();
    assert_eq!(leases.len(), 100);
    let renewed = store.renew(&leases).await.unwrap();
    assert!(renewed.iter().all(|renewal| renewal.is_held()));
    assert_eq!(counted.trips(), [("renew", 1)]);
    store.release(&leases, Release::default()).await.unwrap();
    assert_eq!(counted.trips(), [("release", 1)]);
    let none = store.claim(&ClaimQuery::new(0)).await.unwrap();
    assert!(none.jobs.is_empty());
    assert_eq!(counted.trips(), [("ready", 1)]);
}

#[tokio::test]
async fn a_key_costs_a_round_trip_and_its_job_another() {
    let Some(mut counted) = Counted::open("keys").await else {
        return;
    };
    let store = Arc::clone(&counted.store);
    let key = IdempotencyKey::new("key".to_owned(), [7; 32]).unwrap();
    assert!(store.look_up(None, &key).await.unwrap().is_none());
    assert_eq!(counted.trips(), [("look_up", 1)]);
    let keyed = || NewJob::new(store.new_id(Some(&key), None)).with_idempotency(key.clone());
    store.create(keyed()).await.unwrap();
    assert_eq!(counted.trips(), [("create", 1)]);
    assert!(store.look_up(None, &key).await.unwrap().is_some());
    assert_eq!(counted.trips(), [("look_up", 1), ("read", 1)]);
    store.create(keyed()).await.unwrap();
    assert_eq!(counted.trips(), [("create", 1), ("read", 1)]);
}

#[tokio::test]
async fn a_page_of_a_principal_is_listed_and_read_once_however_many_jobs_others_have() {
    let Some(mut counted) = Counted::open("owned").await else {
        return;
    };
    let store = Arc::clone(&counted.store);
    let of = |name| job(&store).with_principal(Principal::new(name));
    let others = join_all((0..1000).map(|_| add(&store, of("other"))));
    let own = join_all((0..120).map(|_| add(&store, of("own"))));
    let (_, own) = join(others, own).await;
    let mut query = JobQuery::default().with_principal(Principal::new("own"));
    let mut listed = Vec::new();
    counted.trips();
    loop {
        let page = store.list(&query).await.unwrap();
        listed.extend(page.jobs.iter().map(|job| job.id));
        assert_eq!(counted.trips(), [("list_owned", 1), ("read", 1)]);
        let Some(next) = page.next else { break };
        query = query.with_after(next);
    }
    listed.sort();
    let mut expected: Vec<_> = own.iter().map(|lease| lease.id).collect();
    expected.sort();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn reads_at_the_same_time_share_one_round_trip() {
    let Some(mut counted) = Counted::open("reads").await else {
        return;
    };
    let store = Arc::clone(&counted.store);
    let mut leases = Vec::new();
    for _ in 0..10 {
        leases.push(add(&store, job(&store)).await);
    }
    counted.trips();
    let mut reads = JoinSet::new();
    for lease in leases.iter().copied().cycle().take(1000) {
        let store = Arc::clone(&store);
        reads.spawn(async move { store.read(&lease.id, Detail::Full).await });
    }
    for read in reads.join_all().await {
        assert!(read.unwrap().is_some());
    }
    assert_eq!(counted.trips(), [("read", 1)]);
    store.finish(&leases[0], failed().into()).await.unwrap();
    assert_eq!(counted.trips(), [("finish", 1)]);
    let read = store.read(&leases[0].id, Detail::Full).await.unwrap();
    assert!(read.unwrap().state.is_final());
    assert_eq!(counted.trips(), [("read", 1)]);
}
