//! Reports on their way from a handler to the task that drives it.

use std::{sync::Arc, task::Waker};

use serde_json::{Map, Value};
use tokio::sync::Notify;
use tower_async_job_core::{JobHandle, Json, Report};

use super::saves::Saves;

/// The part of a context that the handler and the task that drives it share.
#[derive(Default)]
pub(super) struct Outbox {
    pub(super) driver: Option<Waker>,
    /// Data of the few jobs that need it.
    pub(super) rare: Option<Box<Rare>>,
}

impl Outbox {
    /// Returns the saves of checkpoints, if there was one.
    pub(super) fn saves(&mut self) -> Option<&mut Saves> {
        self.rare.as_mut()?.saves.as_deref_mut()
    }
}

#[derive(Default)]
pub(super) struct Rare {
    /// All reports so far, except for partial results already taken and metadata changed since.
    pub(super) report: Option<Report>,
    pub(super) metadata: Map<String, Value>,
    /// The number of reports taken.
    pub(super) taken: u32,
    /// Created by the first save.
    pub(super) saves: Option<Box<Saves>>,
    /// A report, or a checkpoint, is newer than the last one taken.
    pub(super) changed: bool,
    /// Notified of the cancellation; created by the first waiter.
    pub(super) waiting: Option<Arc<Notify>>,
    /// The handle of the job to be, once it is known.
    pub(super) handle: Option<JobHandle>,
}

impl Rare {
    pub(super) fn report(&mut self) -> &mut Report {
        self.report.get_or_insert_default()
    }

    /// Returns whether a checkpoint is still to be written.
    pub(super) fn is_unsaved(&self) -> bool {
        self.saves.as_ref().is_some_and(|saves| saves.is_unsaved())
    }

    /// Returns all reports, with the text of the metadata, which is serialised once. Parts over the
    /// limit are dropped.
    pub(super) fn report_within(&mut self, limit: usize) -> Option<Report> {
        let report = self.report.as_mut()?;
        if report.metadata.is_none() && !self.metadata.is_empty() {
            report.metadata = Some(Json::from(self.metadata.clone()));
        }
        let is_long = |json: &mut Json| json.len() > limit;
        if let Some(partial) = report.partial.take_if(is_long) {
            let size = partial.len();
            tracing::warn!(
                size,
                limit,
                "a partial result is longer than `report_limit`"
            );
        }
        if let Some(metadata) = report.metadata.take_if(is_long) {
            self.metadata.clear();
            let size = metadata.len();
            tracing::warn!(
                size,
                limit,
                "a job's metadata is longer than `report_limit`"
            );
        }
        Some(report.clone())
    }
}
