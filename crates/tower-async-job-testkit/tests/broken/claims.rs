use std::collections::HashMap;

use bytes::Bytes;
use tower_async_job_core::{
    Claim, ClaimKind, ClaimQuery, Claims, Created, JobId, JobStore, Lease, NewJob, Outside,
    Release, Released, Report, Retention, Start, StoreFuture, StoredRequest,
};

use crate::{fails, flaw, lock};

flaw! {
    /// Keeps the report of an earlier run for a new one.
    ClaimThatKeepsProgress(HashMap<JobId, Report>) {
        fn report<'a>(&'a self, lease: &'a Lease, report: Report) -> StoreFuture<'a, ()> {
            lock(&self.memory).insert(lease.id, report.clone());
            self.inner.report(lease, report)
        }

        fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
            Box::pin(async move {
                let claims = self.inner.claim(query).await?;
                for Claim { lease, .. } in &claims.jobs {
                    let report = lock(&self.memory).get(&lease.id).cloned();
                    self.inner.report(lease, report.unwrap_or_default()).await?;
                }
                Ok(claims)
            })
        }
    }
}

flaw! {
    /// Returns one worker's claims to a second worker.
    ClaimedTwice(Option<Claims>) {
        fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
            Box::pin(async move {
                let claims = self.inner.claim(query).await?;
                let mut given = lock(&self.memory);
                if claims.jobs.is_empty() {
                    return Ok(given.take().unwrap_or(claims));
                }
                *given = Some(claims.clone());
                Ok(claims)
            })
        }
    }
}

flaw! {
    ClaimOfAnyRoute(()) {
        fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
            Box::pin(async move {
                let mut query = query.clone();
                query.routes = None;
                self.inner.claim(&query).await
            })
        }
    }
}

flaw! {
    ClaimOfAnyFormat(()) {
        fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
            Box::pin(async move {
                let query = query.clone().with_newest_format(u8::MAX);
                self.inner.claim(&query).await
            })
        }
    }
}

flaw! {
    ClaimOfAnySize(()) {
        fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
            Box::pin(async move {
                let query = query.clone().with_max_bytes(usize::MAX);
                self.inner.claim(&query).await
            })
        }
    }
}

flaw! {
    /// Reports that nothing is left to claim, always.
    ClaimThatSaysTooLittle(()) {
        fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
            Box::pin(async move {
                let mut claims = self.inner.claim(query).await?;
                claims.next = None;
                Ok(claims)
            })
        }
    }
}

flaw! {
    /// Reports that there is more to claim, even to workers that want nothing.
    ClaimThatAlwaysSaysMore(()) {
        fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
            Box::pin(async move {
                let mut claims = self.inner.claim(query).await?;
                claims.next = Some(std::time::Duration::ZERO);
                Ok(claims)
            })
        }
    }
}

flaw! {
    /// Gives jobs with corrupt requests to workers, repeatedly.
    PoisonHandedOut(()) {
        fn create<'a>(&'a self, mut job: NewJob) -> StoreFuture<'a, Created> {
            if job.request.as_ref().is_some_and(|request| request.format().is_none()) {
                let unread = Bytes::from_static(&[StoredRequest::FORMAT]);
                job.request = Some(StoredRequest::from_bytes(unread));
            }
            self.inner.create(job)
        }
    }
}

/// Generates a store that changes its claims.
macro_rules! claims {
    ($($name:ident: $change:expr;)*) => {
        $(flaw! {
            $name(()) {
                fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
                    let change: fn(&mut Claim) = $change;
                    Box::pin(async move {
                        let mut claims = self.inner.claim(query).await?;
                        claims.jobs.iter_mut().for_each(change);
                        Ok(claims)
                    })
                }
            }
        })*
    };
}

claims! {
    CheckpointForgotten: |claim| claim.checkpoint = Bytes::new();
    ClaimWithoutFingerprint: |claim| claim.fingerprint = None;
    ClaimWithoutRetention: |claim| claim.retention = Retention::default();
    ClaimWithoutNotification: |claim| claim.notify = None;
    ClaimOfFirstVersion: |claim| claim.version = 3;
}

flaw! {
    /// Makes releases that count wait like lost leases.
    ReleaseThatWaits(()) {
        fn release<'a>(
            &'a self,
            leases: &'a [Lease],
            how: Release,
        ) -> StoreFuture<'a, Vec<Released>> {
            let pause = tower_async_job_core::pause_after_loss(2);
            let after = if how.counts { how.after + pause } else { how.after };
            self.inner.release(leases, how.with_after(after))
        }
    }
}

flaw! {
    /// Gives the creator of an offered job the lease.
    OfferedWithLease(()) {
        fn create<'a>(&'a self, job: NewJob) -> StoreFuture<'a, Created> {
            Box::pin(async move {
                let offered = job.start == Start::Offered;
                let start = if offered { Start::Queued } else { job.start };
                match self.inner.create(job.with_start(start)).await? {
                    Created::New { created, .. } if offered => Ok(Created::Offered { created }),
                    other => Ok(other),
                }
            })
        }
    }
}

/// Generates a store that releases on other terms.
macro_rules! releases {
    ($(#[$about:meta])* $name:ident: $how:expr) => {
        flaw! {
            $(#[$about])*
            $name(()) {
                fn release<'a>(
                    &'a self,
                    leases: &'a [Lease],
                    how: Release,
                ) -> StoreFuture<'a, Vec<Released>> {
                    let change: fn(Release) -> Release = $how;
                    self.inner.release(leases, change(how))
                }
            }
        }
    };
}

releases! { DeployThatCounts: |how| how.with_counts(true) }
releases! { ReleaseThatNeverCounts: |how| how.with_counts(false) }
releases! { ReleaseWithoutDelay: |how| how.with_after(std::time::Duration::ZERO) }
releases! {
    /// Queues a run that an outside party continues.
    OutsideQueued: |mut how| {
        how.outside = None;
        how
    }
}

flaw! {
    /// Gives an outside party an hour more when a node gives back what it has resumed.
    OutsideForLonger(Option<Outside>) {
        fn release<'a>(
            &'a self,
            leases: &'a [Lease],
            mut how: Release,
        ) -> StoreFuture<'a, Vec<Released>> {
            let mut latest = lock(&self.memory);
            if how.outside.is_some() {
                *latest = how.outside;
            } else if let Some(mut longer) = *latest {
                longer.until += std::time::Duration::from_secs(3600);
                how.outside = Some(longer);
            }
            self.inner.release(leases, how)
        }
    }
}

flaw! {
    /// Completes a notification when it is claimed.
    NotifiedByClaim(()) {
        fn claim<'a>(&'a self, query: &'a ClaimQuery) -> StoreFuture<'a, Claims> {
            Box::pin(async move {
                let claims = self.inner.claim(query).await?;
                if query.kind == ClaimKind::Notify {
                    for claim in &claims.jobs {
                        self.inner.notified(&claim.lease, None).await?;
                    }
                }
                Ok(claims)
            })
        }
    }
}

flaw! {
    NotifiedForEver(()) {
        fn notified<'a>(
            &'a self,
            lease: &'a Lease,
            again: Option<std::time::Duration>,
        ) -> StoreFuture<'a, ()> {
            self.inner.notified(lease, again.or(Some(std::time::Duration::ZERO)))
        }
    }
}

flaw! {
    /// Keeps no notifications of jobs with a key.
    NeverNotified(()) {
        fn create<'a>(&'a self, mut job: NewJob) -> StoreFuture<'a, Created> {
            job.notify = None;
            self.inner.create(job)
        }
    }
}

flaw! {
    /// Says that a job is queued whose request it has not.
    AlwaysQueued(()) {
        fn release<'a>(
            &'a self,
            leases: &'a [Lease],
            how: Release,
        ) -> StoreFuture<'a, Vec<Released>> {
            Box::pin(async move {
                let mut released = self.inner.release(leases, how).await?;
                for released in &mut released {
                    if let Released::Ended(_) = released {
                        *released = Released::Queued;
                    }
                }
                Ok(released)
            })
        }
    }
}

fails! {
    always_queued: AlwaysQueued fails s39_a_released_job_without_request_is_lost;
    claim_that_keeps_progress: ClaimThatKeepsProgress fails
        a_claim_clears_progress_and_partial_result, a_notification_is_claimed_as_such_and_once,
        a_record_shows_the_state_of_its_notification,
        a_notification_that_failed_is_due_again_after_its_delay,
        s15_a_clock_that_jumps_back_delays_no_notification,
        completing_a_notification_can_be_repeated,
        a_job_whose_notification_is_due_is_kept_until_its_retention,
        a_notification_gives_no_right_to_the_job,
        a_run_outside_that_is_late_is_run_again_and_has_counted;
    claimed_twice: ClaimedTwice fails
        s03_a_replayable_job_is_run_again_when_its_lease_ends,
        each_job_of_a_backlog_is_claimed_once, random_histories_break_no_promise,
        s32_a_job_that_never_comes_to_an_end_fails_after_its_attempts,
        s32_a_claim_whose_answer_is_lost_counts_as_an_attempt,
        many_nodes_claim_and_end_each_job_once,
        s09_concurrent_sweeps_and_claims_take_a_job_over_once,
        a_repeated_offer_is_answered_alike_whatever_became_of_the_job,
        s32_three_crashes_between_deploys_end_a_job,
        s15_a_clock_that_jumps_back_delays_no_released_job;
    claim_of_any_route: ClaimOfAnyRoute fails
        a_claim_is_filtered_by_route, a_job_of_another_route_is_not_touched_by_a_claim,
        names_of_any_characters_are_told_apart;
    claim_of_any_format: ClaimOfAnyFormat fails
        s41_a_request_of_a_newer_format_is_left_to_newer_workers;
    claim_of_any_size: ClaimOfAnySize fails
        a_claim_is_bounded_in_bytes_but_one_job_is_always_allowed;
    claim_that_says_too_little: ClaimThatSaysTooLittle fails
        a_claim_is_bounded_in_jobs_and_reports_whether_more_are_left;
    claim_that_always_says_more: ClaimThatAlwaysSaysMore fails
        a_claim_with_limit_zero_takes_nothing_and_is_never_due_at_once;
    poison_handed_out: PoisonHandedOut fails s42_a_corrupt_request_ends_its_job_once;
    checkpoint_forgotten: CheckpointForgotten fails a_checkpoint_is_given_to_the_next_claim;
    claim_without_fingerprint: ClaimWithoutFingerprint fails
        a_claim_has_what_storing_its_job_again_needs;
    claim_without_retention: ClaimWithoutRetention fails
        a_claim_has_what_storing_its_job_again_needs;
    claim_without_notification: ClaimWithoutNotification fails
        a_claim_has_what_storing_its_job_again_needs;
    claim_of_first_version: ClaimOfFirstVersion fails a_claim_has_what_storing_its_job_again_needs;
    release_that_waits: ReleaseThatWaits fails
        a_release_says_its_own_delay, s32_a_waiting_job_uses_no_attempts,
        times_and_numbers_out_of_range_are_as_good_as_the_greatest,
        s39_a_released_job_is_queued_with_a_higher_epoch, calls_with_lost_answers_can_be_repeated,
        s39_waiters_of_a_released_job_keep_waiting;
    offered_with_lease: OfferedWithLease fails
        an_offered_job_can_be_claimed_at_once_on_any_node,
        the_creator_of_an_offered_job_has_no_lease,
        a_job_without_checkpoint_is_claimed_with_an_empty_one,
        a_claim_has_the_request_and_the_remaining_time, the_longest_waiting_job_is_claimed_first,
        s43_one_key_offers_one_job, an_offered_job_without_request_is_lost,
        s79_an_offered_job_is_discarded_until_it_is_claimed,
        a_sweep_reports_how_long_the_next_job_has_been_claimable;
    deploy_that_counts: DeployThatCounts fails s39_ten_rolling_deploys_use_no_attempt_up;
    release_that_never_counts: ReleaseThatNeverCounts fails
        a_release_that_counts_ends_the_last_attempt;
    release_without_delay: ReleaseWithoutDelay fails
        a_released_job_is_not_claimed_before_its_delay_is_over;
    outside_for_longer: OutsideForLonger fails
        s15_a_clock_that_jumps_back_gives_no_party_outside_more_time;
    outside_queued: OutsideQueued fails
        a_run_outside_keeps_its_attempt_and_is_not_claimed,
        a_run_outside_is_resumed_by_its_token_on_any_node,
        a_party_outside_reports_and_is_given_more_time, a_party_outside_learns_the_fate_of_its_run,
        a_resumed_run_that_crashes_is_outside_again,
        a_resumed_run_that_is_given_up_is_outside_again,
        a_report_from_outside_leaves_the_lease_of_a_resumed_run,
        a_run_outside_that_cannot_be_run_again_is_lost_when_it_is_late,
        s33_a_run_outside_ends_at_its_deadline;
    notified_by_claim: NotifiedByClaim fails a_notification_is_sent_again_after_a_crash;
    notified_for_ever: NotifiedForEver fails a_notification_is_sent_again_after_a_crash;
    never_notified: NeverNotified fails every_kind_of_end_makes_a_notification_due;
}
