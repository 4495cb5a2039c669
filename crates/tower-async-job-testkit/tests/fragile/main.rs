//! A store whose records can be damaged and whose notifications can be lost: it keeps the contract,
//! but not without one of its precautions.

mod store;

use std::{sync::Arc, time::Duration};

use tower_async_job_core::{JobId, JobStore};
use tower_async_job_testkit::{Harness, Hook, Interposed, Limits, MemoryHarness, contract, tests};

use store::{Fragile, Precaution, State};

/// The harness of a store without one of its precautions, or with all of them.
struct FragileHarness {
    memory: MemoryHarness,
    state: Arc<State>,
}

impl FragileHarness {
    fn new(missing: Option<Precaution>) -> Self {
        let state = Arc::new(State::without(missing));
        let shared = Arc::clone(&state);
        let memory = MemoryHarness::wrapping(move |store| {
            Arc::new(Interposed::new(Fragile::new(store, Arc::clone(&shared))))
        });
        Self { memory, state }
    }
}

impl Harness for FragileHarness {
    fn store(&self) -> Arc<dyn JobStore> {
        self.memory.store()
    }

    fn second(&self) -> Hook<'_, Arc<dyn JobStore>> {
        self.memory.second()
    }

    fn advance(&self, span: Duration) -> Hook<'_, ()> {
        self.memory.advance(span)
    }

    fn jump_back(&self, span: Duration) -> Hook<'_, ()> {
        self.memory.jump_back(span)
    }

    fn crash(&self) -> Hook<'_, Arc<dyn JobStore>> {
        Box::pin(async move {
            self.state.crash();
            Ok(self.memory.store())
        })
    }

    fn limited(&self, limits: Limits) -> Hook<'_, Box<dyn Harness>> {
        self.memory.limited(limits)
    }

    fn corrupt(&self, id: JobId) -> Hook<'_, ()> {
        Box::pin(async move {
            self.state.corrupt(id);
            Ok(())
        })
    }

    fn give_newer_format(&self, id: JobId) -> Hook<'_, ()> {
        Box::pin(async move {
            self.state.give_newer_format(id);
            Ok(())
        })
    }

    fn lose_notifications(&self) -> Hook<'_, ()> {
        Box::pin(async move {
            self.state.lose_notifications();
            Ok(())
        })
    }
}

contract!(FragileHarness::new(None));

/// Asserts that a test fails with a store that lacks one precaution.
async fn assert_fails(missing: Precaution, name: &str) {
    let test = tests().iter().find(|test| test.name() == name).unwrap();
    let failed = tokio::spawn(async move { test.run(&FragileHarness::new(Some(missing))).await });
    assert!(failed.await.is_err_and(|error| error.is_panic()), "{name}");
}

#[tokio::test]
async fn writes_that_a_crash_loses_are_noticed() {
    for test in [
        "s02_jobs_that_were_acknowledged_outlive_a_crash",
        "s02_results_and_keys_that_were_acknowledged_outlive_a_crash",
        "s02_each_step_of_a_notification_outlives_a_crash",
        "s80_jobs_whose_node_died_with_the_store_are_swept_after_it",
    ] {
        assert_fails(Precaution::Commits, test).await;
    }
}

#[tokio::test]
async fn a_corrupt_record_that_is_claimed_for_ever_is_noticed() {
    let test = "s42_a_corrupt_record_ends_its_job_once";
    assert_fails(Precaution::EndsCorrupt, test).await;
}

#[tokio::test]
async fn a_corrupt_record_that_spoils_a_batch_is_noticed() {
    let test = "s42_a_corrupt_record_spoils_no_batch_of_leases";
    for missing in [Precaution::RenewsTheRest, Precaution::ReleasesTheRest] {
        assert_fails(missing, test).await;
    }
}

#[tokio::test]
async fn a_list_that_fails_as_a_whole_is_noticed() {
    let test = "s42_a_list_counts_unreadable_jobs";
    assert_fails(Precaution::ListsTheRest, test).await;
}

#[tokio::test]
async fn a_record_of_a_newer_format_that_is_claimed_is_noticed() {
    let test = "s41_a_record_of_a_newer_format_is_left_alone";
    assert_fails(Precaution::LeavesNewer, test).await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_fallback_is_noticed() {
    let test = "s25_a_lost_notification_only_delays_a_wait";
    assert_fails(Precaution::LooksAgain, test).await;
}
