//! Helpers for tests of lists of jobs, which are sorted by the time of day.

use std::time::SystemTime;

use http::StatusCode;
use tower_async_job::store::{Clock, MemoryStore};

use super::Answer;

/// Tokio's clock, also for the time of day.
struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> std::time::Instant {
        tokio::time::Instant::now().into_std()
    }

    fn system_time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.0.elapsed()
    }
}

/// Returns a store whose time is tokio's.
pub(crate) fn paused() -> MemoryStore {
    let clock = PausedClock(tokio::time::Instant::now());
    MemoryStore::builder().clock(clock).build()
}

/// Asserts that this is a problem, and not the answer of a job.
#[track_caller]
pub(crate) fn assert_problem(answer: &Answer, status: StatusCode) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("job-status"), "", "this is no job's answer");
    assert_eq!(answer.json()["status"], status.as_u16());
}
