//! Stores that each break one promise: a named test of the contract fails with each.

mod claims;
mod ends;
mod fences;
mod keys;
mod leases;
mod queues;
mod reads;
mod rooms;

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::Duration,
};

use tower_async_job_core::{JobStore, MemoryStore};
use tower_async_job_testkit::{Interpose, Interposed, MemoryHarness, NotRun, Test, tests};

/// Generates a store with changed methods and some state from an in-memory store.
macro_rules! flaw {
    ($(#[$about:meta])* $name:ident($memory:ty) { $($methods:tt)* }) => {
        $(#[$about])*
        #[derive(Debug)]
        struct $name {
            inner: tower_async_job_core::MemoryStore,
            #[allow(dead_code, reason = "most need no memory")]
            memory: std::sync::Mutex<$memory>,
        }

        impl From<tower_async_job_core::MemoryStore> for $name {
            fn from(inner: tower_async_job_core::MemoryStore) -> Self {
                Self { inner, memory: Default::default() }
            }
        }

        impl tower_async_job_testkit::Interpose for $name {
            fn inner(&self) -> &dyn tower_async_job_core::JobStore {
                &self.inner
            }

            $($methods)*
        }
    };
}

/// Generates a test that lists the tests of the contract that fail with a store.
macro_rules! fails {
    ($($test:ident: $store:ident fails $($name:ident),+;)*) => {
        /// The tests that fail with a store of this file.
        pub(crate) const NAMED: &[&str] = &[$($(stringify!($name)),+),*];

        $(
            #[test]
            fn $test() {
                crate::assert_fails::<$store>(&[$(stringify!($name)),+]);
            }
        )*
    };
}

use {fails, flaw};

/// The name of threads whose panics are expected.
const EXPECTED: &str = "expected to panic";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns whether a test of the contract fails.
fn fails_with<S: JobStore>(test: Test, make: fn(MemoryStore) -> S) -> Result<bool, NotRun> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if thread::current().name() != Some(EXPECTED) {
                loud(panic);
            }
        }));
    });
    let running = thread::Builder::new()
        .name(EXPECTED.to_owned())
        .spawn(move || {
            let harness = MemoryHarness::wrapping(move |store| Arc::new(make(store)));
            // Paused time passes immediately, so an endless wait is short.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime");
            let limit = Duration::from_secs(3600);
            let run = async { tokio::time::timeout(limit, test.run(&harness)).await };
            match catch_unwind(AssertUnwindSafe(|| runtime.block_on(run))) {
                Ok(Ok(Ok(()))) => Ok(false),
                Ok(Ok(Err(not_run))) => Err(not_run),
                Ok(Err(_)) | Err(_) => Ok(true),
            }
        });
    running
        .expect("a thread")
        .join()
        .expect("its panics are caught")
}

fn assert_fails<S>(names: &[&str])
where
    S: Interpose + From<MemoryStore>,
{
    for name in names {
        let test = tests().iter().find(|test| test.name() == *name);
        let test = *test.unwrap_or_else(|| panic!("there is no test {name}"));
        let failed = fails_with(test, |store| Interposed::new(S::from(store)));
        assert_eq!(failed, Ok(true), "{name} does not notice it");
    }
}

#[test]
fn a_store_without_flaws_fails_no_test() {
    for test in tests() {
        let failed = fails_with(*test, |store| store);
        assert_ne!(failed, Ok(true), "{} always fails", test.name());
    }
}

#[test]
fn each_test_fails_with_some_store() {
    let named = [
        claims::NAMED,
        ends::NAMED,
        fences::NAMED,
        keys::NAMED,
        leases::NAMED,
        queues::NAMED,
        reads::NAMED,
        rooms::NAMED,
    ];
    let named: HashSet<_> = named.concat().into_iter().collect();
    for test in tests() {
        // Those that need damage, a crash or a lost notification are in the other program.
        let runs_here = || fails_with(*test, |store| store).is_ok();
        assert!(
            named.contains(test.name()) || !runs_here(),
            "no store fails {}",
            test.name()
        );
    }
}
