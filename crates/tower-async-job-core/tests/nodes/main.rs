//! The promises of stores that many nodes rely on, kept by the one in memory. Each is a function
//! over any store, and a clock that it moves.

/// Hands all promises to a macro.
macro_rules! promises_of {
    ($then:ident) => {
        $then! {
            offers {
                offered_job_is_claimed_without_another_commit
                offered_job_gives_its_creator_no_right_to_run_it
                repeated_offer_is_answered_alike_whatever_became_of_it
                offered_job_without_request_is_lost
            }
            ends {
                s10_repeated_finish_is_told_by_its_state_with_and_without_reports
                outcome_and_last_report_are_stored_together
                creation_and_cancellation_tell_the_times_of_the_record
                result_is_described_without_its_bytes
            }
            releases {
                s39_ten_deploys_use_no_attempt_and_three_crashes_use_three
                released_job_is_not_claimed_before_its_time
                next_run_begins_without_the_progress_of_the_last
                released_leases_have_each_their_fate
                renewal_tells_cancelled_missing_and_lost_jobs
                run_stores_its_lost_job_anew
            }
            discards {
                s36_create_behind_its_discard_makes_no_job
                voided_id_is_free_again_after_a_lease
                removed_job_is_not_missing
            }
            claims {
                claims_are_for_the_routes_that_were_asked_for
                s41_request_of_a_newer_format_is_left_alone
                s42_unreadable_request_ends_as_failed_once
                claims_are_bounded_in_bytes
                longest_waiting_job_is_claimed_first
                claim_tells_the_remaining_time
                worker_is_woken_by_each_thing_to_claim
            }
            notifications {
                every_end_makes_its_notification_due
                notification_is_sent_until_it_is_acknowledged
                notification_outlives_the_removal_of_its_job
                notification_is_given_up_with_the_retention
                discarded_job_is_not_notified
            }
            chunks {
                chunks_are_read_once_the_run_has_finished
                s07_chunks_of_a_stale_run_are_not_read
                s50_chunks_outlive_removal_and_expiry_while_they_are_read
            }
            outside {
                party_outside_keeps_the_job_and_its_attempt
                party_outside_reports_and_renews_through_any_node
                result_of_a_party_outside_is_recorded_by_any_node
                s08_of_two_nodes_that_resume_the_later_has_the_lease
                job_of_a_resumed_lease_that_ran_out_is_back_outside
                silent_party_outside_loses_the_job
                party_outside_learns_that_its_job_was_cancelled
                deadline_ends_a_job_outside
            }
            versions {
                version_rises_with_each_change_and_only_then
            }
            listing {
                list_of_one_principal_has_its_jobs_only
                sweep_counts_pending_jobs_by_principal
            }
        }
    };
}
mod chunks;
mod claims;
mod common;
mod discards;
mod ends;
mod listing;
mod notifications;
mod offers;
mod outside;
mod releases;
mod sealed;
mod time;
mod versions;

macro_rules! memory_promises {
    ($($theme:ident { $($name:ident)* })*) => {
        $($(
            #[tokio::test]
            async fn $name() {
                let (store, pass) = common::memory();
                $theme::$name(store, &pass).await;
            }
        )*)*
    };
}

promises_of!(memory_promises);
