use std::{io::Write, time::Duration};

use tower_async_job_testkit::NotRun;

use crate::{list::tests, nodes::Nodes};

/// The timeout of a test.
const LIMIT: Duration = Duration::from_secs(240);

/// The result of a test, which fails by panicking.
pub(crate) type Ran = Result<(), NotRun>;

/// A test on the stores of one type.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    name: &'static str,
    run: fn() -> Ran,
}

impl Test {
    pub(crate) const fn new(name: &'static str, run: fn() -> Ran) -> Self {
        Self { name, run }
    }

    /// Returns the name, which describes the tested behaviour.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs the test on a runtime and a store of its own.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be had, or if it lacks a hook that the test needs.
    ///
    /// # Panics
    ///
    /// Panics if the store fails the test.
    pub fn run(&self) -> Result<(), NotRun> {
        (self.run)()
    }
}

/// Runs the body of a test on new data.
pub(crate) fn on_new_data<N: Nodes>(test: impl AsyncFn(&N) -> Ran) -> Ran {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let data = N::create().await?;
        let ran = tokio::time::timeout(LIMIT, test(&data)).await;
        ran.unwrap_or_else(|_| panic!("the test has not ended after {} s", LIMIT.as_secs()))
    })
}

/// Runs the test of this name, and reports on standard error if it could not be run.
///
/// # Panics
///
/// Panics if there is no such test, if the store fails it, or if it does not end.
#[doc(hidden)]
pub fn run_by_name<N: Nodes>(name: &str) {
    let tests = tests::<N>();
    let test = tests.iter().find(|test| test.name() == name);
    if let Err(reason) = test.expect("a test of the list").run() {
        // Bypasses the capture of the test runner, so that passing tests show it.
        drop(writeln!(std::io::stderr(), "{name}: {reason}"));
    }
}
