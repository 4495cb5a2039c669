//! Two gateways on one store in a server: what one begins, the other continues.
#![cfg(all(unix, any(feature = "postgres", feature = "redis")))]

#[path = "../support/mod.rs"]
mod support;
#[path = "../progress/worker.rs"]
mod worker;

mod pair;
mod promises;

/// Declares the tests on each store.
macro_rules! on_each_store {
    ($($name:ident,)*) => {
        #[cfg(feature = "postgres")]
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let database = crate::pair::postgres::database(stringify!($name));
                if let Some(url) = test_services::available(database) {
                    crate::promises::$name(crate::pair::Pair::on(&url).await).await;
                }
            })*
        }

        #[cfg(feature = "redis")]
        mod redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(server) = test_services::available(test_services::Redis::start()) {
                    crate::promises::$name(crate::pair::Pair::on(&server.url()).await).await;
                }
            })*
        }
    };
}

on_each_store! {
    any_gateway_answers_any_poll,
    a_held_poll_is_woken_by_the_end_at_the_other,
    a_job_cancelled_at_one_ends_at_the_other,
    progress_reported_to_one_is_seen_at_the_other,
    a_key_is_one_job_at_both,
    the_jobs_of_a_gateway_that_died_run_at_the_other_or_are_lost,
}
