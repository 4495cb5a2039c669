//! Creates that are taken back.

use tower_async_job_core::{Created, IdempotencyKey, Renewal};

use crate::common::*;

pub(crate) async fn s36_create_behind_its_discard_makes_no_job(store: Store, pass: &Pass) {
    let key = || IdempotencyKey::new("key", [1; 32]).unwrap();
    for late in [offered(), replayable(), job()] {
        let late = late.with_idempotency(key());
        store.discard(&late.first_lease()).await.unwrap();
        store.discard(&late.first_lease()).await.unwrap();
        pass.by(LEASE - MOMENT);
        let id = late.id;
        assert!(store.create(late).await.unwrap_err().is_conflict());
        assert_eq!(read(&store, &id).await, None);
        assert_eq!(store.look_up(None, &key()).await.unwrap(), None);
        pass.by(LEASE);
        store.sweep().await.unwrap();
        assert!(claim(&store).await.is_none());
    }
}

pub(crate) async fn voided_id_is_free_again_after_a_lease(store: Store, pass: &Pass) {
    let job = job();
    store.create(job.clone()).await.unwrap();
    store.discard(&job.first_lease()).await.unwrap();
    assert!(store.create(job.clone()).await.unwrap_err().is_conflict());
    pass.by(LEASE);
    assert!(matches!(
        store.create(job).await.unwrap(),
        Created::New { .. }
    ));
}

pub(crate) async fn removed_job_is_not_missing(store: Store, _: &Pass) {
    let cancelled = create(&store, job()).await;
    store.cancel(&cancelled.id).await.unwrap();
    store.remove(&cancelled.id).await.unwrap();
    let discarded = create(&store, job()).await;
    store.discard(&discarded).await.unwrap();
    let renewals = store.renew(&[cancelled, discarded]).await.unwrap();
    assert_eq!(renewals, [Renewal::Lost; 2]);
}
