//! Lists and counts.

use tower_async_job_core::{JobQuery, Principal};

use crate::common::*;

pub(crate) async fn list_of_one_principal_has_its_jobs_only(store: Store, pass: &Pass) {
    let (one, other) = (Principal::new("one"), Principal::new("other"));
    let mut ids = Vec::new();
    for principal in [&one, &other, &one] {
        let lease = create(&store, job().with_principal(principal.clone())).await;
        ids.push(lease.id);
        store.finish(&lease, done(b"")).await.unwrap();
    }
    create(&store, job()).await;
    for sweep in [false, true] {
        let page = store
            .list(&JobQuery::default().with_principal(one.clone()))
            .await
            .unwrap();
        let mut listed: Vec<_> = page.jobs.iter().map(|record| record.id).collect();
        listed.sort();
        let mut expected = vec![ids[0], ids[2]];
        expected.sort();
        assert_eq!(listed, expected, "{sweep}");
        assert_eq!((page.next, page.unreadable), (None, 0));
        // Of an expired job only the digest of its owner is kept.
        pass.by(HOUR);
        store.sweep().await.unwrap();
    }
}

pub(crate) async fn sweep_counts_pending_jobs_by_principal(store: Store, pass: &Pass) {
    let (one, other) = (Principal::new("one"), Principal::new("other"));
    for principal in [&one, &other, &one] {
        create(&store, job().with_principal(principal.clone())).await;
    }
    let ended = create(&store, job().with_principal(other.clone())).await;
    store.finish(&ended, done(b"")).await.unwrap();
    create(&store, job()).await;
    let pending = store.sweep().await.unwrap().pending;
    assert_eq!(pending.total, 4);
    assert_eq!(pending.principals, [(one, 2), (other, 1)]);
    pass.by(LEASE);
    let pending = store.sweep().await.unwrap().pending;
    assert_eq!(pending.total, 0);
    assert!(pending.principals.is_empty());
}
