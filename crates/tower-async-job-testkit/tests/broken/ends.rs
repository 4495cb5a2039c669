use std::collections::HashSet;

use http_polling::JobState;
use tower_async_job_core::{
    Cancellation, Created, Detail, End, JobId, JobRecord, JobStore, Lease, NewJob, Release,
    Released, StoreError, StoreFuture, SweepQuery, Upkeep,
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
    /// Cancels ended jobs.
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

        fn sweep<'a>(&'a self, query: &'a SweepQuery) -> StoreFuture<'a, Upkeep> {
            Box::pin(async move {
                let late = std::mem::take(&mut *lock(&self.memory));
                for id in late {
                    self.inner.cancel(&id).await?;
                }
                self.inner.sweep(query).await
            })
        }
    }
}

flaw! {
    /// Removes running jobs.
    RemoveOfPending(()) {
        fn remove<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, bool> {
            Box::pin(async move {
                self.inner.cancel(id).await?;
                self.inner.remove(id).await
            })
        }
    }
}

flaw! {
    /// Acknowledges a discard, and keeps the job.
    DiscardForgotten(()) {
        fn discard<'a>(&'a self, _: &'a Lease) -> StoreFuture<'a, ()> {
            Box::pin(async { Ok(()) })
        }
    }
}

flaw! {
    DiscardThatCancels(()) {
        fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
            Box::pin(async move { self.inner.cancel(&lease.id).await.map(drop) })
        }
    }
}

flaw! {
    /// Wakes the subscriptions of all jobs at every end.
    NotifiedUnasked(()) {
        fn create<'a>(&'a self, job: NewJob) -> StoreFuture<'a, Created> {
            let notify = job.notify.clone().unwrap_or_default();
            self.inner.create(job.with_notify(notify))
        }
    }
}

flaw! {
    /// Creates a job before the future is polled.
    EagerCreate(()) {
        fn create<'a>(&'a self, job: NewJob) -> StoreFuture<'a, Created> {
            match self.inner.create_now(job) {
                Ok(created) => Box::pin(async { created }),
                Err(job) => self.inner.create(job),
            }
        }
    }
}

flaw! {
    /// Returns the result of the first lease for all leases.
    OneFateForAll(()) {
        fn release<'a>(
            &'a self,
            leases: &'a [Lease],
            how: Release,
        ) -> StoreFuture<'a, Vec<Released>> {
            Box::pin(async move {
                let released = self.inner.release(leases, how).await?;
                Ok(released.first().map_or_else(Vec::new, |fate| vec![*fate; leases.len()]))
            })
        }
    }
}

fails! {
    finish_once: FinishOnce fails
        s10_finish_is_repeated_by_epoch_and_state_with_and_without_reports,
        a_result_in_chunks_is_visible_once_its_job_is_done, s10_a_failed_end_can_be_repeated,
        a_run_that_ends_as_lost_has_its_problem, s10_a_finish_of_unknown_outcome_is_repeated,
        a_finish_dropped_half_way_takes_effect_as_a_whole_or_not_at_all,
        s20_a_result_without_room_leaves_the_job_pending_and_a_problem_fits;
    finish_in_two_steps: FinishInTwoSteps fails finish_stores_the_last_report_in_the_same_step;
    finish_without_its_report: FinishWithoutItsReport fails
        finish_stores_the_last_report_in_the_same_step;
    cancel_that_overwrites: CancelThatOverwrites fails s12_cancel_after_done_leaves_the_result;
    cancel_later: CancelLater fails
        s13_a_cancel_is_seen_on_another_node_before_it_returns, s11_cancel_beats_finish,
        an_ended_job_is_not_discarded, s11_a_cancelled_job_keeps_no_last_report,
        answers_and_records_show_the_same_times, s13_a_queued_job_is_cancelled_too,
        a_key_counts_as_long_as_its_job,
        s73_key_of_a_removed_job_that_was_cancelled_counts_until_its_retention,
        room_is_free_again_after_its_data_is_gone;
    remove_of_pending: RemoveOfPending fails a_removed_job_is_unknown;
    discard_forgotten: DiscardForgotten fails
        a_discarded_job_leaves_neither_record_nor_key,
        look_up_answers_as_create_does_and_stores_nothing,
        jobs_that_were_discarded_or_removed_are_in_no_list_of_their_principal;
    discard_that_cancels: DiscardThatCancels fails
        a_discarded_job_makes_no_notification_due, s79_a_discarded_id_is_void_for_a_lease;
    notified_unasked: NotifiedUnasked fails a_job_without_notification_makes_none_due;
    eager_create: EagerCreate fails nothing_happens_until_a_future_is_polled;
    one_fate_for_all: OneFateForAll fails leases_released_together_have_separate_results;
}
