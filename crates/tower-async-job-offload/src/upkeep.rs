//! The removal of leftovers: uploads whose run has ended, and objects without a job.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use object_store::{ObjectStore, path::Path};
use tokio::{runtime::Handle, task::JoinHandle};
use tower_async_job_core::{Detail, JobRecord, JobStore, Lease, ResultRef};

use crate::{
    object::{Day, Object},
    shared::Shared,
};

/// The time between two comparisons of objects with the job store, by one of the nodes.
const HOUR: Duration = Duration::from_secs(3600);

/// The number of objects that are compared at once.
const AT_ONCE: usize = 8;

/// The task that removes what is left. Dropping it ends the task.
#[derive(Debug, Default)]
pub(crate) struct Housekeeper(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The time from which objects are compared again.
    due: Option<Instant>,
    task: Option<JoinHandle<()>>,
}

impl Housekeeper {
    /// Removes what is left, in a task of its own. Of this many nodes, one compares objects each hour.
    pub(crate) fn keep_house<S: JobStore>(&self, shared: &Arc<Shared<S>>, nodes: u32) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let now = shared.settings.clock.now();
        let is_due = state.due.is_none_or(|due| due <= now);
        if is_due {
            state.due = Some(now + HOUR * nodes);
        }
        let shared = shared.clone();
        state.task = Some(runtime.spawn(async move {
            shared.give_up_idle().await;
            if is_due && let Err(error) = shared.sweep_objects().await {
                tracing::warn!(%error, "objects of ended jobs could not be listed");
            }
        }));
    }
}

impl Drop for Housekeeper {
    fn drop(&mut self) {
        let state = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = &state.task {
            task.abort();
        }
    }
}

impl<S: JobStore> Shared<S> {
    /// Gives up the recordings of runs that ended without a word, such as on another node.
    async fn give_up_idle(&self) {
        for lease in self.uploads.idle() {
            let record = self.inner.read(&lease.id, Detail::Status).await;
            let is_over = record.is_ok_and(|record| {
                record
                    .is_none_or(|record| record.epoch != lease.epoch || !record.state.is_pending())
            });
            if is_over {
                self.uploads.give_up(&lease);
            }
        }
    }

    /// Deletes the objects of days beyond the retention that belong to no job.
    async fn sweep_objects(&self) -> object_store::Result<()> {
        let now = self.settings.clock.system_time();
        let latest = now.checked_sub(self.settings.retention).unwrap_or(now);
        let latest = Day::of(latest).to_string();
        let days = self.objects.store.list_with_delimiter(None).await?;
        for day in days.common_prefixes {
            let is_past = day
                .filename()
                .is_some_and(|day| Day::is_day(day) && *day < *latest);
            if is_past {
                let listed = self.objects.store.list(Some(&day));
                let compared = listed.try_for_each_concurrent(AT_ONCE, |object| async move {
                    self.compare(&object.location).await;
                    Ok(())
                });
                compared.await?;
            }
        }
        Ok(())
    }

    /// Deletes an object that belongs to no job.
    async fn compare(&self, path: &Path) {
        if let Some(lease) = Object::run_of(path)
            && !self.is_wanted(&lease).await
        {
            self.objects.delete(path, &lease).await;
        }
    }

    /// Returns whether a run has, or may have, an object that can be read.
    async fn is_wanted(&self, lease: &Lease) -> bool {
        // On an error, it is kept.
        let Ok(record) = self.inner.read(&lease.id, Detail::Status).await else {
            return true;
        };
        let has_object = |record: JobRecord| {
            record.epoch == lease.epoch
                && (record.state.is_pending()
                    || record.result.is_some_and(|result| result.chunks.is_some()))
        };
        if record.is_some_and(has_object) {
            return true;
        }
        // The first chunk lingers for running downloads, and its read is one.
        let lingering = self.inner.read_chunk(&ResultRef::new(*lease, 0), 0).await;
        lingering.map_or(true, |chunk| chunk.is_some())
    }
}
