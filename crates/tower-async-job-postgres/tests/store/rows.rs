//! Rows that cannot be read or are missing.

use http_polling::JobState;
use tower_async_job_core::{
    ClaimKind, ClaimQuery, Detail, JobId, JobQuery, JobStore, NewJob, Release, Released, Renewal,
    ReplayedRequest, Report, Start, StoredRequest, SweepQuery,
};
use tower_async_job_postgres::PostgresStore;

use crate::support::Place;

/// Executes a statement about one job behind the store's back.
async fn tamper(place: &Place, sql: &str, id: &JobId) {
    let sql = sql.replace("$1", &format!("'{}'", id.encode()));
    let client = place.client().await;
    assert_eq!(client.execute(&sql, &[]).await.unwrap(), 1, "{sql}");
}

async fn offer(store: &PostgresStore) -> JobId {
    let request = StoredRequest::encode(&ReplayedRequest::default());
    let job = NewJob::new(store.new_id(None, None))
        .with_request(request)
        .with_start(Start::Offered);
    let id = job.id;
    store.create(job).await.unwrap();
    id
}

#[tokio::test]
async fn s42_whatever_is_wrong_in_a_row_costs_no_other_its_lease() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = place.builder().connect().await.unwrap();
    let damages = [
        "protocol = 7",
        "pending_status = 7",
        "state = 12",
        "epoch = -1",
        "reports = -1",
        "attempt = -1",
        "max_attempts = 0",
        "owner_kind = 7",
        "owner_kind = 1",
        "owner = 'x'",
        "lease_until = NULL",
        "turn = 1",
        "format = 0",
        "route = '\\xff'",
    ];
    let sound = crate::add(&store).await;
    let mut leases = vec![sound];
    for damage in damages {
        let lease = crate::add(&store).await;
        let sql = format!("UPDATE jobs SET {damage} WHERE id = $1");
        tamper(&place, &sql, &lease.id).await;
        let read = store.read(&lease.id, Detail::Full).await;
        assert!(read.unwrap_err().is_corrupt(), "{damage}");
        leases.push(lease);
    }
    assert_eq!(store.renew(&leases).await.unwrap()[0], Renewal::Held);
    store.sweep(&SweepQuery::default()).await.unwrap();
    let page = store.list(&JobQuery::default()).await.unwrap();
    assert_eq!((page.jobs.len(), page.unreadable), (1, damages.len()));
    let released = store.release(&leases, Release::default()).await.unwrap();
    assert_eq!(released[0], Released::Queued);
    assert_eq!(
        store.claim(&ClaimQuery::new(9)).await.unwrap().jobs.len(),
        1
    );
}

#[tokio::test]
async fn s42_a_row_of_contents_that_is_missing_costs_its_job_alone() {
    let Some(place) = Place::of_system() else {
        return;
    };
    let store = place.builder().connect().await.unwrap();
    // Without its request, an offered job fails.
    let (damaged, sound) = (offer(&store).await, offer(&store).await);
    tamper(&place, "DELETE FROM requests WHERE job = $1", &damaged).await;
    let claims = store.claim(&ClaimQuery::new(9)).await.unwrap();
    assert_eq!(claims.unreadable.len(), 1);
    assert_eq!(claims.jobs[0].lease.id, sound);
    let record = store.read(&damaged, Detail::Full).await.unwrap().unwrap();
    assert_eq!(record.state, JobState::Failed);
    // Without its report, a job has none.
    let lease = claims.jobs[0].lease;
    let report = Report::default().with_checkpoint("note");
    store.report(&lease, report).await.unwrap();
    tamper(&place, "DELETE FROM reports WHERE job = $1", &lease.id).await;
    let record = store.read(&lease.id, Detail::Full).await.unwrap().unwrap();
    assert_eq!(record.state, JobState::Running);
    // Without its result, its state is all that is known.
    store.finish(&lease, crate::done(1).into()).await.unwrap();
    tamper(&place, "DELETE FROM results WHERE job = $1", &lease.id).await;
    let read = store.read(&lease.id, Detail::Full).await;
    assert!(read.unwrap_err().is_corrupt());
    let record = store
        .read(&lease.id, Detail::Status)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(record.state, JobState::Done);
    // Without its contents, a notification is not sent, and not tried again.
    let job = NewJob::new(store.new_id(None, None)).with_notify(vec![1]);
    let lease = job.first_lease();
    store.create(job).await.unwrap();
    store.finish(&lease, crate::done(1).into()).await.unwrap();
    tamper(
        &place,
        "DELETE FROM notifications WHERE job = $1",
        &lease.id,
    )
    .await;
    let query = ClaimQuery::new(9).with_kind(ClaimKind::Notify);
    assert_eq!(store.claim(&query).await.unwrap().unreadable.len(), 1);
    assert_eq!(store.claim(&query).await.unwrap().unreadable, []);
}
