//! Runs that end without their result.

use http_polling::{JobState, Problem, ProblemType};
use tower_async_job_core::{Detail, JobStore, Lease, Outcome, Release};
use tower_async_job_testkit::{Call, Fault};

use crate::{common::*, objects::Step};

/// The ways in which a run ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    IsReleased,
    IsDiscarded,
    IsCancelled,
    IsCancelledElsewhere,
    Fails,
    LosesItsLease,
    LosesItsLeaseSilently,
    WritesTooLate,
    StoreIsDropped,
}

const WAYS: [Way; 9] = [
    Way::IsReleased,
    Way::IsDiscarded,
    Way::IsCancelled,
    Way::IsCancelledElsewhere,
    Way::Fails,
    Way::LosesItsLease,
    Way::LosesItsLeaseSilently,
    Way::WritesTooLate,
    Way::StoreIsDropped,
];

async fn end(way: Way, store: Store, setup: &Setup, lease: &Lease) -> Option<Store> {
    let other = setup.node();
    match way {
        Way::IsReleased => drop(store.release(&[*lease], Release::default()).await.unwrap()),
        Way::IsDiscarded => store.discard(lease).await.unwrap(),
        Way::IsCancelled => drop(store.cancel(&lease.id).await.unwrap()),
        Way::IsCancelledElsewhere => {
            other.cancel(&lease.id).await.unwrap();
            assert!(!store.renew(&[*lease]).await.unwrap()[0].is_held());
        }
        Way::Fails => {
            let failed = Outcome::Failed(Problem::new(ProblemType::JobFailed));
            store.finish(lease, failed.into()).await.unwrap();
        }
        Way::LosesItsLease | Way::LosesItsLeaseSilently | Way::WritesTooLate => {
            tokio::time::sleep(LEASE).await;
            assert!(claim(&other).await.epoch > lease.epoch);
            match way {
                Way::LosesItsLease => assert!(!store.renew(&[*lease]).await.unwrap()[0].is_held()),
                Way::WritesTooLate => {
                    let late = store.write_chunk(lease, 2, chunk(2, 1)).await;
                    assert!(late.unwrap_err().is_lease_lost());
                }
                _ => {
                    // The first sweep sees that it was used, the second that it was not.
                    sweep(&store).await;
                    assert_eq!(setup.objects.calls(Step::Abort), 0);
                    sweep(&store).await;
                }
            }
        }
        Way::StoreIsDropped => return None,
    }
    Some(store)
}

#[tokio::test(start_paused = true)]
async fn s06_an_upload_is_aborted_however_its_run_ends() {
    for way in WAYS {
        let setup = Setup::new();
        let store = setup.node();
        let lease = create(&store, job()).await;
        write(&store, &lease, 1).await.unwrap();
        settle().await;
        assert_eq!(setup.objects.calls(Step::Abort), 0, "{way:?}");
        let store = end(way, store, &setup, &lease).await;
        settle().await;
        assert_eq!(setup.objects.calls(Step::Abort), 1, "{way:?}");
        assert!(setup.objects.names().await.is_empty(), "{way:?}");
        let Some(store) = store else {
            continue;
        };
        assert!(
            finish(&store, &lease).await.unwrap_err().is_lease_lost(),
            "{way:?}"
        );
        let record = store.read(&lease.id, Detail::Full).await.unwrap();
        assert!(
            record.is_none_or(|record| record.state != JobState::Done),
            "{way:?}"
        );
        assert_eq!(setup.objects.calls(Step::Complete), 0, "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_complete_object_is_deleted_however_its_run_ends_unless_it_may_be_the_result() {
    for fault in [None, Some(Fault::Unavailable)] {
        for way in WAYS {
            let setup = Setup::new();
            let store = setup.node();
            let lease = create(&store, job()).await;
            write(&store, &lease, 1).await.unwrap();
            // Complete, and then unable to tell the job store of it, or to learn its answer.
            let call = if fault.is_some() {
                Call::Finish
            } else {
                Call::WriteChunk
            };
            setup.faulty.next(call, Fault::Unavailable);
            finish(&store, &lease).await.unwrap_err();
            let left = usize::from(fault.is_some());
            assert_eq!(setup.objects.names().await.len(), 1);
            let _store = end(way, store, &setup, &lease).await;
            settle().await;
            assert_eq!(setup.objects.names().await.len(), left, "{way:?} {fault:?}");
            assert_eq!(setup.objects.calls(Step::Abort), 0, "{way:?} {fault:?}");
            // The hourly comparison finds it.
            let other = setup.node();
            tokio::time::sleep(26 * HOUR).await;
            sweep(&other).await;
            tokio::time::sleep(HOUR).await;
            sweep(&other).await;
            assert!(setup.objects.names().await.is_empty(), "{way:?} {fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s07_the_object_of_a_stale_run_never_becomes_visible() {
    let setup = Setup::new();
    let (stale, node) = (setup.node(), setup.node());
    let old = create(&stale, job()).await;
    write(&stale, &old, 1).await.unwrap();
    tokio::time::sleep(LEASE).await;
    let new = claim(&node).await;
    let late = chunk(CHUNKS - 1, 1);
    write(&node, &new, 2).await.unwrap();
    assert!(finish(&stale, &old).await.unwrap_err().is_lease_lost());
    finish(&node, &new).await.unwrap();
    let again = stale.write_chunk(&old, CHUNKS - 1, late).await;
    assert!(again.unwrap_err().is_lease_lost());
    settle().await;
    for store in [&stale, &node] {
        assert_eq!(result(store, &new.id).await, body(2));
    }
    let name = setup.objects.only().await.to_string();
    assert!(name.ends_with(&format!("-{}", new.epoch)), "{name}");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_dropped_at_any_time_is_repeated() {
    for polls in 0..12 {
        let setup = Setup::new();
        let store = setup.node();
        let lease = create(&store, job()).await;
        for index in 0..CHUNKS {
            let mut written = store.write_chunk(&lease, index, chunk(index, 1));
            for _ in 0..polls {
                let polled = futures_util::poll!(&mut written);
                if polled.is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(written);
            store
                .write_chunk(&lease, index, chunk(index, 1))
                .await
                .unwrap();
        }
        let mut finished = Box::pin(finish(&store, &lease));
        for _ in 0..polls {
            if futures_util::poll!(&mut finished).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(finished);
        finish(&store, &lease).await.unwrap();
        assert_eq!(result(&store, &lease.id).await, body(1), "{polls}");
        assert_eq!(setup.objects.names().await.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn chunks_may_be_replaced_and_come_in_any_order() {
    let setup = Setup::new();
    let store = setup.node();
    let lease = create(&store, job()).await;
    write(&store, &lease, 1).await.unwrap();
    for index in (0..CHUNKS).rev() {
        store
            .write_chunk(&lease, index, chunk(index, 2))
            .await
            .unwrap();
    }
    finish(&store, &lease).await.unwrap();
    assert_eq!(result(&store, &lease.id).await, body(2));
}

#[tokio::test(start_paused = true)]
async fn s06_a_result_with_a_missing_chunk_is_not_stored() {
    let setup = Setup::new();
    let store = setup.node();
    let lease = create(&store, job()).await;
    for index in (0..CHUNKS).filter(|index| *index != 5) {
        store
            .write_chunk(&lease, index, chunk(index, 1))
            .await
            .unwrap();
    }
    assert!(finish(&store, &lease).await.unwrap_err().is_lease_lost());
    settle().await;
    assert!(setup.objects.names().await.is_empty());
}
