use std::{io::Write, time::Duration};

use crate::{contract, harness::Harness, test::Test};

/// The timeout of a test.
const LIMIT: Duration = Duration::from_secs(120);

/// All tests of the contract, as [`contract!`](crate::contract!) instantiates them.
///
/// ```
/// let names = tower_async_job_testkit::tests().iter().map(|test| test.name());
/// assert!(names.into_iter().any(|name| name == "s07_stale_finish_is_rejected_after_reclaim"));
/// ```
pub fn tests() -> &'static [Test] {
    contract::TESTS
}

/// Runs the test of this name on its own runtime, and reports on standard error if it could not be
/// run.
///
/// # Panics
///
/// Panics if there is no such test, if the store fails it, or if it does not end.
#[doc(hidden)]
pub fn run_by_name<H: Harness>(name: &str, harness: impl Future<Output = H>) {
    let test = tests()
        .iter()
        .find(|test| test.name() == name)
        .unwrap_or_else(|| panic!("there is no test {name}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let result = runtime.block_on(async {
        let harness = harness.await;
        tokio::time::timeout(LIMIT, test.run(&harness)).await
    });
    match result {
        Ok(Ok(())) => {}
        // Bypasses the capture of the test runner, so that passing tests show it.
        Ok(Err(reason)) => drop(writeln!(std::io::stderr(), "{name}: {reason}")),
        Err(_) => panic!("the test has not ended after {} s", LIMIT.as_secs()),
    }
}
