use std::{error::Error, fmt, pin::Pin, sync::Arc, time::Duration};

use tower_async_job_core::{JobId, JobStore};

/// The future of a hook of a [`Harness`].
///
/// ```
/// use tower_async_job_testkit::Hook;
///
/// fn advance<'a>() -> Hook<'a, ()> {
///     Box::pin(async { Ok(()) })
/// }
/// # drop(advance());
/// ```
pub type Hook<'a, T> = Pin<Box<dyn Future<Output = Result<T, NotRun>> + Send + 'a>>;

/// The reason why a test was not run.
///
/// ```
/// use tower_async_job_testkit::NotRun;
///
/// let reason = NotRun::because("the store has no clock that can be moved");
/// assert_eq!(reason.to_string(), "not run: the store has no clock that can be moved");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotRun(&'static str);

impl NotRun {
    /// Creates the reason in words, such as "the store has no limits".
    pub const fn because(reason: &'static str) -> Self {
        Self(reason)
    }
}

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not run: {}", self.0)
    }
}

impl Error for NotRun {}

/// The limits of a small store.
///
/// ```
/// use tower_async_job_testkit::Limits;
///
/// let limits = Limits::new().with_jobs(1).with_bytes(1000);
/// assert_eq!((limits.jobs, limits.bytes), (Some(1), Some(1000)));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of jobs, including those whose result is kept.
    pub jobs: Option<usize>,
    /// The maximum bytes of all jobs.
    pub bytes: Option<usize>,
}

impl Limits {
    /// Creates limits that limit nothing.
    pub const fn new() -> Self {
        Self {
            jobs: None,
            bytes: None,
        }
    }

    /// Limits the number of jobs.
    #[must_use]
    pub const fn with_jobs(mut self, jobs: usize) -> Self {
        self.jobs = Some(jobs);
        self
    }

    /// Limits the number of bytes.
    #[must_use]
    pub const fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = Some(bytes);
        self
    }
}

/// A store under test, and the hooks by which tests act on it.
///
/// Each test has its own harness, whose store has no jobs yet. Only [`store`](Self::store) is
/// required. Every other method is a hook, which by default reports that the store has no such
/// feature; tests that need it then print `not run` with the reason.
///
/// # Time
///
/// The clock of the store stands still unless a test moves it: many tests compare times exactly, to
/// the microsecond.
///
/// # Example
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use tower_async_job_core::JobStore;
/// use tower_async_job_testkit::{Harness, Hook, MemoryHarness};
///
/// /// One process, whose leases end.
/// struct Single(MemoryHarness);
///
/// impl Harness for Single {
///     fn store(&self) -> Arc<dyn JobStore> {
///         self.0.store()
///     }
///
///     fn advance(&self, span: Duration) -> Hook<'_, ()> {
///         self.0.advance(span)
///     }
/// }
/// ```
pub trait Harness: Send + Sync {
    /// Returns the store, always the same.
    fn store(&self) -> Arc<dyn JobStore>;

    /// Opens a second handle on the same data, like another node.
    fn second(&self) -> Hook<'_, Arc<dyn JobStore>> {
        not_run("the store has no second handle")
    }

    /// Moves the clock of the store forward.
    fn advance(&self, span: Duration) -> Hook<'_, ()> {
        let _ = span;
        not_run("the clock of the store cannot be moved")
    }

    /// Moves the clock of the store back, like a machine whose time is set.
    fn jump_back(&self, span: Duration) -> Hook<'_, ()> {
        let _ = span;
        not_run("the clock of the store cannot be moved back")
    }

    /// Kills the process of the store, as by `SIGKILL`, and reopens its data in another.
    ///
    /// Earlier handles are not used again.
    fn crash(&self) -> Hook<'_, Arc<dyn JobStore>> {
        not_run("the store ends with its process")
    }

    /// Creates another empty store that has these limits and is otherwise the same.
    fn limited(&self, limits: Limits) -> Hook<'_, Box<dyn Harness>> {
        let _ = limits;
        not_run("the store has no limits")
    }

    /// Damages the stored record of a job, so that it cannot be read.
    fn corrupt(&self, id: JobId) -> Hook<'_, ()> {
        let _ = id;
        not_run("no record of the store can be damaged")
    }

    /// Gives the stored record of a job the format of a later version.
    fn give_newer_format(&self, id: JobId) -> Hook<'_, ()> {
        let _ = id;
        not_run("the records of the store have no format")
    }

    /// Loses every notification between the handles from now on, including those in flight.
    fn lose_notifications(&self) -> Hook<'_, ()> {
        not_run("no notification of the store can be lost")
    }
}

/// Returns the result of a missing hook.
fn not_run<'a, T>(reason: &'static str) -> Hook<'a, T>
where
    T: Send + 'a,
{
    Box::pin(async move { Err(NotRun::because(reason)) })
}
