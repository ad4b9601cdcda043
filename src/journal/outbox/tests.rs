use super::*;
use crate::journal::examples::{NOW, birth};
use crate::orders::definition::definition;
use crate::orders::script::OrderScript;
use crate::saga::event::Event;

const PAGE: u32 = 3;

fn outbox(last_seq: Seq) -> Outbox {
    let catalogue = Catalogue::default().with(definition().unwrap(), OrderScript);
    let state = ShardState { epoch: 1, last_seq, marks: Marks::default() };
    Outbox::resume(0, &state, catalogue, Bounds { page: PAGE, ..Bounds::default() })
}

/// Begins to read a page, and tells after which row.
fn begin_page(outbox: &mut Outbox) -> Option<Seq> {
    outbox.begin_page().map(|(after, _)| after)
}

/// Reads a page of this history after the next breath, if one is wanted, and tells after which row.
fn look(outbox: &mut Outbox, history: &[HistoryRow]) -> Option<(Seq, Page)> {
    outbox.breathe();
    let (after, limit) = outbox.begin_page()?;
    let rows = history.iter().filter(|row| row.seq > after).take(limit as usize);
    let rows: Vec<_> = rows.cloned().collect();
    Some((after, outbox.read(after, &rows)))
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
        let (_, page) = look(&mut outbox, &history(&entry)).expect("it is sent again");
        assert_eq!((tags(&page.messages), page.lost.len()), (vec![ASKED], 0));
    }
    outbox.settled(ASKED, Settlement::Unroutable);
    let (_, page) = look(&mut outbox, &history(&entry)).unwrap();
    assert_eq!((page.messages.len(), page.lost[0].seq), (0, 2));
    outbox.on_record(2, false);
    assert_eq!(outbox.marks().commands, 1);
    let (after, page) = look(&mut outbox, &history(&entry)).unwrap();
    assert_eq!((after, page.lost.len()), (1, 1));
    outbox.on_record(2, true);
    assert_eq!((outbox.marks().commands, outbox.wants_page()), (2, false));
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
    assert!(!outbox.wants_page());
    outbox.doubt();
    assert!(outbox.wants_page());
    assert_eq!(begin_page(&mut outbox), Some(0));
    let page = outbox.read(0, &history(&birth()));
    assert_eq!((tags(&page.messages), outbox.wants_page()), (vec![STARTED, ASKED], false));
    outbox.doubt();
    assert_eq!(begin_page(&mut outbox), Some(2));
    outbox.read(2, &[]);
    assert_eq!(begin_page(&mut outbox), None, "there was nothing");
}

#[test]
fn a_page_that_was_begun_before_a_commit_came_into_doubt_does_not_settle_the_doubt() {
    let mut outbox = outbox(0);
    outbox.doubt();
    let before = begin_page(&mut outbox).unwrap();
    outbox.doubt();
    outbox.read(before, &[]);
    assert_eq!(begin_page(&mut outbox), Some(0), "what came after it is looked for");
    outbox.read(0, &history(&birth()));
    assert_eq!(begin_page(&mut outbox), None);
}

#[test]
fn more_than_is_known_may_lie_beyond_a_full_page() {
    let mut outbox = outbox(Seq::from(PAGE));
    outbox.doubt();
    assert_eq!(begin_page(&mut outbox), Some(0));
    outbox.read(0, &full_page());
    assert_eq!(
        begin_page(&mut outbox),
        Some(Seq::from(PAGE)),
        "though it ends with the newest row"
    );
    outbox.read(Seq::from(PAGE), &[]);
    assert_eq!(begin_page(&mut outbox), None);
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
    let (mut outbox, entry) = (outbox(0), birth());
    outbox.doubt();
    let mut rows = history(&entry);
    rows.extend(full_page().into_iter().skip(rows.len()));
    let (_, page) = look(&mut outbox, &rows).unwrap();
    assert_eq!((tags(&page.messages), page.more), (vec![STARTED, ASKED], true));
    outbox.settled(STARTED, Settlement::Rejected);
    outbox.settled(ASKED, Settlement::Rejected);
    assert_eq!(begin_page(&mut outbox), None);
    outbox.breathe();
    assert_eq!(begin_page(&mut outbox), Some(3));
}

#[test]
fn a_message_that_failed_is_sent_again_and_nothing_else_waits_for_it() {
    let (mut outbox, entry) = (outbox(0), birth());
    outbox.committed(vec![(1, entry.clone())]);
    outbox.settled(ASKED, Settlement::Unknown);
    outbox.settled(STARTED, Settlement::Rejected);
    assert_eq!(tags(&outbox.committed(vec![(3, birth())])), [3 << 1 | 1, 4 << 1]);
    let (after, page) = look(&mut outbox, &history(&entry)).unwrap();
    assert_eq!((after, tags(&page.messages)), (1, vec![ASKED]));
    let (after, page) = look(&mut outbox, &history(&entry)).unwrap();
    assert_eq!((after, tags(&page.messages)), (0, vec![STARTED]));
}

/// The history of so many births, one behind the other.
fn births(count: Seq) -> Vec<HistoryRow> {
    let entry = birth();
    let one = |first: Seq| {
        history(&entry).into_iter().map(move |row| HistoryRow { seq: first + row.seq - 1, ..row })
    };
    (0..count).flat_map(|n| one(1 + 2 * n)).collect()
}

#[test]
fn every_reading_has_its_turn() {
    let (mut outbox, rows) = (outbox(0), births(6));
    outbox.committed(vec![(1, birth())]);
    outbox.settled(STARTED, Settlement::Rejected);
    outbox.settled(ASKED, Settlement::Rejected);
    outbox.doubt();
    let turns: Vec<Seq> = (0..5).map(|_| look(&mut outbox, &rows).unwrap().0).collect();
    // On for commands, on for events, again for a command, again for an event, and on.
    assert_eq!(turns, [2, 5, 1, 0, 8]);
}

#[test]
fn of_many_messages_that_failed_all_have_their_turn() {
    let (mut outbox, rows) = (outbox(0), births(4));
    for first in [1, 3, 5, 7] {
        for Tagged { tag, .. } in outbox.committed(vec![(first, birth())]) {
            let is_event = tag & 1 == 1;
            let settlement = if is_event { Settlement::Rejected } else { Settlement::Confirmed };
            outbox.settled(tag, settlement);
        }
    }
    let mut turns = Vec::new();
    while turns.len() < 3 {
        let Some((after, page)) = look(&mut outbox, &rows) else { continue };
        for event in page.messages {
            outbox.settled(event.tag, Settlement::Rejected);
        }
        turns.push(after);
    }
    assert_eq!(turns, [0, 4, 0]);
}

#[test]
fn an_outbox_is_behind_as_long_as_commands_or_events_are() {
    let mut outbox = outbox(0);
    assert!(!outbox.is_behind());
    outbox.doubt();
    assert!(outbox.is_behind());
    outbox.commands.read(0, 0, true);
    assert!(outbox.is_behind());
    outbox.events.read(0, 0, true);
    assert!(!outbox.is_behind());
}

#[test]
fn events_that_nobody_takes_hold_up_no_command() {
    let (mut outbox, entry) = (outbox(0), birth());
    let many = 10 * Seq::from(PAGE);
    let mut rows: Vec<HistoryRow> = Vec::new();
    for first in (1..=many).step_by(2) {
        for Tagged { tag, .. } in outbox.committed(vec![(first, entry.clone())]) {
            let is_event = tag & 1 == 1;
            let settlement = if is_event { Settlement::Rejected } else { Settlement::Confirmed };
            outbox.settled(tag, settlement);
        }
        let row = |row: HistoryRow| HistoryRow { seq: first + row.seq - 1, ..row };
        rows.extend(history(&entry).into_iter().map(row));
    }
    assert_eq!(outbox.marks().commands, many);
    // Somebody else's commit, of which nobody was told.
    rows.extend(history(&entry).into_iter().map(|row| HistoryRow { seq: many + row.seq, ..row }));
    outbox.doubt();
    let command = (many + 2) << 1;
    let mut looks = 0;
    loop {
        let (_, page) = look(&mut outbox, &rows).expect("it is not found");
        looks += 1;
        if tags(&page.messages).contains(&command) {
            break;
        }
        for event in page.messages.iter().filter(|message| message.tag & 1 == 1) {
            outbox.settled(event.tag, Settlement::Rejected);
        }
    }
    assert!(looks <= READINGS.len(), "{looks}");
    outbox.settled(command, Settlement::Confirmed);
    assert_eq!(outbox.marks().commands, many + 2);
}
