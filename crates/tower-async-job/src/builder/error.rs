//! The error of an invalid configuration.

use std::{error::Error, fmt};

/// The error of a [`Builder`](crate::Builder) whose settings are invalid.
///
/// ```
/// let error = tower_async_job::AsyncJobLayer::builder().limits(0, 10).build().unwrap_err();
/// assert_eq!(error.to_string(), "a limit of zero running requests would refuse everything");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigError(pub(super) Reason);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Base,
    PublicBase,
    NothingRuns,
    OwnJobsOfNone,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Reason::Base => "the base must be a path of at least one segment, such as /work",
            Reason::PublicBase => "the public base must be a path or an absolute URL without query",
            Reason::NothingRuns => "a limit of zero running requests would refuse everything",
            Reason::OwnJobsOfNone => {
                "own jobs are listed by principal: set a function with `principal`, or leave out \
                 `list_own_jobs`"
            }
        })
    }
}

impl Error for ConfigError {}
