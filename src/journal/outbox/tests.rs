use super::*;
use crate::journal::examples::{NOW, birth};
use crate::orders::definition::definition;
use crate::orders::script::OrderScript;
use crate::saga::event::Event;

fn outbox(last_seq: Seq) -> Outbox {
    let catalogue = Catalogue::default().with(definition().unwrap(), OrderScript);
    let state = ShardState { epoch: 1, last_seq, marks: Marks::default() };
    Outbox::resume(0, &state, catalogue)
}

/// The history from its beginning.
fn history(entry: &Entry) -> Vec<HistoryRow> {
    let row = |(seq, recorded): (Seq, &Recorded)| HistoryRow {
        seq,
        recorded: recorded.clone(),
        saga: entry.saga.clone(),
    };
    (1..).zip(&entry.events).map(row).collect()
}

fn tags(messages: &[Tagged]) -> Vec<u64> {
    messages.iter().map(|message| message.tag).collect()
}

const STARTED: u64 = 1 << 1 | 1;
const ASKED: u64 = 2 << 1;

#[test]
fn a_birth_sends_its_event_and_its_command_and_each_mark_waits_for_its_own() {
    let mut outbox = outbox(0);
    let messages = outbox.committed(vec![(1, birth())]);
    assert_eq!(tags(&messages), [STARTED, ASKED]);
    assert_eq!((outbox.unsettled(), outbox.lag()), (2, Marks { commands: 1, events: 2 }));
    outbox.settled(ASKED, Settlement::Confirmed);
    assert_eq!(outbox.marks(), Marks { commands: 2, events: 0 });
    outbox.settled(STARTED, Settlement::Confirmed);
    assert_eq!(outbox.marks(), Marks { commands: 2, events: 2 });
    assert_eq!((outbox.unsettled(), outbox.lag()), (0, Marks::default()));
}

#[test]
fn a_command_that_is_asked_again_is_the_same_message_and_moves_no_mark() {
    let (mut outbox, entry) = (outbox(0), birth());
    let first = outbox.committed(vec![(1, entry.clone())]).pop().unwrap();
    let again = outbox.ask_again(&entry.saga, 2);
    let what = |tagged: &Tagged| {
        let Outgoing { exchange, routing_key, message } = tagged.outgoing.clone();
        (exchange, routing_key, message)
    };
    assert_eq!((tags(&again), what(&again[0])), (vec![UNTRACKED], what(&first)));
    assert_eq!(outbox.ask_again(&entry.saga, 1).len(), 0, "it started then, and asked nothing");
    let marks = outbox.marks();
    outbox.settled(UNTRACKED, Settlement::Confirmed);
    assert_eq!((outbox.marks(), outbox.unsettled()), (marks, 2));
}

#[test]
fn nobody_has_to_listen_to_events() {
    let mut outbox = outbox(0);
    outbox.committed(vec![(1, birth())]);
    assert_eq!(outbox.settled(STARTED, Settlement::Unroutable), Settlement::Confirmed);
    assert_eq!(outbox.marks().events, 2);
}

#[test]
fn a_command_that_finds_no_queue_twenty_times_is_lost_and_its_row_done_with_once_that_is_on_record()
{
    let (mut outbox, entry) = (outbox(0), birth());
    outbox.committed(vec![(1, entry.clone())]);
    outbox.settled(STARTED, Settlement::Confirmed);
    for _ in 1..UNROUTABLE_TRIES {
        outbox.settled(ASKED, Settlement::Unroutable);
        let after = outbox.wants_page_after().expect("it is sent again");
        let page = outbox.read(after, &history(&entry)[after as usize..]);
        assert_eq!((tags(&page.messages), page.lost.len()), (vec![ASKED], 0));
    }
    outbox.settled(ASKED, Settlement::Unroutable);
    let page = outbox.read(1, &history(&entry)[1..]);
    assert_eq!((page.messages.len(), page.lost[0].seq), (0, 2));
    outbox.on_record(2, false);
    assert_eq!((outbox.marks().commands, outbox.wants_page_after()), (1, Some(1)));
    outbox.read(1, &history(&entry)[1..]);
    outbox.on_record(2, true);
    assert_eq!((outbox.marks().commands, outbox.wants_page_after()), (2, None));
}

#[test]
fn a_queue_that_was_found_after_all_is_found_again() {
    let (mut outbox, entry) = (outbox(0), birth());
    outbox.committed(vec![(1, entry)]);
    outbox.settled(ASKED, Settlement::Unroutable);
    assert_eq!(outbox.unroutable.len(), 1);
    outbox.settled(ASKED, Settlement::Confirmed);
    assert!(outbox.unroutable.is_empty());
}

#[test]
fn in_doubt_about_a_commit_the_history_is_looked_at() {
    let mut outbox = outbox(0);
    assert_eq!(outbox.wants_page_after(), None);
    outbox.doubt();
    assert_eq!(outbox.wants_page_after(), Some(0));
    let page = outbox.read(0, &history(&birth()));
    assert_eq!((tags(&page.messages), outbox.wants_page_after()), (vec![STARTED, ASKED], None));
}

/// A page's worth of rows for which nothing is to be sent.
fn full_page() -> Vec<HistoryRow> {
    let saga = birth().saga;
    let recorded = |sequence| Recorded { sequence, at: NOW, event: Event::SagaCompleted };
    let row = |seq| HistoryRow { seq, recorded: recorded(seq), saga: saga.clone() };
    (1..=Seq::from(PAGE)).map(row).collect()
}

#[test]
fn after_a_full_page_comes_another_unless_a_message_failed_which_waits_for_a_breath() {
    let more = |before: &[(u64, Settlement)], breathes: bool| {
        let mut outbox = outbox(2 * Seq::from(PAGE));
        for (tag, settlement) in before {
            outbox.settled(*tag, *settlement);
        }
        if breathes {
            outbox.breathe();
        }
        let page = outbox.read(0, &full_page());
        assert_eq!(outbox.wants_page_after(), Some(Seq::from(PAGE)));
        page.more
    };
    assert!(more(&[], false));
    assert!(more(&[(STARTED, Settlement::Confirmed), (ASKED, Settlement::Confirmed)], false));
    for failed in [STARTED, ASKED] {
        assert!(!more(&[(failed, Settlement::Rejected)], false));
        assert!(!more(&[(failed, Settlement::Rejected), (ASKED, Settlement::Confirmed)], false));
        assert!(more(&[(failed, Settlement::Rejected)], true));
    }
}

#[test]
fn what_fails_while_a_page_is_read_is_not_forgotten_for_it() {
    let (mut outbox, entry) = (outbox(0), birth());
    outbox.committed(vec![(1, entry.clone())]);
    outbox.settled(ASKED, Settlement::Rejected);
    assert_eq!(outbox.wants_page_after(), Some(1));
    outbox.settled(STARTED, Settlement::Rejected);
    outbox.read(1, &history(&entry)[1..]);
    assert_eq!(outbox.wants_page_after(), Some(0));
}
