use std::{
    collections::HashMap,
    future::pending,
    time::{Duration, SystemTime},
};

use tower_async_job_core::{
    ClaimQuery, Claims, Created, Detail, JobId, JobRecord, JobStore, Lease, NewJob, Release,
    Renewal, StoreError, StoreFuture, Subscription, SweepQuery, Upkeep,
};

use crate::{fails, flaw, lock};

/// Releases the leases of runs that are older than a lease.
async fn release_old(store: &dyn JobStore, leases: &[Lease]) -> Result<(), StoreError> {
    for lease in leases {
        let record = store.read(&lease.id, Detail::Status).await?;
        let age = record.and_then(|record| record.running_for);
        if age >= store.properties().lease {
            store.release(&[*lease], Release::default()).await?;
        }
    }
    Ok(())
}

flaw! {
    /// Expires runs by the lease before its renewal.
    StaleReaper(Vec<Lease>) {
        fn create<'a>(&'a self, job: NewJob) -> StoreFuture<'a, Created> {
            lock(&self.memory).push(job.first_lease());
            self.inner.create(job)
        }

        fn sweep<'a>(&'a self, query: &'a SweepQuery) -> StoreFuture<'a, Upkeep> {
            Box::pin(async move {
                let leases = lock(&self.memory).clone();
                release_old(&self.inner, &leases).await?;
                self.inner.sweep(query).await
            })
        }
    }
}

flaw! {
    /// Queues the jobs of lost leases without a pause.
    LossWithoutPause(Vec<Lease>) {
        fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
            Box::pin(async move {
                let leases = lock(&self.memory).clone();
                release_old(&self.inner, &leases).await?;
                let claims = self.inner.claim(query).await?;
                lock(&self.memory).extend(claims.jobs.iter().map(|claim| claim.lease));
                Ok(claims)
            })
        }

        fn sweep<'a>(&'a self, _: &'a SweepQuery) -> StoreFuture<'a, Upkeep> {
            Box::pin(async { Ok(Upkeep::new(SystemTime::UNIX_EPOCH)) })
        }
    }
}

flaw! {
    /// Expires jobs, including running ones, by the time since their creation.
    TtlOnRunning(HashMap<JobId, Duration>) {
        fn create<'a>(&'a self, job: NewJob) -> StoreFuture<'a, Created> {
            lock(&self.memory).insert(job.id, job.retention.result);
            self.inner.create(job)
        }

        fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
            Box::pin(async move {
                let ttl = lock(&self.memory).get(id).copied().unwrap_or(Duration::MAX);
                let record = self.inner.read(id, detail).await?;
                Ok(record.filter(|record| record.age <= ttl))
            })
        }
    }
}

flaw! {
    RenewalThatRevives(()) {
        fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
            Box::pin(async move { Ok(vec![Renewal::Held; leases.len()]) })
        }
    }
}

flaw! {
    RenewalThatTellsNoFates(()) {
        fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
            Box::pin(async move {
                let renewals = self.inner.renew(leases).await?.into_iter();
                let held = |renewal: Renewal| match renewal.is_held() {
                    true => Renewal::Held,
                    false => Renewal::Lost,
                };
                Ok(renewals.map(held).collect())
            })
        }
    }
}

flaw! {
    /// Shows the rest of a lease by the time since the start of the run.
    RestWithoutRenewals(()) {
        fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
            Box::pin(async move {
                let mut record = self.inner.read(id, detail).await?;
                if let Some(record) = record.as_mut().filter(|record| record.state.is_pending()) {
                    let lease = self.inner.properties().lease.unwrap_or_default();
                    let ran = record.running_for.unwrap_or_default();
                    record.lease_remaining = Some(lease.saturating_sub(ran));
                }
                Ok(record)
            })
        }
    }
}

flaw! {
    /// Renews a lease without prolonging it.
    RenewalThatForgets(()) {
        fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
            Box::pin(async move {
                let mut renewals = Vec::new();
                for lease in leases {
                    let record = self.inner.read(&lease.id, Detail::Status).await?;
                    let held = record.is_some_and(|record| record.epoch == lease.epoch);
                    renewals.push(if held { Renewal::Held } else { Renewal::Lost });
                }
                Ok(renewals)
            })
        }
    }
}

flaw! {
    /// Loses the wake-ups of ends that come after the subscription.
    LostWake(()) {
        fn subscribe(&self, id: &JobId) -> Subscription {
            let record = self.inner.read_now(id, Detail::Status);
            match record.expect("memory is at hand").expect("it can be read") {
                Some(record) if !record.state.is_final() => Subscription::from_future(pending()),
                _ => Subscription::ready(),
            }
        }
    }
}

flaw! {
    /// Registers with the first poll, and misses an earlier end.
    RegisteredByPoll(()) {
        fn subscribe(&self, id: &JobId) -> Subscription {
            let mut ended = self.inner.subscribe(id);
            Subscription::from_future(async move {
                match tokio::time::timeout(Duration::ZERO, &mut ended).await {
                    Ok(()) => pending().await,
                    Err(_) => ended.await,
                }
            })
        }
    }
}

flaw! {
    UnannouncedWork(()) {
        fn work(&self) -> Subscription {
            Subscription::from_future(pending())
        }
    }
}

/// Generates a store that forgets something of a job that is stored again.
macro_rules! forgets {
    ($($name:ident: $forget:expr;)*) => {$(
        flaw! {
            $name(()) {
                fn create<'a>(&'a self, mut job: NewJob) -> StoreFuture<'a, Created> {
                    let forget: fn(&mut NewJob) = $forget;
                    forget(&mut job);
                    self.inner.create(job)
                }
            }
        }
    )*};
}

forgets! {
    AttemptForgotten: |job| job.attempt = 0;
    CreationForgotten: |job| job.created = None;
    VersionForgotten: |job| job.version = 0;
    EpochForgotten: |job| job.epoch = 1;
}

flaw! {
    /// Shows the same time always.
    ConstantTime(()) {
        fn sweep<'a>(&'a self, query: &'a SweepQuery) -> StoreFuture<'a, Upkeep> {
            Box::pin(async move {
                let mut upkeep = self.inner.sweep(query).await?;
                upkeep.now = SystemTime::UNIX_EPOCH;
                Ok(upkeep)
            })
        }

        fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
            Box::pin(async move {
                let mut claims = self.inner.claim(query).await?;
                claims.now = SystemTime::UNIX_EPOCH;
                Ok(claims)
            })
        }
    }
}

flaw! {
    /// Sweeps even if its clock may have jumped.
    SweepAtAnyTime(()) {
        fn sweep<'a>(&'a self, _: &'a SweepQuery) -> StoreFuture<'a, Upkeep> {
            Box::pin(async { self.inner.sweep(&SweepQuery::default()).await })
        }
    }
}

flaw! {
    /// Claims even if its clock may have jumped.
    ClaimAtAnyTime(()) {
        fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
            let query = query.clone().with_not_after(None);
            Box::pin(async move { self.inner.claim(&query).await })
        }
    }
}

flaw! {
    /// Counts the time of a run from the latest create.
    RunningForForgotten(()) {
        fn create<'a>(&'a self, job: NewJob) -> StoreFuture<'a, Created> {
            self.inner.create(job.with_running_for(Duration::ZERO))
        }
    }
}

flaw! {
    /// Ends leases before it renews them.
    ReaperBeforeRenewal(()) {
        fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
            Box::pin(async move {
                self.inner.sweep(&SweepQuery::default()).await?;
                self.inner.renew(leases).await
            })
        }
    }
}

fails! {
    reaper_before_renewal: ReaperBeforeRenewal fails
        s14_a_clock_that_jumps_forward_ends_leases_and_no_more;
    rest_without_renewals: RestWithoutRenewals fails
        the_rest_of_a_lease_is_read_while_a_node_has_the_job,
        the_rest_of_a_lease_is_not_read_while_an_outside_party_has_the_job,
        s15_the_rest_of_a_lease_follows_jumps_of_the_clock;
    loss_without_pause: LossWithoutPause fails
        s32_a_job_whose_lease_is_lost_again_waits_before_its_next_run,
        s06_chunks_of_a_run_that_never_ended_are_collected,
        s10_finish_is_not_repeated_once_its_outcome_is_gone,
        s04_another_job_is_lost_when_its_lease_ends,
        s15_a_clock_that_jumps_back_expires_nothing_early,
        s15_a_clock_that_jumps_back_costs_at_most_a_lease,
        a_sweep_counts_the_jobs_that_ended_for_their_lost_leases,
        s09_sweeps_on_many_nodes_lose_nothing;
    running_for_forgotten: RunningForForgotten fails a_job_that_is_stored_again_has_run_as_long;
    stale_reaper: StaleReaper fails
        a_renewed_lease_lasts_from_its_renewal,
        an_expired_lease_is_renewed_if_its_job_was_not_taken_over;
    ttl_on_running: TtlOnRunning fails
        a_pending_job_never_expires, an_immediate_read_answers_as_read_does;
    renewal_that_revives: RenewalThatRevives fails
        a_renewal_never_revives_an_ended_job, s07_stale_finish_is_rejected_after_reclaim,
        an_unknown_job_has_no_record_and_its_lease_is_lost,
        a_thousand_leases_are_renewed_by_one_call;
    renewal_that_tells_no_fates: RenewalThatTellsNoFates fails
        a_renewal_distinguishes_the_fates_of_leases;
    renewal_that_forgets: RenewalThatForgets fails a_renewed_lease_lasts_from_its_renewal;
    lost_wake: LostWake fails
        s26_every_kind_of_end_wakes_its_waiters, s27_ten_thousand_waiters_are_all_woken,
        s26_a_subscription_before_a_read_misses_no_end;
    registered_by_poll: RegisteredByPoll fails
        a_subscription_is_registered_before_its_first_poll,
        a_subscription_to_an_ended_or_missing_job_resolves_at_once,
        only_the_latest_waker_of_a_waiter_is_woken;
    attempt_forgotten: AttemptForgotten fails a_job_that_is_stored_again_does_not_start_over;
    creation_forgotten: CreationForgotten fails a_job_that_is_stored_again_does_not_start_over;
    version_forgotten: VersionForgotten fails a_job_that_is_stored_again_does_not_start_over;
    epoch_forgotten: EpochForgotten fails
        a_run_whose_record_is_missing_stores_its_job_again,
        a_repeat_of_storing_a_job_again_is_the_same_create;
    constant_time: ConstantTime fails sweeps_and_claims_show_the_time_of_the_store;
    sweep_at_any_time: SweepAtAnyTime fails
        s15_sweeps_and_claims_at_a_later_time_than_expected_change_nothing;
    claim_at_any_time: ClaimAtAnyTime fails
        s15_sweeps_and_claims_at_a_later_time_than_expected_change_nothing;
    unannounced_work: UnannouncedWork fails workers_are_woken_when_there_is_work;
}
