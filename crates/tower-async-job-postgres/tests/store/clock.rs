//! Servers whose clock is set, and the day of nodes.

use std::time::{Duration, SystemTime};

use http_polling::JobState;
use tower_async_job_core::{
    ClaimKind, ClaimQuery, Detail, JobStore, NewJob, Outcome, Release, Renewal, SweepQuery,
};

use crate::support::Place;

const HOUR: Duration = Duration::from_secs(3600);

/// Sets the clock of the server by an hour, with the sign `+` or `-`.
async fn shift(place: &Place, sign: &str) {
    let sql = format!(
        "ALTER FUNCTION job_now() RENAME TO earlier; \
         CREATE FUNCTION job_now() RETURNS bigint LANGUAGE sql VOLATILE AS \
         $$ SELECT {}.earlier() {sign} 3600000000 $$",
        place.schema
    );
    place.execute(&sql).await;
}

#[tokio::test]
async fn s15_no_notification_waits_behind_others_for_its_correction() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = place.builder().connect().await.unwrap();
    let job = NewJob::new(store.new_id(None, None)).with_notify(vec![1]);
    let lease = job.first_lease();
    store.create(job).await.unwrap();
    store.finish(&lease, crate::done(1).into()).await.unwrap();
    store.sweep(&SweepQuery::default()).await.unwrap();
    let query = ClaimQuery::new(9).with_kind(ClaimKind::Notify);
    let claims = store.claim(&query).await.unwrap();
    let again = Some(Duration::from_millis(200));
    store.notified(&claims.jobs[0].lease, again).await.unwrap();
    shift(&place, "-").await;
    // More than a sweep looks at wait for longer, and rightly so.
    let others = "CREATE TEMPORARY TABLE others AS SELECT jobs FROM jobs; \
                  INSERT INTO jobs SELECT (jsonb_populate_record(jobs, jsonb_build_object( \
                  'id', gen_random_uuid(), 'notify_due', job_now() + 9000000000 + n, \
                  'lease_until', job_now()))).* FROM others, generate_series(1, 600) AS n";
    place.execute(others).await;
    store.sweep(&SweepQuery::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let claims = store.claim(&query).await.unwrap();
    let ids: Vec<_> = claims.jobs.iter().map(|claim| claim.lease.id).collect();
    assert_eq!(ids, [lease.id]);
}

#[tokio::test]
async fn s15_a_node_that_died_before_the_clock_was_set_back_is_not_counted_for_longer() {
    const LEASE: Duration = Duration::from_millis(300);
    let Some(place) = Place::of_system() else {
        return;
    };
    let builder = || place.builder().lease_duration(LEASE);
    let store = builder().connect().await.unwrap();
    let dead = builder().connect().await.unwrap();
    let nodes = async || {
        let upkeep = store.sweep(&SweepQuery::default()).await;
        upkeep.unwrap().nodes
    };
    dead.sweep(&SweepQuery::default()).await.unwrap();
    drop(dead);
    assert_eq!(nodes().await, 2);
    shift(&place, "-").await;
    nodes().await;
    tokio::time::sleep(LEASE * 2).await;
    assert_eq!(nodes().await, 1);
}

#[tokio::test]
async fn s15_a_job_that_waits_for_its_next_run_waits_no_longer_after_the_clock_was_set_back() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = place.builder().connect().await.unwrap();
    let after = |millis| Release::default().with_after(Duration::from_millis(millis));
    let (soon, later) = (crate::add(&store).await, crate::add(&store).await);
    store.release(&[soon], after(200)).await.unwrap();
    store.release(&[later], after(60_000)).await.unwrap();
    shift(&place, "-").await;
    store.sweep(&SweepQuery::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    store.sweep(&SweepQuery::default()).await.unwrap();
    let claims = store.claim(&ClaimQuery::new(9)).await.unwrap();
    let ids: Vec<_> = claims.jobs.iter().map(|claim| claim.lease.id).collect();
    assert_eq!(ids, [soon.id]);
}

#[tokio::test]
async fn s14_nodes_whose_day_is_an_hour_off_go_by_the_time_of_the_store() {
    for (sign, name) in [("+", "behind"), ("-", "ahead")] {
        let Some(place) = Place::of_system() else {
            return;
        };
        let (store, other) = (place.builder().connect().await.unwrap(), place.builder());
        let other = other.connect().await.unwrap();
        // An hour ahead for the store is an hour behind for the nodes.
        shift(&place, sign).await;
        let lease = crate::add(&store).await;
        for store in [&store, &other] {
            store.sweep(&SweepQuery::default()).await.unwrap();
            assert_eq!(
                store.claim(&ClaimQuery::new(9)).await.unwrap().jobs.len(),
                0
            );
        }
        assert_eq!(
            store.renew(&[lease]).await.unwrap(),
            [Renewal::Held],
            "{name}"
        );
        let outcome: Outcome = crate::done(1);
        store.finish(&lease, outcome.into()).await.unwrap();
        let record = other.read(&lease.id, Detail::Full).await.unwrap().unwrap();
        assert_eq!(record.state, JobState::Done, "{name}");
        assert!(record.age < HOUR / 2, "{name}: {:?}", record.age);
        let day = match sign {
            "+" => SystemTime::now() + HOUR,
            _ => SystemTime::now() - HOUR,
        };
        let off = record.created.duration_since(day);
        let off = off.unwrap_or_else(|error| error.duration());
        assert!(off < HOUR / 2, "{name}: {off:?}");
    }
}
