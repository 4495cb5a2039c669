#![doc = include_str!("../README.md")]

mod clock;
mod contract;
mod faulty;
mod harness;
mod history;
mod list;
mod memory;
mod node;
mod run;
mod test;

pub use clock::TestClock;
pub use faulty::{Fault, FaultyStore, Gate};
pub use harness::{Harness, Hook, Limits, NotRun};
pub use memory::MemoryHarness;
#[doc(hidden)]
pub use run::run_by_name;
pub use run::tests;
pub use test::Test;
#[doc(no_inline)]
pub use tower_async_job_core::{Call, Interpose, Interposed};

/// Creates one test for each behaviour that [`JobStore`](tower_async_job_core::JobStore) promises.
///
/// The expression returns a [`Harness`] with an empty store. It is evaluated once for each test,
/// within a multi-threaded tokio runtime, and may contain `.await`.
///
/// ```
/// tower_async_job_testkit::contract!(tower_async_job_testkit::MemoryHarness::new());
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! contract {
    ($harness:expr) => {
        $crate::__tests! { $crate::__instantiate, [$harness] }
    };
}

/// Creates the functions of the tests.
#[doc(hidden)]
#[macro_export]
macro_rules! __instantiate {
    ([$harness:expr] $($theme:ident { $($name:ident)* })*) => {
        $($(
            #[test]
            fn $name() {
                $crate::run_by_name(stringify!($name), async { $harness });
            }
        )*)*
    };
}
