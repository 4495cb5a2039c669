//! Metrics without the feature: no effect.

use std::{sync::Arc, time::Duration};

use http_polling::{JobState, ProblemType};
use tower_async_job_core::{Call, JobId, JobStore, Renewal, StoreError, Upkeep};

#[derive(Clone)]
pub(crate) struct Meter;

impl Meter {
    #[inline]
    pub(crate) fn new(_: Option<&Arc<str>>, _: &'static str) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn inline(&self) {}

    #[inline]
    pub(crate) fn accepted(&self) {}

    #[inline]
    pub(crate) fn refused(&self, _: ProblemType) {}

    #[inline]
    pub(crate) fn ended(&self, _: JobState) {}

    #[inline]
    pub(crate) fn stopped(&self, _: &'static str) {}

    #[inline]
    pub(crate) fn lost(&self, _: u64) {}

    #[inline]
    pub(crate) fn claimed(&self, _: u32) {}

    #[inline]
    pub(crate) fn notified(&self, _: &'static str) {}

    #[inline]
    pub(crate) fn renewed(&self, _: &[Renewal]) {}

    #[inline]
    pub(crate) fn stored(&self, _: &dyn JobStore) {}

    #[inline]
    pub(crate) fn is_up(&self, _: bool) {}

    #[inline]
    pub(crate) fn called(&self, _: Call, _: Duration, _: Option<&StoreError>) {}

    #[inline]
    pub(crate) fn swept(&self, _: &Upkeep) {}
}

pub(crate) struct PendingJob;

impl PendingJob {
    #[inline]
    pub(crate) fn new(_: &Meter, _: Option<&Arc<str>>, _: bool) -> Self {
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
    pub(crate) fn new(_: &Meter) -> Self {
        Self
    }
}

pub(crate) struct Undelivered(());

impl Undelivered {
    #[inline]
    pub(crate) fn new(_: &Meter) -> Self {
        Self(())
    }

    #[inline]
    pub(crate) fn insert(&self, _: JobId) {}

    #[inline]
    pub(crate) fn forget(&self, _: &JobId) {}

    #[inline]
    pub(crate) fn delivered(&self, _: &JobId, _: u32) {}
}
