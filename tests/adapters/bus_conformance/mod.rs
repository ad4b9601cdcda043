//! What every adapter of the `Bus` port must do.
//!
//! A backend joins by one line: `bus_conformance!(name, its_backend())`.

pub mod declaring;
pub mod dying;
pub mod random;
pub mod routing;
pub mod settling;
pub mod sharing;
pub mod stage;

use std::sync::Arc;

use skald::bus::in_process::InProcessBus;
use skald::ports::bus::Bus;

use crate::rabbitmq;
use crate::rabbitmq_bus::connect_here;

/// A broker to be tested.
pub trait Backend: Send + Sync {
    /// The bus under test.
    fn bus(&self) -> Arc<dyn Bus>;

    /// The same, where the broker is known to forget no acknowledgement.
    fn remembering_bus(&self) -> Arc<dyn Bus> {
        self.bus()
    }

    /// When it confirms.
    fn confirms(&self) -> Confirms;

    /// How many messages the randomised test sends; what takes the broker a second or two.
    fn endurance(&self) -> usize;
}

/// When a bus tells a publisher that its message is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirms {
    /// Once every bound consumer acknowledged it.
    WhenAcknowledged,
    /// Once the broker keeps it safe.
    WhenKept,
}

/// Runs the suite against a backend.
macro_rules! bus_conformance {
    ($name:ident, $backend:expr) => {
        bus_conformance! { $name, $backend,
            declaring {
                a_queue_may_be_declared_again_and_gains_bindings
                a_queue_with_other_properties_is_a_mismatch
                an_undeclared_queue_cannot_be_consumed
                depths_tell_what_waits_and_what_is_out
            }
            routing {
                a_message_reaches_every_queue_bound_for_it_once
                patterns_select_by_words
                the_default_exchange_reaches_the_named_queue
                what_reaches_no_queue_is_unroutable
                an_event_that_nobody_bound_is_confirmed
                a_message_arrives_as_it_was_sent
            }
            settling {
                an_acknowledged_message_is_confirmed_and_gone
                a_message_for_two_is_confirmed_when_both_have_it
                a_dropped_delivery_comes_again_before_what_waits
                a_full_queue_rejects_and_loses_nothing
                a_full_queue_does_not_keep_a_message_from_others
            }
            dying {
                a_rejected_message_becomes_a_dead_letter_with_its_reason
                a_message_that_keeps_coming_back_becomes_a_dead_letter
                dead_letters_that_nobody_keeps_are_dropped
            }
            sharing {
                messages_arrive_in_the_order_they_were_published
                no_consumer_holds_more_than_its_prefetch
                settling_wakes_a_consumer_whose_prefetch_was_used_up
                idle_consumers_take_turns
                a_cancelled_consumer_leaves_its_messages_to_others
                the_highest_priority_gets_everything_that_it_has_room_for
            }
        }
    };
    ($name:ident, $backend:expr, $($group:ident { $($case:ident)* })*) => {
        mod $name {
            use super::stage::Stage;
            use super::*;
            $($(#[tokio::test]
            async fn $case() {
                $group::$case(Stage::of(&$backend)).await;
            })*)*

            #[test]
            fn every_message_ends_acknowledged_or_dead_whatever_consumers_do() {
                random::every_message_ends_acknowledged_or_dead(&$backend);
            }
        }
    };
}

struct InProcess(Arc<InProcessBus>);

impl Backend for InProcess {
    fn bus(&self) -> Arc<dyn Bus> {
        self.0.clone()
    }

    fn confirms(&self) -> Confirms {
        Confirms::WhenAcknowledged
    }

    fn endurance(&self) -> usize {
        20_000
    }
}

bus_conformance!(in_process, InProcess(Arc::default()));

struct RabbitMq;

impl Backend for RabbitMq {
    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(connect_here(&rabbitmq::shared()))
    }

    fn remembering_bus(&self) -> Arc<dyn Bus> {
        Arc::new(connect_here(&rabbitmq::remembering()))
    }

    fn confirms(&self) -> Confirms {
        Confirms::WhenKept
    }

    fn endurance(&self) -> usize {
        3_000
    }
}

bus_conformance!(rabbitmq_broker, RabbitMq);
