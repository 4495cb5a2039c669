//! Object stores that fail, hang and panic.

use std::time::Duration;

use tower_async_job_core::{JobStore, Release, StoreError};
use tower_async_job_testkit::{Call, Fault as StoreFault};

use crate::{
    common::*,
    objects::{Fault, Step},
};

/// Runs a job until a call fails.
async fn fail(store: &Store, setup: &Setup) -> (tower_async_job_core::Lease, StoreError) {
    let lease = create(store, job()).await;
    let error = match write(store, &lease, 1).await {
        Ok(()) => finish(store, &lease).await.unwrap_err(),
        Err(error) => error,
    };
    settle().await;
    assert!(
        record(&*setup.beneath, &lease.id)
            .await
            .unwrap()
            .result
            .is_none()
    );
    (lease, error)
}

fn texts(error: &StoreError) -> String {
    let source = std::error::Error::source(error);
    format!(
        "{error}: {}",
        source.map(ToString::to_string).unwrap_or_default()
    )
}

#[tokio::test(start_paused = true)]
async fn s81_every_call_that_fails_aborts_its_upload_and_the_job_can_be_repeated() {
    for (fault, reason, remedy) in [
        (
            Fault::Fails,
            "out of reach",
            "check that the object store is reachable",
        ),
        (
            Fault::FailsLate,
            "out of reach",
            "check that the object store is reachable",
        ),
        (
            Fault::Gone,
            "NoSuchUpload",
            "check that the object store is reachable",
        ),
        (
            Fault::Denied,
            "AccessDenied",
            "check the credentials of the object store",
        ),
        (Fault::Panics, "the object store panicked", ""),
    ] {
        for (step, number) in [
            (Step::Begin, 1),
            (Step::Part, 1),
            (Step::Part, 2),
            (Step::Part, 4),
            (Step::Complete, 1),
        ] {
            let case = format!("{fault:?} {step:?} {number}");
            let setup = Setup::new();
            let store = setup.node();
            setup.objects.fail(step, number, fault);
            let (lease, error) = fail(&store, &setup).await;
            assert!(error.is_unavailable(), "{case}: {error}");
            let (text, id) = (texts(&error), lease.id.encode());
            assert!(text.contains(reason) && text.contains(remedy), "{text}");
            if fault != Fault::Panics {
                let name = format!("the object 1970-01-01/{}…-1 cannot be", &id.as_str()[..8]);
                assert!(text.contains(&name), "{text}");
            }
            assert!(!text.contains(id.as_str()), "{text}");
            let begun = usize::from(step != Step::Begin);
            assert_eq!(setup.objects.calls(Step::Abort), begun, "{case}");
            assert!(setup.objects.names().await.is_empty(), "{case}");
            // The run cannot go on, and learns it at once.
            let next = store.write_chunk(&lease, 5, chunk(5, 1)).await;
            assert!(next.unwrap_err().is_lease_lost(), "{case}");
            assert!(
                finish(&store, &lease).await.unwrap_err().is_lease_lost(),
                "{case}"
            );

            store.release(&[lease], Release::default()).await.unwrap();
            let again = claim(&store).await;
            run(&store, &again, 2).await;
            assert_eq!(result(&store, &lease.id).await, body(2), "{case}");
            assert_eq!(setup.objects.calls(Step::Abort), begun, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s81_calls_end_in_time_while_a_part_hangs() {
    let setup = Setup::new();
    let store = setup.node();
    setup.objects.fail(Step::Part, 1, Fault::Hangs);
    let lease = create(&store, job()).await;
    let began = tokio::time::Instant::now();
    let error = write(&store, &lease, 1).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    // It is only late, and may be repeated.
    assert_eq!(setup.objects.calls(Step::Abort), 0);
    let index = CHUNKS - 1;
    let again = store.write_chunk(&lease, index, chunk(index, 1)).await;
    assert!(again.unwrap_err().is_unavailable());
    assert!(finish(&store, &lease).await.unwrap_err().is_unavailable());
    store.release(&[lease], Release::default()).await.unwrap();
    settle().await;
    assert_eq!(setup.objects.calls(Step::Abort), 1);
}

#[tokio::test(start_paused = true)]
async fn s81_an_upload_that_never_completes_is_aborted() {
    let setup = Setup::new();
    let store = setup.node();
    setup.objects.fail(Step::Complete, 1, Fault::Hangs);
    let lease = create(&store, job()).await;
    write(&store, &lease, 1).await.unwrap();
    for _ in 0..2 {
        let began = tokio::time::Instant::now();
        assert!(finish(&store, &lease).await.unwrap_err().is_unavailable());
        assert_eq!(began.elapsed(), Duration::from_secs(5));
    }
    store.release(&[lease], Release::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(601)).await;
    assert_eq!(setup.objects.calls(Step::Abort), 1);
}

#[tokio::test(start_paused = true)]
async fn s81_an_upload_that_cannot_be_aborted_costs_no_other() {
    let setup = Setup::new();
    let store = setup.node();
    for fault in [Fault::Fails, Fault::Hangs, Fault::Panics] {
        let lease = create(&store, job()).await;
        write(&store, &lease, 1).await.unwrap();
        setup.objects.fail(Step::Abort, 1, fault);
        let before = setup.objects.calls(Step::Abort);
        store.discard(&lease).await.unwrap();
        settle().await;
        assert_eq!(setup.objects.calls(Step::Abort), before + 1);
        let other = create(&store, job()).await;
        run(&store, &other, 2).await;
        assert_eq!(result(&store, &other.id).await, body(2));
    }
}

#[tokio::test(start_paused = true)]
async fn s10_an_end_of_unknown_outcome_is_repeated_with_the_same_object() {
    for fault in [StoreFault::Unavailable, StoreFault::Unacknowledged] {
        for call in [Call::WriteChunk, Call::Finish] {
            let setup = Setup::new();
            let store = setup.node();
            let lease = create(&store, job()).await;
            write(&store, &lease, 1).await.unwrap();
            setup.faulty.next(call, fault);
            let error = finish(&store, &lease).await.unwrap_err();
            assert!(error.is_unavailable(), "{error}");
            finish(&store, &lease).await.unwrap();
            finish(&store, &lease).await.unwrap();
            settle().await;
            assert_eq!(result(&store, &lease.id).await, body(1));
            let calls = [Step::Begin, Step::Complete, Step::Abort];
            assert_eq!(calls.map(|step| setup.objects.calls(step)), [1, 1, 0]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s20_a_result_without_room_in_the_job_store_leaves_no_object() {
    let setup = Setup::new();
    let store = setup.node();
    let lease = create(&store, job()).await;
    write(&store, &lease, 1).await.unwrap();
    setup.faulty.next(Call::Finish, StoreFault::Full);
    assert!(finish(&store, &lease).await.unwrap_err().is_full());
    assert_eq!(setup.objects.names().await.len(), 1);
    let problem = http_polling::Problem::new(http_polling::ProblemType::JobFailed);
    let failed = tower_async_job_core::Outcome::Failed(problem);
    store.finish(&lease, failed.into()).await.unwrap();
    settle().await;
    assert!(setup.objects.names().await.is_empty());
}
