/// Passes the list of all tests to another macro, after the tokens in brackets.
#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ($with:path, [$($tokens:tt)*]) => {
        $with! {
            [$($tokens)*]
            attempts {
                s32_a_job_that_never_comes_to_an_end_fails_after_its_attempts
                s32_a_waiting_job_uses_no_attempts
                s32_a_job_whose_lease_is_lost_again_waits_before_its_next_run
                s33_an_unclaimed_job_ends_at_its_deadline
            }
            checkpoints {
                a_checkpoint_is_given_to_the_next_claim
                a_job_without_checkpoint_is_claimed_with_an_empty_one
                a_checkpoint_is_not_in_the_record
            }
            chunks {
                a_result_in_chunks_is_visible_once_its_job_is_done
                s07_chunks_of_a_stale_run_are_never_read
                a_chunk_that_is_written_again_is_replaced
                s50_chunks_outlive_expiry_and_removal_while_they_are_read
                s06_chunks_of_a_run_that_never_ended_are_collected
            }
            claiming {
                a_claim_clears_progress_and_partial_result
                a_lapsed_lease_clears_progress_and_partial_result
                a_release_clears_progress_and_partial_result
                a_claim_has_the_request_and_the_remaining_time
                a_claim_is_bounded_in_jobs_and_reports_whether_more_are_left
                a_claim_with_limit_zero_takes_nothing_and_is_never_due_at_once
                a_claim_is_bounded_in_bytes_but_one_job_is_always_allowed
                a_claim_is_filtered_by_route
                a_job_of_another_route_is_not_touched_by_a_claim
                s41_a_request_of_a_newer_format_is_left_to_newer_workers
                s41_a_record_of_a_newer_format_is_left_alone
                s42_a_corrupt_request_ends_its_job_once
                s42_a_corrupt_record_ends_its_job_once
                s42_a_corrupt_record_spoils_no_batch_of_leases
                s32_a_claim_whose_answer_is_lost_counts_as_an_attempt
                many_nodes_claim_and_end_each_job_once
                each_job_of_a_backlog_is_claimed_once
                the_longest_waiting_job_is_claimed_first
            }
            crashes {
                s02_jobs_that_were_acknowledged_outlive_a_crash
                s02_results_and_keys_that_were_acknowledged_outlive_a_crash
                s80_jobs_whose_node_died_with_the_store_are_swept_after_it
            }
            creating {
                a_new_job_is_read_as_it_was_created
                a_repeated_create_gives_the_same_lease
                a_create_with_the_id_of_another_job_is_a_conflict
                a_queued_job_has_begun_no_run_until_it_is_started
                an_unknown_job_has_no_record_and_its_lease_is_lost
                an_immediate_create_answers_as_create_does
                every_generated_id_is_different
                nothing_happens_until_a_future_is_polled
            }
            discarding {
                a_discarded_job_leaves_neither_record_nor_key
                an_ended_job_is_not_discarded
                s79_a_create_overtaken_by_its_discard_stores_nothing
                s79_a_discarded_id_is_void_for_a_lease
                s79_a_repeated_discard_voids_the_id_for_another_lease
                s79_a_removed_job_is_not_stored_again_by_its_run
                s79_a_job_forgotten_within_its_lease_is_not_stored_again_by_its_run
                s79_a_void_is_forgotten_after_its_time
                a_create_of_unknown_outcome_is_repeated
            }
            ending {
                the_outcome_is_read_in_full_detail_only
                s10_finish_is_repeated_by_epoch_and_state_with_and_without_reports
                s10_a_failed_end_can_be_repeated
                a_run_that_ends_as_lost_has_its_problem
                s10_finish_is_not_repeated_once_its_outcome_is_gone
                s10_a_finish_of_unknown_outcome_is_repeated
                finish_stores_the_last_report_in_the_same_step
                s11_a_cancelled_job_keeps_no_last_report
                answers_and_records_show_the_same_times
                s11_cancel_beats_finish
                s12_cancel_after_done_leaves_the_result
                s13_a_queued_job_is_cancelled_too
                s13_a_cancel_is_seen_on_another_node_before_it_returns
            }
            extremes {
                names_of_any_characters_are_told_apart
                times_and_numbers_out_of_range_are_as_good_as_the_greatest
            }
            histories {
                random_histories_break_no_promise
            }
            keys {
                look_up_answers_as_create_does_and_stores_nothing
                s43_one_key_makes_one_job
                s44_one_key_with_another_request_is_refused
                s45_one_key_of_two_principals_makes_two_jobs
                s45_keys_of_principals_never_collide
                a_key_counts_as_long_as_its_job
                s73_key_of_a_result_that_was_delivered_counts_until_its_retention
                s73_key_of_a_delivered_result_counts_before_the_sweep_without_tombstones_too
                s73_key_of_a_removed_result_counts_until_its_retention
                s73_key_of_a_removed_job_that_was_cancelled_counts_until_its_retention
            }
            leases {
                s03_a_replayable_job_is_run_again_when_its_lease_ends
                s04_another_job_is_lost_when_its_lease_ends
                a_renewed_lease_lasts_from_its_renewal
                an_expired_lease_is_renewed_if_its_job_was_not_taken_over
                s07_stale_finish_is_rejected_after_reclaim
                s08_the_epoch_rises_with_each_claim
                s09_concurrent_sweeps_and_claims_take_a_job_over_once
                s15_a_clock_that_jumps_back_expires_nothing_early
                s15_a_clock_that_jumps_back_costs_at_most_a_lease
                s14_a_clock_that_jumps_forward_ends_leases_and_no_more
                a_renewal_distinguishes_the_fates_of_leases
                a_renewal_never_revives_an_ended_job
                a_run_whose_record_is_missing_stores_its_job_again
                a_job_that_is_stored_again_does_not_start_over
                a_job_that_is_stored_again_has_run_as_long
                a_claim_has_what_storing_its_job_again_needs
                a_repeat_of_storing_a_job_again_is_the_same_create
                a_thousand_leases_are_renewed_by_one_call
            }
            listing {
                operators_find_a_job_by_its_handle
                a_list_contains_each_job_once
                a_list_is_filtered_by_state_and_route
                a_list_is_filtered_by_principal_and_is_newest_first
                a_list_of_a_principal_has_each_job_once_while_jobs_come_and_end
                jobs_that_were_discarded_or_removed_are_in_no_list_of_their_principal
                s42_a_list_counts_unreadable_jobs
                expired_jobs_are_listed_by_the_principal_that_they_had
            }
            notifying {
                every_kind_of_end_makes_a_notification_due
                a_notification_is_claimed_as_such_and_once
                a_record_shows_the_state_of_its_notification
                a_notification_is_sent_again_after_a_crash
                s02_each_step_of_a_notification_outlives_a_crash
                a_notification_that_failed_is_due_again_after_its_delay
                s15_a_clock_that_jumps_back_delays_no_notification
                completing_a_notification_can_be_repeated
                a_job_whose_notification_is_due_is_kept_until_its_retention
                a_discarded_job_makes_no_notification_due
                a_job_without_notification_makes_none_due
                a_notification_gives_no_right_to_the_job
            }
            offering {
                an_offered_job_can_be_claimed_at_once_on_any_node
                the_creator_of_an_offered_job_has_no_lease
                an_offered_job_waits_longer_than_a_lease
                a_repeated_offer_is_answered_alike_whatever_became_of_the_job
                s43_one_key_offers_one_job
                an_offered_job_without_request_is_lost
                s33_an_offered_job_ends_at_its_deadline
                s79_an_offered_job_is_discarded_until_it_is_claimed
            }
            outside {
                a_run_outside_keeps_its_attempt_and_is_not_claimed
                a_run_outside_is_resumed_by_its_token_on_any_node
                a_run_outside_that_is_late_is_run_again_and_has_counted
                a_party_outside_reports_and_is_given_more_time
                a_party_outside_learns_the_fate_of_its_run
                a_resumed_run_that_crashes_is_outside_again
                a_resumed_run_that_is_given_up_is_outside_again
                a_report_from_outside_leaves_the_lease_of_a_resumed_run
                a_run_outside_that_cannot_be_run_again_is_lost_when_it_is_late
                s33_a_run_outside_ends_at_its_deadline
                s15_a_clock_that_jumps_back_gives_no_party_outside_more_time
            }
            queueing {
                s38_a_create_beyond_the_queue_limit_stores_nothing
                s38_a_principal_beyond_its_quota_leaves_others_alone
                s38_jobs_count_as_waiting_exactly_while_they_are_queued
                s38_a_job_that_runs_at_once_is_stored_though_the_queue_is_full
                s38_repeats_are_answered_though_the_queue_is_full
                s38_creates_at_once_exceed_the_queue_limit_by_those_in_flight_at_most
                s38_the_numbers_of_waiting_jobs_are_right_after_any_history
            }
            reading {
                a_report_changes_only_the_fields_that_it_has
                a_report_is_read_on_another_node
                an_immediate_read_answers_as_read_does
                the_length_of_a_body_is_read_in_every_detail
                the_rest_of_a_lease_is_read_while_a_node_has_the_job
                the_rest_of_a_lease_is_not_read_while_an_outside_party_has_the_job
                s15_the_rest_of_a_lease_follows_jumps_of_the_clock
            }
            releasing {
                s39_a_released_job_is_queued_with_a_higher_epoch
                s39_a_released_job_without_request_is_lost
                s39_ten_rolling_deploys_use_no_attempt_up
                s32_three_crashes_between_deploys_end_a_job
                a_release_that_counts_ends_the_last_attempt
                a_released_job_is_not_claimed_before_its_delay_is_over
                a_release_says_its_own_delay
                s15_a_clock_that_jumps_back_delays_no_released_job
                leases_released_together_have_separate_results
            }
            repeating {
                a_create_dropped_half_way_takes_effect_as_a_whole_or_not_at_all
                a_finish_dropped_half_way_takes_effect_as_a_whole_or_not_at_all
                calls_with_lost_answers_can_be_repeated
            }
            retention {
                s49_a_result_expires_and_is_forgotten_with_and_without_a_sweep
                a_pending_job_never_expires
                a_removed_job_is_unknown
                s50_an_extended_result_is_kept_and_never_cut_short
                a_delivered_result_is_kept_for_a_time_of_its_own
                s69_no_name_is_kept_of_an_expired_job
            }
            room {
                s20_a_full_store_refuses_new_jobs_and_keeps_existing_ones
                s20_a_full_store_answers_known_keys
                s20_a_result_without_room_leaves_the_job_pending_and_a_problem_fits
                room_is_free_again_after_its_data_is_gone
                expired_results_make_room_for_a_large_one
            }
            upkeep {
                a_sweep_reports_when_the_next_is_due
                a_sweep_counts_pending_jobs_by_principal
                a_sweep_reports_how_long_the_next_job_has_been_claimable
                a_sweep_counts_the_jobs_that_ended_for_their_lost_leases
                a_sweep_names_the_jobs_that_ended_by_themselves
                sweeps_and_claims_show_the_time_of_the_store
                s15_sweeps_and_claims_at_a_later_time_than_expected_change_nothing
                s09_sweeps_on_many_nodes_lose_nothing
            }
            versions {
                the_version_rises_with_each_change_that_a_record_shows
                the_version_rises_with_a_cancel
            }
            waiting {
                a_subscription_to_an_ended_or_missing_job_resolves_at_once
                s26_every_kind_of_end_wakes_its_waiters
                s25_a_lost_notification_only_delays_a_wait
                only_the_latest_waker_of_a_waiter_is_woken
                s27_ten_thousand_waiters_are_all_woken
                s29_a_dropped_waiter_leaves_no_waker_behind
                s39_waiters_of_a_released_job_keep_waiting
                s26_a_subscription_before_a_read_misses_no_end
                a_subscription_is_registered_before_its_first_poll
                workers_are_woken_when_there_is_work
            }
        }
    };
}
