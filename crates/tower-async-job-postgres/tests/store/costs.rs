//! The statements that calls take, and changes in the midst of which snapshots are held.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tower_async_job_core::{
    ClaimQuery, Detail, IdempotencyKey, JobQuery, JobStore, NewJob, Release, ReplayedRequest,
    Report, ResultRef, Start, StoredRequest, SweepQuery,
};
use tower_async_job_postgres::PostgresStore;

use crate::support::Place;

/// The statements of a store in a moment, without those of the background.
fn statements(store: &PostgresStore) -> BTreeMap<&'static str, u64> {
    let mut statements = store.statements();
    for name in ["ended_jobs", "has_work", "notify"] {
        statements.remove(name);
    }
    statements
}

#[tokio::test]
async fn each_call_is_one_statement() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = place.builder().connect().await.unwrap();
    let mut known = statements(&store);
    let mut costs = |name: &'static str| {
        let now = statements(&store);
        *known.entry(name).or_default() += 1;
        assert_eq!(known, now, "{name}");
    };
    let key = IdempotencyKey::new("key", [1; 32]).unwrap();
    let job = NewJob::new(store.new_id(Some(&key), None)).with_idempotency(key.clone());
    let keyed = job.first_lease();
    store.create(job.clone()).await.unwrap();
    costs("create_jobs");
    store
        .create(NewJob::new(store.new_id(None, None)).with_idempotency(key.clone()))
        .await
        .unwrap();
    costs("create_jobs");
    store.look_up(None, &key).await.unwrap();
    costs("look_up");
    store
        .report(&keyed, Report::default().with_checkpoint("x"))
        .await
        .unwrap();
    costs("report_jobs");
    store.write_chunk(&keyed, 0, vec![1].into()).await.unwrap();
    costs("write_chunk");
    store
        .read_chunk(&ResultRef::new(keyed, 1).with_chunks(1), 0)
        .await
        .unwrap();
    costs("read_chunk");
    store.renew(&[keyed; 1000]).await.unwrap();
    costs("renew");
    store.finish(&keyed, crate::done(9).into()).await.unwrap();
    costs("finish_jobs");
    store.read(&keyed.id, Detail::Full).await.unwrap();
    costs("read_jobs");
    store
        .extend(&keyed.id, Duration::from_secs(1))
        .await
        .unwrap();
    costs("extend");
    store.find(job.handle).await.unwrap();
    costs("find");
    store.list(&JobQuery::default()).await.unwrap();
    costs("list");
    store.remove(&keyed.id).await.unwrap();
    costs("remove");
    let lease = crate::add(&store).await;
    costs("create_jobs");
    store.release(&[lease], Release::default()).await.unwrap();
    costs("release_jobs");
    store.claim(&ClaimQuery::new(9)).await.unwrap();
    costs("claim");
    store.cancel(&lease.id).await.unwrap();
    costs("cancel");
    store.sweep(&SweepQuery::default()).await.unwrap();
    costs("sweep");
    let lease = crate::add(&store).await;
    costs("create_jobs");
    store.discard(&lease).await.unwrap();
    costs("discard");
}

#[tokio::test]
async fn calls_that_arrive_while_a_commit_is_under_way_share_statements() {
    const JOBS: usize = 200;
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = Arc::new(place.builder().connect().await.unwrap());
    let mut calls = JoinSet::new();
    for _ in 0..JOBS {
        let store = Arc::clone(&store);
        calls.spawn(async move {
            let lease = crate::add(&store).await;
            store.finish(&lease, crate::done(1).into()).await.unwrap();
        });
    }
    calls.join_all().await;
    // At most 128 are in one statement, and two statements of one kind are under way at once.
    let statements = statements(&store);
    assert!(statements["create_jobs"] <= 10, "{statements:?}");
    assert!(statements["finish_jobs"] <= 10, "{statements:?}");
}

/// The commands that hold a snapshot, until the end of their transaction.
const HOLD: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM jobs";

async fn offer(store: &PostgresStore, jobs: usize) {
    let request = StoredRequest::encode(&ReplayedRequest::default());
    for _ in 0..jobs {
        let job = NewJob::new(store.new_id(None, None)).with_start(Start::Offered);
        let job = job.with_request(request.clone());
        store.create(job).await.unwrap();
    }
}

/// Returns the shortest time of some claims of one job.
async fn claims(store: &PostgresStore) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..20 {
        let begun = Instant::now();
        let claims = store.claim(&ClaimQuery::new(1)).await.unwrap();
        shortest = shortest.min(begun.elapsed());
        assert_eq!(claims.jobs.len(), 1);
    }
    shortest
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_under_a_held_snapshot_stay_in_their_pages_and_slow_no_claim() {
    const LEASES: usize = 500;
    const ROUNDS: usize = 40;
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = place.builder().connect().await.unwrap();
    let mut leases = Vec::new();
    for _ in 0..LEASES {
        leases.push(crate::add(&store).await);
    }
    offer(&store, 100).await;
    let before = claims(&store).await;
    let holder = place.client().await;
    holder.batch_execute(HOLD).await.unwrap();
    let sizes = "SELECT sum(pg_relation_size(indexrelid))::bigint FROM pg_index \
                 WHERE indrelid = 'jobs'::regclass";
    let client = place.client().await;
    let size = async || client.query_one(sizes, &[]).await.unwrap().get::<_, i64>(0);
    let indexes = size().await;
    for _ in 0..ROUNDS {
        let renewed = store.renew(&leases).await.unwrap();
        assert!(renewed.iter().all(|renewal| renewal.is_held()));
    }
    let after = claims(&store).await;
    assert!(after < before * 3, "{before:?} became {after:?}");
    // A change outside of its page needs a new entry in each index, of some hundred bytes together.
    let grown = size().await - indexes;
    assert!(grown < 50 * (LEASES * ROUNDS) as i64, "{grown}");
    holder.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_minutes_of_sweeps_under_a_held_snapshot_slow_no_claim() {
    const LEASES: usize = 500;
    const LEASE: Duration = Duration::from_secs(30);
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = place.builder().lease_duration(LEASE);
    let store = store.connect().await.unwrap();
    let mut leases = Vec::new();
    for _ in 0..LEASES {
        leases.push(crate::add(&store).await);
    }
    offer(&store, 100).await;
    let before = claims(&store).await;
    let holder = place.client().await;
    holder.batch_execute(HOLD).await.unwrap();
    let clock = format!(
        "CREATE SEQUENCE thirds; ALTER FUNCTION job_now() RENAME TO earlier; \
         CREATE FUNCTION job_now() RETURNS bigint LANGUAGE sql VOLATILE AS \
         $$ SELECT {0}.earlier() + 10000000 * last_value FROM {0}.thirds $$",
        place.schema
    );
    place.execute(&clock).await;
    // A sweep moves the next look at a lease, of which the index then has a further entry.
    for _ in 0..120 {
        place.execute("SELECT nextval('thirds')").await;
        let renewed = store.renew(&leases).await.unwrap();
        assert!(renewed.iter().all(|renewal| renewal.is_held()));
        store.sweep(&SweepQuery::default()).await.unwrap();
    }
    let after = claims(&store).await;
    assert!(after < before * 3, "{before:?} became {after:?}");
    holder.batch_execute("COMMIT").await.unwrap();
}

/// The calls of functions that change, read or claim jobs of these ids.
fn calls(ids: &str) -> Vec<String> {
    let (epochs, none) = ("ARRAY[1]::bigint[]", "ARRAY[NULL]::bytea[]");
    let finish = format!(
        "finish_jobs({ids}, {epochs}, ARRAY[2]::smallint[], ARRAY['x']::bytea[], \
         ARRAY[1]::bigint[], ARRAY[NULL]::integer[], {none}, {none}, {none})"
    );
    vec![
        format!("renew(30000000, {ids}, {epochs})"),
        format!("report_jobs({ids}, {epochs}, ARRAY['1']::bytea[], {none}, {none}, {none})"),
        format!("start_jobs({ids}, {epochs})"),
        finish,
        format!("deliver({ids}, ARRAY[1]::bigint[])"),
        format!("read_jobs({ids}, ARRAY[true])"),
        format!("ended_jobs({ids})"),
        "next_turn(7, 0)".to_owned(),
        "has_work()".to_owned(),
        "claim(30000000, false, 1, 1000, NULL, NULL, 9::smallint, NULL)".to_owned(),
    ]
}

#[tokio::test]
async fn plans_made_for_an_empty_table_read_few_rows_of_a_full_one() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = place.builder().connect().await.unwrap();
    let client = place.client().await;
    for call in calls("ARRAY[gen_random_uuid()]") {
        let call = format!("SELECT count(*) FROM {call}");
        client.batch_execute(&call).await.unwrap();
    }
    for _ in 0..300 {
        crate::add(&store).await;
    }
    offer(&store, 300).await;
    let lease = crate::add(&store).await;
    let id = format!("ARRAY['{:032x}'::uuid]", lease.id.to_bits());
    let read = "SELECT (idx_tup_fetch + seq_tup_read)::bigint FROM pg_stat_xact_user_tables \
                WHERE relid = 'jobs'::regclass";
    for call in calls(&id) {
        client.batch_execute("BEGIN").await.unwrap();
        let before: i64 = client.query_one(read, &[]).await.unwrap().get(0);
        client
            .batch_execute(&format!("SELECT count(*) FROM {call}"))
            .await
            .unwrap();
        let after: i64 = client.query_one(read, &[]).await.unwrap().get(0);
        client.batch_execute("ROLLBACK").await.unwrap();
        assert!(after - before < 20, "{call} has read {}", after - before);
    }
}
