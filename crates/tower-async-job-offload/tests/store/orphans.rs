//! The hourly comparison of objects with the job store.

use std::time::Duration;

use tower_async_job_core::{CHUNKS_LINGER, JobStore, NewJob, Retention};
use tower_async_job_offload::object_store::{ObjectStoreExt, path::Path};

use crate::{common::*, objects::Step};

const DAY: Duration = Duration::from_secs(86_400);

async fn ended(store: &Store, job: NewJob) -> tower_async_job_core::JobRecord {
    let lease = create(store, job).await;
    run(store, &lease, 1).await;
    record(store, &lease.id).await.unwrap()
}

/// Sweeps once an hour for this number of hours.
async fn hours(store: &Store, hours: u32) {
    for _ in 0..hours {
        tokio::time::sleep(HOUR).await;
        sweep(store).await;
    }
}

#[tokio::test(start_paused = true)]
async fn objects_of_expired_and_removed_jobs_are_deleted_and_those_of_others_kept() {
    let setup = Setup::new();
    let store = setup.node();
    let long = || job().with_retention(Retention::new(3 * DAY, HOUR));
    let (expired, removed) = (ended(&store, job()).await, ended(&store, long()).await);
    let (kept, extended) = (ended(&store, long()).await, ended(&store, job()).await);
    assert!(store.remove(&removed.id).await.unwrap());
    assert!(store.extend(&extended.id, 3 * DAY).await.unwrap());
    assert_eq!(setup.objects.names().await.len(), 4);
    // Up to here, the day is not older than the retention.
    hours(&store, 24).await;
    assert_eq!(setup.objects.names().await.len(), 4);
    assert_eq!(setup.objects.calls(Step::List), 0);
    hours(&store, 3).await;
    let names = setup.objects.names().await;
    assert_eq!(names.len(), 2, "{names:?}");
    for record in [&kept, &extended] {
        assert_eq!(result(&store, &record.id).await, body(1));
    }
    assert_eq!(read(&store, &expired).await, None);
    assert_eq!(read(&store, &removed).await, None);
    // With their jobs, the others go too.
    hours(&store, 3 * 24).await;
    assert!(setup.objects.names().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn s50_objects_outlive_their_job_while_they_are_read() {
    let setup = Setup::new();
    let store = setup.node();
    let found = ended(
        &store,
        job().with_retention(Retention::new(30 * HOUR, HOUR)),
    )
    .await;
    hours(&store, 29).await;
    assert!(store.remove(&found.id).await.unwrap());
    for _ in 0..20 {
        sweep(&store).await;
        assert_eq!(read(&store, &found).await, Some(body(1)));
        tokio::time::sleep(CHUNKS_LINGER - Duration::from_secs(1)).await;
    }
    hours(&store, 3).await;
    assert_eq!(read(&store, &found).await, None);
    assert!(setup.objects.names().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_object_is_kept_while_its_run_goes_on_or_the_job_store_is_out_of_reach() {
    use tower_async_job_testkit::{Call, Fault};
    let setup = Setup::new();
    let store = setup.node();
    let lease = create(&store, job()).await;
    write(&store, &lease, 1).await.unwrap();
    setup.faulty.next(Call::Finish, Fault::Unavailable);
    finish(&store, &lease).await.unwrap_err();
    for _ in 0..(3 * DAY.as_secs() / 20) {
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(store.renew(&[lease]).await.unwrap()[0].is_held());
    }
    sweep(&store).await;
    assert_eq!(setup.objects.names().await.len(), 1);
    finish(&store, &lease).await.unwrap();
    assert_eq!(result(&store, &lease.id).await, body(1));
    tokio::time::sleep(3 * HOUR).await;
    setup
        .faulty
        .plan(Call::Read, Fault::Unavailable, usize::from(u8::MAX));
    sweep(&store).await;
    assert_eq!(setup.objects.names().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn objects_are_compared_once_an_hour_and_others_left_alone() {
    let setup = Setup::new();
    let store = setup.node();
    let other = format!(
        "1970-01-01/{}-1",
        tower_async_job_core::JobId::random().encode()
    );
    let foreign = [
        "readme",
        "1970-01-01/readme",
        "1970-01-01/0123-1",
        "backups/00000000000000000000000000000007-1",
    ];
    for name in foreign.into_iter().chain([&*other]) {
        let path = Path::from(name);
        setup.objects.inner.put(&path, "x".into()).await.unwrap();
    }
    tokio::time::sleep(2 * DAY).await;
    for _ in 0..30 {
        sweep(&store).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(setup.objects.calls(Step::List), 1);
    let mut names = setup.objects.names().await;
    names.sort_unstable();
    let mut expected = foreign.map(str::to_owned).to_vec();
    expected.sort_unstable();
    assert_eq!(names, expected);
    hours(&store, 1).await;
    assert_eq!(setup.objects.calls(Step::List), 2);
}
