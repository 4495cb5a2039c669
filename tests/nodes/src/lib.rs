//! Tests of nodes and processes that share a durable store, which every such store runs.
//!
//! A store implements [`Nodes`], and its test binary instantiates all tests by
//! [`layer_tests!`](crate::layer_tests!):
//!
//! ```ignore
//! test_nodes::layer_tests!(SqliteNodes);
//! ```
//!
//! A binary without the harness of Rust calls [`play`] first, and runs [`tests`].
//!
//! Other processes are the test binary itself, which is told a role and the address of the data.
#![cfg(unix)]

mod child;
mod counting;
mod jobs;
mod list;
mod node;
mod nodes;
mod roles;
mod routes;
mod run;
mod themes;

pub use child::{Child, play};
pub use list::tests;
pub use nodes::{Cost, Counted, Nodes, Outage, Settings};
pub use run::Test;
#[doc(hidden)]
pub use run::run_by_name;
#[doc(no_inline)]
pub use tower_async_job_testkit::{Hook, NotRun};

/// Creates one test for each behaviour, on the stores of a type that implements [`Nodes`].
#[macro_export]
macro_rules! layer_tests {
    ($nodes:ty) => {
        $crate::__tests! { $crate::__instantiate, [$nodes] }

        /// Plays the role of a child; without one, it is a test that passes.
        #[test]
        fn plays_a_role() {
            $crate::play::<$nodes>();
        }
    };
}

/// Creates the functions of the tests.
#[doc(hidden)]
#[macro_export]
macro_rules! __instantiate {
    ([$nodes:ty] $($theme:ident { $($name:ident)* })*) => {
        $($(
            #[test]
            fn $name() {
                $crate::run_by_name::<$nodes>(stringify!($name));
            }
        )*)*
    };
}
