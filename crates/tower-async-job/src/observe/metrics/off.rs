//! Metrics without the feature: no effect.

use std::sync::Arc;

use http_polling::{JobState, ProblemType};
use tower_async_job_core::{JobId, JobStore};

#[inline]
pub(crate) fn describe() {}

#[inline]
pub(crate) fn stored(_: &dyn JobStore) {}

#[inline]
pub(crate) fn inline() {}

#[inline]
pub(crate) fn accepted() {}

#[inline]
pub(crate) fn refused(_: ProblemType) {}

#[inline]
pub(crate) fn ended(_: JobState) {}

#[inline]
pub(crate) fn stopped(_: &'static str) {}

pub(crate) struct PendingJob;

impl PendingJob {
    #[inline]
    pub(crate) fn new(_: Option<&Arc<str>>, _: bool) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn started(&mut self) {}

    #[inline]
    pub(crate) fn ended(&self, _: JobState) {}
}

pub(crate) struct HeldPoll;

impl HeldPoll {
    #[inline]
    pub(crate) fn new() -> Self {
        Self
    }
}

#[derive(Default)]
pub(crate) struct Undelivered(());

impl Undelivered {
    #[inline]
    pub(crate) fn insert(&self, _: JobId) {}

    #[inline]
    pub(crate) fn forget(&self, _: &JobId) {}

    #[inline]
    pub(crate) fn delivered(&self, _: &JobId, _: u32) {}
}
