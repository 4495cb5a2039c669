use std::{fmt, pin::Pin};

use crate::harness::{Harness, NotRun};

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), NotRun>> + Send + 'a>>;

/// A test of the contract.
///
/// ```
/// use tower_async_job_testkit::{MemoryHarness, tests};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let test = tests().iter().find(|test| test.name() == "s11_cancel_beats_finish").unwrap();
/// test.run(&MemoryHarness::new()).await?;
/// # Ok::<(), tower_async_job_testkit::NotRun>(()) }).unwrap();
/// ```
#[derive(Clone, Copy)]
pub struct Test {
    name: &'static str,
    body: for<'a> fn(&'a dyn Harness) -> Running<'a>,
}

impl Test {
    pub(crate) const fn new(
        name: &'static str,
        body: for<'a> fn(&'a dyn Harness) -> Running<'a>,
    ) -> Self {
        Self { name, body }
    }

    /// Returns the name, which describes the tested behaviour.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Runs the test on a fresh store, within a tokio runtime that has timers.
    ///
    /// # Errors
    ///
    /// Fails if the harness lacks a hook that it needs.
    ///
    /// # Panics
    ///
    /// Panics if the store fails the test.
    pub async fn run(&self, harness: &dyn Harness) -> Result<(), NotRun> {
        (self.body)(harness).await
    }
}

impl fmt::Debug for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Test").field(&self.name).finish()
    }
}
