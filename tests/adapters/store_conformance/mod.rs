//! What every adapter of the store ports must do.
//!
//! A backend joins by one line: `store_conformance!(name, its_backend())`.

pub mod claiming;
pub mod committing;
pub mod counting;
pub mod deciding;
pub mod forgetting;
pub mod leasing;
pub mod listing_letters;
pub mod listing_orders;
pub mod listing_sagas;
pub mod mailing;
pub mod reading;
pub mod resending;
pub mod sample;
pub mod stage;
pub mod stocking;
pub mod waking;
pub mod wanting;

use skald::ports::ledger::Shard;
use skald::store::{Stores, sqlite};

/// How many shards an installation under test has.
pub const SHARDS: Shard = 4;

/// A place for one installation, empty at first.
pub trait Backend {
    /// Opens the installation, with [`SHARDS`] shards.
    fn open(&self) -> Stores;
}

/// Runs the suite against a backend.
macro_rules! store_conformance {
    ($name:ident, $backend:expr) => {
        store_conformance! { $name, $backend,
            claiming {
                a_new_shard_starts_at_the_beginning
                claiming_raises_the_epoch_and_keeps_the_rest
                a_shard_beyond_their_number_is_refused
                a_deposed_owner_writes_nothing
                a_shard_that_nobody_claimed_is_not_written_to
                marks_move_forward_and_never_back
            }
            committing {
                what_is_committed_is_read_back_as_it_was
                outcomes_are_in_the_order_of_the_entries
                positions_follow_each_other_without_gaps
                shards_count_their_positions_apart
                a_saga_that_moved_on_conflicts_and_nothing_of_its_entry_is_written
                a_saga_that_was_never_born_conflicts
                a_birth_of_a_known_saga_conflicts
                a_saga_of_another_shard_conflicts
                a_row_that_can_not_be_written_refuses_the_whole_batch
                only_a_pending_order_is_settled
                a_commit_outlives_a_restart
            }
            forgetting {
                a_repeat_gets_the_first_answer_and_nothing_of_it_is_written
                of_two_entries_under_one_key_the_second_is_a_repeat
                an_order_that_was_stored_before_conflicts_even_under_its_own_key
                the_oldest_keys_are_forgotten_first_and_no_more_than_asked
                a_forgotten_key_can_be_used_again
            }
            waking {
                unknown_sagas_are_left_out
                unfinished_sagas_come_by_id_and_page_by_page
                a_saga_that_only_waits_for_an_operator_is_unfinished_and_never_due
                due_sagas_come_by_moment_and_then_by_id
                a_page_of_due_sagas_goes_on_where_the_last_one_ended
                several_shards_are_asked_at_once_each_from_where_it_stands
                a_saga_is_due_when_its_newest_state_says
            }
            resending {
                the_history_comes_in_the_order_of_its_positions
                each_row_comes_with_its_saga_as_it_stands_now
                a_shard_sees_only_its_own_history
            }
            wanting {
                an_input_waits_for_the_owner_of_its_sagas_shard
                inputs_wait_in_the_order_of_their_arrival
                shards_with_inputs_that_wait_are_told_from_the_others
                a_repeat_is_recognised_by_its_clients_key
                a_key_stands_for_one_request_of_one_saga
                nothing_can_be_wanted_of_an_unknown_saga
                a_settled_input_waits_no_more_and_tells_its_outcome
                inputs_are_settled_without_a_word_of_history
                a_conflicting_entry_leaves_its_inputs_waiting
                the_first_outcome_stands
                a_dead_letter_leaves_its_notice_once
                a_notice_for_an_unknown_saga_is_left_out
            }
            deciding {
                about_a_letter_that_is_not_there_nothing_is_decided
                a_requeued_letter_is_due_until_it_is_known_to_be_sent
                a_discarded_letter_is_sent_to_nobody
                a_letter_that_was_requeued_is_not_requeued_twice
                a_letter_that_was_decided_about_is_not_decided_about_otherwise
                a_key_stands_for_one_decision_about_one_letter
                a_requeue_that_failed_opens_its_letter_and_gives_its_key_back
                the_first_outcome_of_a_decision_stands
                a_message_that_dies_again_opens_its_letter
                what_is_longest_due_is_handed_out_first_and_no_more_than_asked
                of_nodes_that_ask_at_the_same_time_each_gets_others
                of_opposite_decisions_at_the_same_time_one_stands
            }
            reading {
                all_stores_answer
                an_order_is_read_with_its_lines_in_the_customers_order
                a_saga_is_read_with_the_moments_of_its_birth_and_newest_event
                a_history_is_read_in_order_and_page_by_page
                lags_tell_what_is_not_confirmed
                versions_are_those_of_the_sagas_that_exist
                what_is_not_there_is_none
            }
            leasing {
                living_nodes_are_counted_by_id
                a_node_whose_lease_ran_out_is_not_alive
                a_claim_raises_the_epoch_and_keeps_the_rest
                what_somebody_owns_is_claimed_by_nobody_else
                a_shard_beyond_their_number_is_not_claimed
                the_shards_of_a_node_whose_lease_ran_out_are_anybodys
                a_node_gives_up_only_what_it_owns
                a_node_that_leaves_is_forgotten_with_its_leases
                a_renewal_that_comes_after_its_node_has_left_brings_no_shard_back
                of_claims_at_the_same_time_one_is_granted
            }
            listing_letters {
                letters_come_newest_first_and_page_by_page
                letters_are_found_by_what_they_are_about
                a_letter_is_read_as_it_died_with_what_was_decided
                a_letter_that_is_about_no_saga_is_a_letter_too
                open_letters_are_counted
            }
            listing_orders {
                orders_come_newest_first_and_page_by_page
                orders_are_found_by_user
                orders_are_found_by_status
                orders_are_found_by_user_and_status
            }
            listing_sagas {
                sagas_come_newest_first_and_page_by_page
                sagas_are_found_by_status
                sagas_are_found_by_definition
                sagas_are_found_by_definition_and_status
                sagas_are_found_by_the_beginning_of_their_id
                sagas_are_found_by_the_beginning_of_their_key
                a_text_is_taken_literally
                a_text_narrows_the_other_conditions
                a_key_that_very_many_sagas_share_is_listed_page_by_page
            }
            counting {
                an_empty_store_counts_nothing
                counters_follow_every_commit
                sagas_of_all_definitions_count_together
                cancelled_orders_count_by_reason
                what_is_not_written_does_not_count
                events_of_all_sagas_count_together
            }
            stocking {
                a_product_is_made_by_setting_its_stock
                stock_can_not_be_set_below_what_is_reserved
                products_come_by_id_and_page_by_page
                a_transaction_sees_what_it_asked_for
                a_transaction_sees_the_products_that_its_records_hold
                what_a_transaction_returns_is_written
                a_release_leaves_nothing_held
                a_new_holding_replaces_the_old_one
                more_than_there_is_can_not_be_reserved_and_nothing_is_written
                less_than_nothing_can_not_be_reserved
                what_does_not_exist_can_not_be_reserved
                transactions_at_the_same_time_lose_nothing
                a_reader_neither_waits_for_a_transaction_nor_sees_it
                a_transaction_that_panics_changes_nothing
            }
            mailing {
                records_are_empty_at_first_and_then_as_written
                do_and_undo_of_a_step_meet_on_one_record
                notifications_are_counted_by_outcome
                a_key_is_notified_and_counted_once
                records_outlive_a_restart
            }
        }
    };
    ($name:ident, $backend:expr, $($group:ident { $($case:ident)* })*) => {
        pub mod $name {
            use super::stage::Stage;
            use super::*;
            $($(#[test]
            fn $case() {
                $group::$case(Stage::of($backend));
            })*)*

            /// The whole suite, for whoever wants to watch a backend at it.
            #[allow(dead_code, reason = "not every backend is watched")]
            pub const CASES: &[fn(Stage)] = &[$($($group::$case),*),*];
        }
    };
}

pub(crate) use store_conformance;

/// An installation of SQLite files in a folder that goes with it.
pub struct Files(tempfile::TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Backend for Files {
    fn open(&self) -> Stores {
        sqlite::open(self.0.path(), SHARDS).unwrap()
    }
}

store_conformance!(sqlite_files, Files::new());
