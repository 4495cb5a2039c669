//! Ends of jobs.

use std::time::Duration;

use http_polling::Progress;
use tower_async_job_core::{
    Cancellation, Created, Detail, Outcome, RecordedOutcome, Report, ResultRef,
};

use crate::common::*;

pub(crate) async fn s10_repeated_finish_is_told_by_its_state_with_and_without_reports(
    store: Store,
    pass: &Pass,
) {
    let report = || Report::default().with_progress(Progress::fraction(1.0));
    for (first, again) in [
        (done(b"a"), done(b"a")),
        (done(b"a"), done(b"b")),
        (done(b"a").with_report(report()), done(b"a")),
        (done(b"a"), done(b"a").with_report(report())),
    ] {
        let lease = create(&store, job()).await;
        store.finish(&lease, first).await.unwrap();
        let before = read(&store, &lease.id).await;
        pass.by(MOMENT);
        store.finish(&lease, again).await.unwrap();
        pass.back(MOMENT);
        assert_eq!(read(&store, &lease.id).await, before);
        let other = store.finish(&lease, failed()).await;
        assert!(other.unwrap_err().is_lease_lost());
    }
}

pub(crate) async fn outcome_and_last_report_are_stored_together(store: Store, _: &Pass) {
    let lease = create(&store, job()).await;
    let first = Report::default().with_progress(Progress::of(1, 2));
    store.report(&lease, first).await.unwrap();
    let partial = serde_json::json!([1]);
    let last = Report::default().with_partial(partial.clone());
    store
        .finish(&lease, done(b"x").with_report(last))
        .await
        .unwrap();
    let record = read(&store, &lease.id).await.unwrap();
    assert_eq!(record.progress, Some(Progress::of(1, 2)));
    assert_eq!(record.partial, Some(partial.into()));
    assert!(record.outcome.is_some());
}

pub(crate) async fn creation_and_cancellation_tell_the_times_of_the_record(
    store: Store,
    pass: &Pass,
) {
    let job = job();
    let id = job.id;
    let Created::New { created, .. } = store.create(job).await.unwrap() else {
        panic!("not made");
    };
    pass.by(Duration::from_secs(5));
    let Cancellation::Cancelled { ended } = store.cancel(&id).await.unwrap() else {
        panic!("not cancelled");
    };
    let record = read(&store, &id).await.unwrap();
    assert_eq!((record.created, record.ended), (created, Some(ended)));
    assert_eq!(ended, created + Duration::from_secs(5));
    let offer = offered();
    let id = offer.id;
    let Created::Offered { created } = store.create(offer).await.unwrap() else {
        panic!("not offered");
    };
    assert_eq!(read(&store, &id).await.unwrap().created, created);
}

pub(crate) async fn result_is_described_without_its_bytes(store: Store, _: &Pass) {
    let lease = create(&store, job()).await;
    assert_eq!(read(&store, &lease.id).await.unwrap().result, None);
    store.finish(&lease, done(b"hello")).await.unwrap();
    let status = store
        .read(&lease.id, Detail::Status)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.result, Some(ResultRef::new(lease, 5)));
    let head = store.read(&lease.id, Detail::Head).await.unwrap().unwrap();
    assert_eq!(head.result, status.result);
    assert!(matches!(
        head.outcome,
        Some(RecordedOutcome::Response(_) | RecordedOutcome::Head(_))
    ));
    let problem = create(&store, job()).await;
    store.finish(&problem, failed()).await.unwrap();
    assert_eq!(read(&store, &problem.id).await.unwrap().result, None);
    let Outcome::Done(stored) = done(b"hello").outcome else {
        unreachable!()
    };
    assert_eq!(stored.body_len(), 5);
}
