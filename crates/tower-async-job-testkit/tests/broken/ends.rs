use std::collections::HashSet;

use http_polling::JobState;
use tower_async_job_core::{
    Cancellation, Detail, End, JobId, JobRecord, JobStore, Lease, StoreError, StoreFuture, Upkeep,
};

use crate::{fails, flaw, lock};

flaw! {
    /// Refuses a finish whose answer was lost.
    FinishOnce(HashSet<Lease>) {
        fn finish<'a>(&'a self, lease: &'a Lease, end: End) -> StoreFuture<'a, ()> {
            Box::pin(async move {
                if !lock(&self.memory).insert(*lease) {
                    return Err(StoreError::lease_lost());
                }
                self.inner.finish(lease, end).await
            })
        }
    }
}

flaw! {
    FinishInTwoSteps(()) {
        fn finish<'a>(&'a self, lease: &'a Lease, mut end: End) -> StoreFuture<'a, ()> {
            Box::pin(async move {
                if let Some(report) = end.report.take() {
                    self.inner.report(lease, report).await?;
                    tokio::task::yield_now().await;
                }
                self.inner.finish(lease, end).await
            })
        }
    }
}

flaw! {
    FinishWithoutItsReport(()) {
        fn finish<'a>(&'a self, lease: &'a Lease, mut end: End) -> StoreFuture<'a, ()> {
            Box::pin(async move {
                end.report = None;
                self.inner.finish(lease, end).await
            })
        }
    }
}

flaw! {
    /// Cancels what has ended.
    CancelThatOverwrites(HashSet<JobId>) {
        fn cancel<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, Cancellation> {
            lock(&self.memory).insert(*id);
            self.inner.cancel(id)
        }

        fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
            Box::pin(async move {
                let mut record = self.inner.read(id, detail).await?;
                if let Some(record) = &mut record
                    && lock(&self.memory).contains(id)
                {
                    record.state = JobState::Cancelled;
                    record.outcome = None;
                }
                Ok(record)
            })
        }
    }
}

flaw! {
    /// Acknowledges a cancel before it is made.
    CancelLater(HashSet<JobId>) {
        fn cancel<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, Cancellation> {
            Box::pin(async move {
                match self.inner.read(id, Detail::Status).await? {
                    None => Ok(Cancellation::Unknown),
                    Some(record) if record.state.is_final() => {
                        Ok(Cancellation::Ended(record.state))
                    }
                    Some(record) => {
                        lock(&self.memory).insert(*id);
                        Ok(Cancellation::Cancelled { ended: record.created })
                    }
                }
            })
        }

        fn sweep<'a>(&'a self) -> StoreFuture<'a, Upkeep> {
            Box::pin(async move {
                let late = std::mem::take(&mut *lock(&self.memory));
                for id in late {
                    self.inner.cancel(&id).await?;
                }
                self.inner.sweep().await
            })
        }
    }
}

flaw! {
    /// Removes jobs that run.
    RemoveOfPending(()) {
        fn remove<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, bool> {
            Box::pin(async move {
                self.inner.cancel(id).await?;
                self.inner.remove(id).await
            })
        }
    }
}

fails! {
    finish_once: FinishOnce fails
        s10_finish_is_repeated_by_epoch_and_state_with_and_without_reports;
    finish_in_two_steps: FinishInTwoSteps fails finish_stores_the_last_report_in_the_same_step;
    finish_without_its_report: FinishWithoutItsReport fails
        finish_stores_the_last_report_in_the_same_step;
    cancel_that_overwrites: CancelThatOverwrites fails
        s12_cancel_after_done_leaves_the_result;
    cancel_later: CancelLater fails
        s13_a_cancel_is_seen_on_another_node_before_it_returns, s11_cancel_beats_finish;
    remove_of_pending: RemoveOfPending fails a_removed_job_is_unknown;
}
