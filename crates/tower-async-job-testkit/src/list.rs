/// Hands the list of all tests to another macro, behind the tokens in brackets.
#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ($with:path, [$($tokens:tt)*]) => {
        $with! {
            [$($tokens)*]
            attempts {
                s32_a_job_that_never_comes_to_an_end_fails_after_its_attempts
                s32_a_job_that_waits_uses_no_attempt_up
                s33_a_job_that_nobody_claims_ends_at_its_deadline
                s39_a_released_job_is_queued_with_a_higher_epoch
                s39_a_released_job_without_request_is_lost
                a_backlog_is_claimed_once_each
            }
            creating {
                a_new_job_is_read_as_it_was_created
                a_repeated_create_gives_the_same_lease
                a_create_with_the_id_of_another_job_is_a_conflict
                a_queued_job_has_begun_no_run_until_it_is_started
                an_unknown_job_is_none_and_its_lease_lost
                creating_at_once_agrees_with_creating
                nothing_happens_until_a_future_is_polled
            }
            ending {
                the_outcome_is_read_in_full_detail_only
                s10_a_repeated_finish_succeeds_and_changes_nothing
                s11_cancel_beats_finish
                s12_cancel_after_done_leaves_the_result
                s13_a_queued_job_is_cancelled_too
                s13_a_cancel_is_seen_on_another_node_before_it_returns
                a_discarded_job_never_was
                an_ended_job_is_not_discarded
            }
            keys {
                look_up_finds_what_a_create_would_and_makes_nothing
                s43_one_key_makes_one_job
                s44_one_key_with_another_request_is_refused
                s45_one_key_of_two_principals_makes_two_jobs
                s45_keys_of_principals_are_told_apart_whatever_their_text
                a_key_lives_as_long_as_its_job
                s73_key_of_a_result_that_was_delivered_counts_until_its_retention
                s73_key_of_a_delivered_result_counts_before_the_sweep_without_tombstones_too
                s73_key_of_a_removed_result_counts_until_its_retention
                s73_key_of_a_removed_job_that_was_cancelled_counts_until_its_retention
            }
            leases {
                s03_a_replayable_job_is_run_again_when_its_lease_ends
                s04_another_job_is_lost_when_its_lease_ends
                a_renewed_lease_lasts
                a_lease_that_ran_out_is_held_again_if_nobody_took_it
                s07_stale_finish_is_rejected_after_reclaim
                s08_the_epoch_rises_with_each_claim
                s09_reapers_that_race_make_one_transition
                s15_a_clock_that_jumps_back_expires_nothing_early
            }
            listing {
                operators_find_a_job_by_its_handle
                a_list_has_every_job_once
                a_list_is_filtered_by_state_and_route
            }
            reading {
                a_report_leaves_what_it_does_not_say
                a_report_is_read_on_another_node
                reading_at_once_agrees_with_reading
            }
            retention {
                s49_a_result_expires_and_is_forgotten_with_and_without_a_sweep
                a_pending_job_never_expires
                a_removed_job_is_unknown
                s50_an_extended_result_is_kept_and_never_cut_short
                a_delivered_result_is_kept_for_a_time_of_its_own
                s69_no_name_is_kept_of_an_expired_job
                a_sweep_says_when_to_come_again
            }
            room {
                s20_a_full_store_refuses_what_is_new_and_keeps_what_is_there
                s20_a_key_is_answered_though_the_store_is_full
                s20_a_result_without_room_leaves_the_job_pending_and_a_problem_fits
                room_is_given_back
                what_has_expired_makes_room_for_much
            }
            waiting {
                an_ended_or_missing_job_is_not_waited_for
                s26_every_kind_of_end_wakes
                s25_a_lost_notification_delays_a_wait_and_no_more
                only_the_latest_waker_of_a_waiter_is_woken
                s27_ten_thousand_waiters_are_all_woken
                s29_a_dropped_waiter_leaves_no_waker_behind
                s39_a_released_job_is_still_waited_for
            }
        }
    };
}
