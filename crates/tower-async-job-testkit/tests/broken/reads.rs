use std::{
    collections::{HashMap, HashSet},
    future::poll_fn,
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use http_polling::JobState;
use serde_json::json;
use tower_async_job_core::{
    Detail, JobHandle, JobId, JobPage, JobQuery, JobRecord, JobStore, Lease, PendingJobs, Report,
    ResultRef, StoreFuture, Subscription, SweepQuery, Upkeep,
};

use crate::{fails, flaw, lock};

flaw! {
    /// Repeats the previous answer at every other read.
    StaleReads(HashMap<JobId, JobRecord>) {
        fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
            Box::pin(async move {
                let known = lock(&self.memory).remove(id);
                if known.is_some() {
                    return Ok(known);
                }
                let record = self.inner.read(id, detail).await?;
                if let Some(record) = &record {
                    lock(&self.memory).insert(*id, record.clone());
                }
                Ok(record)
            })
        }
    }
}

flaw! {
    OneVersion(()) {
        fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
            Box::pin(async move {
                let mut record = self.inner.read(id, detail).await?;
                if let Some(record) = &mut record {
                    record.version = 1;
                }
                Ok(record)
            })
        }
    }
}

flaw! {
    /// Serves a result beyond its retention.
    ServedTooLong(HashMap<JobId, JobRecord>) {
        fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
            Box::pin(async move {
                let record = self.inner.read(id, detail).await?;
                if let Some(record) = &record {
                    if record.state == JobState::Done {
                        lock(&self.memory).insert(*id, record.clone());
                    } else if record.state == JobState::Expired {
                        return Ok(lock(&self.memory).get(id).cloned());
                    }
                }
                Ok(record)
            })
        }
    }
}

flaw! {
    /// Shows a run's private checkpoint to all readers.
    CheckpointShown(()) {
        fn report<'a>(&'a self, lease: &'a Lease, mut report: Report) -> StoreFuture<'a, ()> {
            if let Some(note) = &report.checkpoint {
                let note = String::from_utf8_lossy(note);
                report.metadata = Some(json!({ "note": note }).into());
            }
            self.inner.report(lease, report)
        }
    }
}

flaw! {
    /// Replaces all earlier reports with each report.
    ReportThatForgets(()) {
        fn report<'a>(&'a self, lease: &'a Lease, mut report: Report) -> StoreFuture<'a, ()> {
            report.progress.get_or_insert_default();
            self.inner.report(lease, report)
        }
    }
}

flaw! {
    ListOfEverybody(()) {
        fn list<'a>(&'a self, query: &'a JobQuery) -> StoreFuture<'a, JobPage> {
            Box::pin(async move {
                let mut query = query.clone();
                query.principal = None;
                self.inner.list(&query).await
            })
        }
    }
}

flaw! {
    ListOldestFirst(()) {
        fn list<'a>(&'a self, query: &'a JobQuery) -> StoreFuture<'a, JobPage> {
            Box::pin(async move {
                let mut page = self.inner.list(query).await?;
                page.jobs.reverse();
                Ok(page)
            })
        }
    }
}

flaw! {
    /// Counts no pending jobs, and never asks to be swept again.
    IdleSweep(()) {
        fn sweep<'a>(&'a self, query: &'a SweepQuery) -> StoreFuture<'a, Upkeep> {
            Box::pin(async move {
                let mut upkeep = self.inner.sweep(query).await?;
                upkeep.next = None;
                upkeep.pending = PendingJobs::default();
                Ok(upkeep)
            })
        }
    }
}

flaw! {
    /// Drops chunks with their job.
    ChunksWithoutLinger(()) {
        fn read_chunk<'a>(
            &'a self,
            result: &'a ResultRef,
            index: u32,
        ) -> StoreFuture<'a, Option<Bytes>> {
            Box::pin(async move {
                match self.inner.read(&result.lease.id, Detail::Status).await? {
                    Some(record) if record.state == JobState::Done => {
                        self.inner.read_chunk(result, index).await
                    }
                    _ => Ok(None),
                }
            })
        }
    }
}

flaw! {
    /// Shortens the retention instead of prolonging it.
    ExtendThatShortens(()) {
        fn extend<'a>(&'a self, id: &'a JobId, keep: Duration) -> StoreFuture<'a, bool> {
            self.inner.note_delivery(id, Some(keep));
            self.inner.extend(id, keep)
        }
    }
}

flaw! {
    /// Shows the report of the last run while the job waits.
    ProgressOfTheLastRun(HashMap<JobId, Report>) {
        fn report<'a>(&'a self, lease: &'a Lease, report: Report) -> StoreFuture<'a, ()> {
            lock(&self.memory).insert(lease.id, report.clone());
            self.inner.report(lease, report)
        }

        fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
            Box::pin(async move {
                let mut record = self.inner.read(id, detail).await?;
                if let Some(record) = &mut record
                    && record.state == JobState::Queued
                    && let Some(report) = lock(&self.memory).get(id)
                {
                    record.progress.clone_from(&report.progress);
                }
                Ok(record)
            })
        }
    }
}

flaw! {
    ListOfAllStates(()) {
        fn list<'a>(&'a self, query: &'a JobQuery) -> StoreFuture<'a, JobPage> {
            Box::pin(async move {
                let mut query = query.clone();
                query.state = None;
                self.inner.list(&query).await
            })
        }
    }
}

flaw! {
    HandlesForgotten(()) {
        fn find<'a>(&'a self, _: JobHandle) -> StoreFuture<'a, Option<JobId>> {
            Box::pin(async { Ok(None) })
        }
    }
}

flaw! {
    /// Keeps the first version of a chunk.
    FirstChunkStays(HashSet<(Lease, u32)>) {
        fn write_chunk<'a>(
            &'a self,
            lease: &'a Lease,
            index: u32,
            data: Bytes,
        ) -> StoreFuture<'a, ()> {
            Box::pin(async move {
                if lock(&self.memory).insert((*lease, index)) {
                    self.inner.write_chunk(lease, index, data).await?;
                }
                Ok(())
            })
        }
    }
}

flaw! {
    /// Keeps the wakers of abandoned waits.
    WakersKept(()) {
        fn subscribe(&self, id: &JobId) -> Subscription {
            let mut ended = self.inner.subscribe(id);
            Subscription::from_future(poll_fn(move |context| {
                std::mem::forget(context.waker().clone());
                Pin::new(&mut ended).poll(context)
            }))
        }
    }
}

fails! {
    stale_reads: StaleReads fails
        s13_a_cancel_is_seen_on_another_node_before_it_returns, random_histories_break_no_promise,
        s33_an_unclaimed_job_ends_at_its_deadline,
        a_queued_job_has_begun_no_run_until_it_is_started, the_outcome_is_read_in_full_detail_only,
        a_report_is_read_on_another_node, the_length_of_a_body_is_read_in_every_detail,
        a_delivered_result_is_kept_for_a_time_of_its_own;
    one_version: OneVersion fails
        the_version_rises_with_each_change_that_a_record_shows, the_version_rises_with_a_cancel,
        random_histories_break_no_promise;
    served_too_long: ServedTooLong fails
        s49_a_result_expires_and_is_forgotten_with_and_without_a_sweep,
        s73_key_of_a_delivered_result_counts_before_the_sweep_without_tombstones_too;
    checkpoint_shown: CheckpointShown fails a_checkpoint_is_not_in_the_record;
    report_that_forgets: ReportThatForgets fails a_report_changes_only_the_fields_that_it_has;
    list_of_everybody: ListOfEverybody fails a_list_is_filtered_by_principal_and_is_newest_first;
    list_oldest_first: ListOldestFirst fails a_list_contains_each_job_once;
    idle_sweep: IdleSweep fails
        a_sweep_reports_when_the_next_is_due, a_sweep_counts_pending_jobs_by_principal;
    chunks_without_linger: ChunksWithoutLinger fails
        s50_chunks_outlive_expiry_and_removal_while_they_are_read;
    extend_that_shortens: ExtendThatShortens fails
        s50_an_extended_result_is_kept_and_never_cut_short;
    progress_of_the_last_run: ProgressOfTheLastRun fails
        a_release_clears_progress_and_partial_result,
        a_lapsed_lease_clears_progress_and_partial_result;
    list_of_all_states: ListOfAllStates fails a_list_is_filtered_by_state_and_route;
    handles_forgotten: HandlesForgotten fails operators_find_a_job_by_its_handle;
    first_chunk_stays: FirstChunkStays fails a_chunk_that_is_written_again_is_replaced;
    wakers_kept: WakersKept fails s29_a_dropped_waiter_leaves_no_waker_behind;
}
