//! What a program can run.

use skald::saga::catalogue::Catalogue;
use skald::saga::effect::{Announcement, Command, Script, ScriptError};
use skald::saga::event::Recorded;
use skald::saga::id::{DefinitionRef, QueueName};
use skald::saga::json::Json;
use skald::saga::state::Saga;

use crate::definitions::order_like;

/// Says nothing.
struct Mute;

impl Script for Mute {
    fn source(&self) -> &'static str {
        "/mute"
    }

    fn command(&self, _: &Command<'_>) -> Result<Json, ScriptError> {
        Ok(Json::null())
    }

    fn announcement(&self, _: &Saga, _: &Recorded) -> Result<Option<Announcement>, ScriptError> {
        Ok(None)
    }
}

#[test]
fn a_saga_finds_the_definition_that_it_is_pinned_to_and_no_other() {
    let order = order_like().reference();
    let newer = DefinitionRef { version: order.version + 1, ..order.clone() };
    let catalogue = Catalogue::default().with(order_like(), Mute);
    let found = catalogue.get(&order).map(|runnable| runnable.definition.reference());
    assert_eq!(found, Some(order));
    assert!(catalogue.get(&newer).is_none());
    assert_eq!(catalogue.iter().count(), 1);
}

#[test]
fn every_queue_to_which_a_worker_listens_is_named_once() {
    let queues = Catalogue::default().with(order_like(), Mute).queues();
    // The step in between is done here.
    let expected = ["apologise", "mail", "reserve"].map(|step| format!("{step}.commands"));
    assert_eq!(queues, expected.map(|name| QueueName::from(name.as_str())));
}
