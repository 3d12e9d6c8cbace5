//! One suite of behaviour for all backplanes, handed a [`Factory`]: each sentence of the contract
//! ([`tricast_core::backplane`]) and of what a log does is a scenario here, so that nobody can tell one from another.
//!
//! # Examples
//!
//! In the tests of a backplane:
//!
//! ```no_run
//! use std::sync::Arc;
//! use tricast_core::backplane::{Backplane, BoxFuture};
//! use tricast_testkit::store::Store;
//! use tricast_testkit::suite::Factory;
//!
//! struct Ours(Store);
//!
//! impl Factory for Ours {
//!     fn node(&self) -> BoxFuture<'_, Arc<dyn Backplane>> {
//!         Box::pin(async { self.0.node() as _ })
//!     }
//! }
//!
//! # fn ours() -> Ours {
//! #     let clock = Arc::new(tricast_testkit::clock::VirtualClock::default());
//! #     Ours(Store::new(clock, Arc::new(tricast_testkit::entropy::Seeded::new(1))))
//! # }
//! tricast_testkit::backplane_suite!(ours());
//! # fn main() {}
//! ```

pub mod appending;
pub mod epochs;
pub mod history;
pub mod holders;
pub mod ids;
pub mod keys;
pub mod opening;
pub mod random;
pub mod reading;
pub mod retention;
mod servers;
pub mod states;
pub mod watching;
mod world;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime;
use tokio::time;
use tricast_core::backplane::{Backplane, BoxFuture};

use crate::WATCHDOG;

pub use servers::{Connect, Servers};

/// Makes the nodes of one store. Each scenario has a factory of its own; several may share a server, for no two
/// scenarios use a channel of the same name.
pub trait Factory: Send + Sync {
    /// One more node of the store, to which nobody has listened yet.
    fn node(&self) -> BoxFuture<'_, Arc<dyn Backplane>>;

    /// Whether several nodes share the store. Where not, `node` is called once for each factory, news need not bear the
    /// message, and may come without being asked for.
    fn is_shared(&self) -> bool {
        true
    }

    /// Lets time pass, by the store's clock. It is real unless said otherwise.
    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(time::sleep(time)) // that time passes is what was asked for
    }

    /// Whether minutes pass in no time.
    fn is_time_virtual(&self) -> bool {
        false
    }
}

/// Runs a scenario on two threads, for no longer than a few [`WATCHDOG`]s.
pub fn run(scenario: impl Future<Output = ()>) {
    // Boxed, so that a runtime is not compiled for each scenario anew.
    run_boxed(Box::pin(scenario));
}

fn run_boxed(scenario: Pin<Box<dyn Future<Output = ()> + '_>>) {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("the system gives two threads");
    let ended = runtime.block_on(async { time::timeout(3 * WATCHDOG, scenario).await });
    runtime.shutdown_background();
    assert!(ended.is_ok(), "the scenario does not end");
}

/// Makes a `#[test]` of each scenario of [`suite`](crate::suite). It is given an expression that makes a
/// [`Factory`](crate::suite::Factory); it may `.await`.
#[macro_export]
macro_rules! backplane_suite {
    ($factory:expr) => {
        $crate::backplane_suite! { @each $factory;
            opening {
                opening_a_channel_mints_its_epoch_and_the_epoch_stays
                whatever_touches_a_channel_first_mints_its_epoch
                all_who_open_at_once_are_given_one_epoch
                a_name_may_have_every_character_and_its_full_length
                channels_with_similar_names_never_mix
                heads_come_in_the_order_asked_for
                it_is_well
            }
            appending {
                a_stream_is_numbered_from_1_without_holes
                a_state_is_numbered_from_1_without_holes
                of_appends_at_once_none_is_lost_and_none_is_there_twice
                what_was_acknowledged_is_read_at_once_on_every_node
                a_head_never_goes_back
                time_never_goes_back_in_a_log
                what_is_refused_says_why_and_changes_nothing
            }
            ids {
                a_repeat_answers_the_first_position_on_every_node
                an_id_is_one_publishers_on_one_channel
                an_id_that_many_publish_at_once_is_appended_once
                an_id_is_found_where_it_was_appended_and_nowhere_else
                an_id_outlives_its_message
                hundreds_of_newer_ids_push_none_out
                an_id_may_be_any_visible_text
                an_id_is_forgotten_after_five_minutes_and_no_sooner
                a_repeat_is_a_repeat_even_where_its_condition_no_longer_holds
                a_repeated_deletion_of_what_was_absent_deletes_nothing
            }
            reading {
                pages_follow_each_other_to_the_head
                a_page_is_bounded_by_bytes_and_never_empty
                nothing_is_read_where_a_position_cannot_be_continued
                the_head_of_a_page_is_of_the_same_moment
                every_field_is_read_as_it_was_appended
                three_hundred_large_messages_are_read_page_by_page
            }
            history {
                history_goes_back_page_by_page
                history_ends_before_a_number
                the_history_of_a_state_is_its_present_entries
                an_untouched_channel_has_no_history
            }
            retention {
                a_stream_keeps_as_many_messages_as_its_rule_says
                a_stream_keeps_as_many_bytes_as_its_rule_says
                the_newest_message_stays_however_large_it_is
                messages_leave_when_they_are_old_and_the_head_stays
                of_old_and_new_messages_the_old_leave
            }
            states {
                a_key_that_changes_moves_to_the_end
                deletions_are_entries_that_a_snapshot_leaves_out
                a_condition_holds_or_the_present_number_is_told
                of_many_who_want_an_absent_key_one_gets_it
                deleting_an_absent_key_appends_nothing
                a_state_full_of_keys_takes_changes_and_deletions
                a_state_full_of_bytes_takes_what_is_no_larger_and_deletions
                a_thousand_deletions_are_remembered_and_the_floor_follows
            }
            keys {
                a_key_leaves_by_one_deletion_whoever_looks
                everything_that_answers_lets_keys_leave_first
                a_rules_time_is_every_keys_that_has_none_of_its_own
                a_key_whose_time_is_over_is_absent_to_a_condition
                a_change_ends_a_keys_time
                a_deleted_key_leaves_only_once
            }
            holders {
                a_key_that_two_nodes_hold_is_appended_once_and_leaves_with_the_last
                any_holder_may_change_what_a_key_shows
                whoever_does_not_hold_a_key_takes_it_from_all
                one_holder_more_than_there_may_be_pushes_the_first_out
                a_hold_that_appends_nothing_is_a_duplicate_and_its_id_is_remembered
            }
            watching {
                what_any_node_appends_is_told_to_who_watches
                from_the_head_of_a_watch_on_everything_is_told
                the_head_of_a_watch_is_not_older_than_what_was_acknowledged
                the_deletion_of_a_key_whose_time_is_over_is_told
                whoever_no_longer_watches_is_told_nothing_in_the_end
                one_end_is_enough_for_all_that_watch_a_channel_on_a_node
            }
            epochs {
                an_epoch_ends_once_for_everybody
                ending_an_epoch_that_is_over_changes_nothing
                an_epoch_is_never_used_twice
                with_its_epoch_a_state_forgets_everything
                who_watches_is_told_of_the_next_epoch
            }
            random {
                a_stream_does_what_a_log_does
                a_small_stream_does_what_a_log_does
                a_state_does_what_a_log_does
                a_small_state_does_what_a_log_does
            }
        }
    };
    (@each $factory:expr; $($module:ident { $($scenario:ident)+ })+) => {
        $($(
            #[test]
            fn $scenario() {
                $crate::suite::run(async {
                    let factory = $factory;
                    $crate::suite::$module::$scenario(&factory).await;
                });
            }
        )+)+
    };
}

#[cfg(test)]
mod tests {
    const SOURCES: &[(&str, &str)] = &[
        ("appending", include_str!("appending.rs")),
        ("epochs", include_str!("epochs.rs")),
        ("history", include_str!("history.rs")),
        ("holders", include_str!("holders.rs")),
        ("ids", include_str!("ids.rs")),
        ("keys", include_str!("keys.rs")),
        ("opening", include_str!("opening.rs")),
        ("random", include_str!("random.rs")),
        ("reading", include_str!("reading.rs")),
        ("retention", include_str!("retention.rs")),
        ("states", include_str!("states.rs")),
        ("watching", include_str!("watching.rs")),
    ];

    #[test]
    fn every_scenario_is_run() {
        let this = include_str!("mod.rs");
        let modules = this.lines().filter(|line| line.starts_with("pub mod ")).count();
        assert_eq!(modules, SOURCES.len(), "a module of scenarios is not looked at here");
        for (module, source) in SOURCES {
            let scenarios = source.lines().filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next());
            let forgotten: Vec<&str> =
                scenarios.filter(|name| !this.lines().any(|line| line.trim() == *name)).collect();
            assert!(forgotten.is_empty(), "{module}: {forgotten:?}");
        }
    }
}
