use crate::{
    nodes::Nodes,
    run::{self, Test},
    themes,
};

/// Passes the list of all tests to another macro, after the tokens in brackets.
#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ($with:path, [$($tokens:tt)*]) => {
        $with! {
            [$($tokens)*]
            budgets {
                submission_and_end_are_one_commit_each_and_a_poll_is_one_read
                held_poll_is_two_reads
                cancelling_and_removing_are_a_read_and_a_commit
                run_that_is_cancelled_may_read_its_job
                result_of_a_key_is_handed_over_once_it_is_committed
                offers_and_claims_of_many_jobs_are_one_commit
                renewals_of_a_thousand_leases_are_one_commit
                s27_ten_thousand_waiters_on_a_job_of_another_process_take_three_reads_a_change
            }
            crashes {
                s01_s02_what_was_acknowledged_outlives_a_kill_and_nothing_is_there_by_half
                s05_s06_of_a_process_that_is_killed_no_half_result_is_seen
                s03_s04_jobs_of_a_killed_process_are_run_again_or_lost_after_its_leases
                workers_that_are_killed_and_replaced_under_load_lose_no_job
            }
            delivery {
                a_result_is_delivered_by_the_process_that_comes_after
                a_job_that_a_front_offers_is_run_by_the_worker_of_another_store
                a_result_is_streamed_and_removed_by_another_process_than_its_own
                s50_a_result_that_another_handle_extends_is_kept_by_all_processes
            }
            downloads {
                download_that_breaks_off_is_continued_after_a_restart
                s50_a_download_is_completed_though_its_result_expires_or_is_removed
                s50_a_download_that_comes_too_late_for_a_chunk_ends_with_an_error
            }
            encrypted {
                encrypted_jobs_leave_no_plain_text
            }
            keys {
                s43_a_hundred_repeats_on_two_nodes_at_once_make_one_job
                s44_a_key_with_another_body_is_refused_on_another_node
                s45_a_key_of_another_principal_is_another_job
                s43_one_key_in_two_processes_at_once_makes_one_job
                s44_of_different_bodies_with_one_key_at_once_one_is_accepted
            }
            killed {
                s01_a_retry_of_what_a_killed_process_had_not_stored_makes_one_job
                s02_a_retry_of_what_a_killed_process_had_stored_gets_its_job
                s03_s04_jobs_of_a_killed_process_are_run_again_or_lost_and_never_unknown
                s05_a_process_killed_between_the_end_of_a_handler_and_its_record_leaves_no_half_result
                s06_of_a_process_killed_in_the_midst_of_a_result_nothing_is_served_and_nothing_stays
                s32_a_job_that_kills_its_process_each_time_fails_after_its_attempts
                s80_orphans_are_run_or_lost_though_nothing_is_submitted
                s80_orphans_are_queued_or_lost_though_one_poll_is_all_that_comes
                s80_orphans_are_queued_or_lost_though_nothing_comes
            }
            learned {
                a_front_learns_once_from_each_job_that_another_process_runs
                the_budget_of_polls_is_for_a_share_of_the_jobs_of_all_live_processes
            }
            limits {
                s38_fronts_keep_to_their_queue_limit_together
                s38_a_principal_beyond_its_quota_in_two_processes_leaves_others_alone
                s38_the_first_job_of_a_tenant_overtakes_the_backlog_of_another
                s38_tenants_take_turns_at_the_workers
            }
            operating {
                operators_list_and_cancel_the_jobs_of_another_process
                s17_nodes_stay_ready_without_their_store_and_strict_probes_and_options_tell_it
                metrics_of_a_node_tell_the_state_of_the_store_and_the_fate_of_jobs_of_others
            }
            outages {
                s10_an_end_whose_acknowledgement_is_lost_is_repeated_and_changes_nothing
                s16_a_node_that_cannot_write_aborts_its_jobs_before_their_leases_end
                s17_a_poll_that_cannot_read_is_told_to_come_again
                s18_a_submission_that_cannot_be_stored_stays_inline_or_is_refused
                s19_an_end_that_cannot_be_stored_is_repeated_until_the_lease_ends
                s20_a_full_store_refuses_submissions_and_serves_the_results_that_it_has
            }
            records {
                s41_a_job_of_a_newer_release_is_503_and_stays
                s42_a_damaged_job_is_500_and_others_go_on
                s41_a_crowd_of_jobs_of_a_newer_release_delays_no_other
            }
            shared {
                s08_a_job_claimed_again_beside_its_old_run_in_the_same_process_keeps_the_new_lease
                s09_nodes_that_look_for_ended_leases_together_run_each_job_once_more
                s11_a_job_that_ends_after_it_was_cancelled_elsewhere_stays_cancelled
                s13_a_cancel_on_another_node_is_stored_before_it_is_answered_and_ends_the_run
                s26_s27_all_of_ten_thousand_polls_held_elsewhere_are_answered_at_the_end
                s14_s15_a_node_whose_day_is_ahead_takes_no_job_of_another
            }
            sharing {
                processes_that_open_new_data_at_once_create_them_once
                s03_claims_of_two_processes_are_one_each
                s13_a_cancel_by_another_process_is_seen_at_once_and_wakes
                work_offered_by_another_process_wakes_workers
            }
            stopped {
                s07_a_process_suspended_for_longer_than_its_lease_aborts_and_changes_nothing
                s39_a_process_that_is_terminated_ends_what_it_can_and_hands_back_the_rest
                s40_a_process_that_is_terminated_twice_ends_at_once_and_its_jobs_as_if_it_were_killed
            }
            traces {
                one_trace_leads_from_the_submission_over_a_later_run_elsewhere_to_the_polls
            }
            waking {
                s13_a_cancel_in_another_process_reaches_the_handler_at_once
                s13_s25_a_cancel_whose_notification_is_lost_reaches_the_handler_by_its_renewal
                a_report_of_a_handler_is_in_the_polls_of_another_process_at_once
                events_of_a_job_in_another_process_are_its_reports_and_its_end
                a_held_poll_is_answered_at_once_when_its_job_ends_in_another_process
                s25_a_held_poll_whose_notification_is_lost_is_answered_within_the_fallback
                s25_a_held_poll_whose_connection_is_cut_is_answered_and_the_next_one_at_once
            }
        }
    };
}

macro_rules! table {
    ([] $($theme:ident { $($name:ident)* })*) => {
        /// Returns all tests, for stores of one type.
        pub fn tests<N: Nodes>() -> Vec<Test> {
            vec![$($(Test::new(stringify!($name), || {
                run::on_new_data(async |data: &N| themes::$theme::$name(data).await)
            }),)*)*]
        }
    };
}

crate::__tests! { table, [] }
