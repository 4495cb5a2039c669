//! Reasons for tests that cannot run.

use std::{
    env,
    error::Error,
    fmt::{self, Display},
    io::{self, Write},
};

use libtest_mimic::{Completion, Failed};

/// A service that could not be had, and the reason.
#[derive(Debug, Clone)]
pub struct Missing {
    service: String,
    reason: String,
}

impl Missing {
    /// Creates the reason for which a service is missing.
    pub fn new(service: impl Into<String>, reason: impl Display) -> Self {
        Self {
            service: service.into(),
            reason: reason.to_string(),
        }
    }
}

impl Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.service, self.reason)
    }
}

impl Error for Missing {}

/// Ends a test that cannot run for this reason.
///
/// # Errors
///
/// Fails if no program may be missing.
pub fn not_run(reason: &str) -> Result<Completion, Failed> {
    let reason = format!("not run: {reason}");
    if is_required() {
        return Err(Failed::from(reason));
    }
    Ok(Completion::ignored_with(reason))
}

/// Returns the service of a test, or none after printing that the test is not run.
///
/// For tests of the standard harness, which cannot ignore themselves: the message appears even though
/// the harness captures the output of tests.
///
/// # Panics
///
/// Panics if the service is missing and no program may be missing.
#[track_caller]
pub fn available<T>(service: Result<T, Missing>) -> Option<T> {
    service
        .inspect_err(|missing| {
            assert!(!is_required(), "not run: {missing}");
            let _ = writeln!(io::stderr(), "not run: {missing}");
        })
        .ok()
}

fn is_required() -> bool {
    env::var("HTTP_POLLING_REQUIRE_SERVICES").is_ok_and(|value| value == "1")
}
