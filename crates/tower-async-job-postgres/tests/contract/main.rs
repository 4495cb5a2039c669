//! The contract of job stores: in the clear, sealed, behind PgBouncer, and on other versions of
//! PostgreSQL.

#[path = "../support/mod.rs"]
mod support;

mod harness;

/// Creates the tests of the contract in the server of this name, with stores that are wrapped so.
#[macro_export]
macro_rules! instantiate {
    ([$place:expr, $wrap:expr] $($theme:ident { $($name:ident)* })*) => {
        $($(
            #[test]
            fn $name() {
                // Without the server, the test has reported that it was not run.
                if let Some(place) = $place {
                    let harness = $crate::harness::PostgresHarness::new(place, $wrap);
                    tower_async_job_testkit::run_by_name(stringify!($name), harness);
                }
            }
        )*)*
    };
}

mod clear {
    use crate::support::Place;

    tower_async_job_testkit::__tests! { crate::instantiate, [Place::of_system(), |store| store] }
}

mod sealed {
    use std::sync::Arc;

    use tower_async_job_core::{EncryptionKeys, Sealed};

    use crate::support::Place;

    tower_async_job_testkit::__tests! {
        crate::instantiate,
        [Place::of_system(), |store| {
            let keys = EncryptionKeys::new("2026", [7; 32]).unwrap();
            Arc::new(Sealed::new(store, keys))
        }]
    }
}

mod pgbouncer {
    use crate::support::Place;

    tower_async_job_testkit::__tests! {
        crate::instantiate,
        [Place::behind_bouncer(), |store| store]
    }
}

/// Creates the tests of the contract on a server of this major version.
macro_rules! on_version {
    ($module:ident, $version:literal) => {
        mod $module {
            use std::sync::LazyLock;

            use test_services::{Postgres, available};

            use crate::support::Place;

            static SERVER: LazyLock<Option<Postgres>> =
                LazyLock::new(|| available(Postgres::builder().version($version).start()));

            fn place() -> Option<Place> {
                let url = SERVER.as_ref()?.url();
                Some(Place::new(url.clone(), url))
            }

            tower_async_job_testkit::__tests! { crate::instantiate, [place(), |store| store] }
        }
    };
}

on_version!(version_13, 13);
on_version!(version_18, 18);
