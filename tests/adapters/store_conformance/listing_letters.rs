//! Lists of dead letters, and what they show.

use skald::ports::door::DeadLetter;
use skald::ports::letters::{Action, LetterFilter, LetterState, Outcome};
use skald::saga::id::SagaId;

use super::deciding::{INVENTORY, NOTHING, bury, discard, ids, letter, page, requeue, stands};
use super::sample;
use super::stage::Stage;

const NOTIFICATION: &str = "notification.commands";

pub fn letters_come_newest_first_and_page_by_page(stage: Stage) {
    bury(&stage, [3, 1, 5, 2, 4].map(|n| letter(n, INVENTORY)));
    let any = LetterFilter::default();
    assert_eq!(page(&stage, &any, None, 10), ids([5, 4, 3, 2, 1]));
    assert_eq!(page(&stage, &any, None, 2), ids([5, 4]));
    assert_eq!(page(&stage, &any, Some(4), 2), ids([3, 2]));
    assert_eq!(page(&stage, &any, Some(1), 2), NOTHING);
}

pub fn letters_are_found_by_what_they_are_about(stage: Stage) {
    let queue = |n| if n % 2 == 1 { INVENTORY } else { NOTIFICATION };
    bury(&stage, (1..=6).map(|n| letter(n, queue(n))));
    stage.letters.decide(&requeue(1, 3)).unwrap();
    stage.letters.decide(&discard(2, 5)).unwrap();
    stage.letters.decide(&discard(3, 6)).unwrap();

    let with = |state, queue: Option<&str>, saga: Option<u64>| LetterFilter {
        state,
        queue: queue.map(str::to_owned),
        saga: saga.map(sample::saga_id),
    };
    let found = |filter: LetterFilter| page(&stage, &filter, None, 10);
    use LetterState::*;
    assert_eq!(found(with(Some(Open), None, None)), ids([4, 2, 1]));
    assert_eq!(found(with(Some(Discarded), None, None)), ids([6, 5]));
    assert_eq!(found(with(None, Some(INVENTORY), None)), ids([5, 3, 1]));
    assert_eq!(page(&stage, &with(None, Some(INVENTORY), None), Some(5), 1), ids([3]));
    assert_eq!(found(with(Some(Requeued), Some(INVENTORY), None)), ids([3]));
    assert_eq!(found(with(Some(Requeued), Some(NOTIFICATION), None)), NOTHING);
    assert_eq!(found(with(None, None, Some(4))), ids([4]));
    assert_eq!(found(with(Some(Open), Some(NOTIFICATION), Some(4))), ids([4]));
    assert_eq!(found(with(Some(Open), Some(INVENTORY), Some(4))), NOTHING);
    assert_eq!(found(with(None, Some("inventory"), None)), NOTHING, "a whole name");
}

pub fn a_letter_is_read_as_it_died_with_what_was_decided(stage: Stage) {
    let dead = letter(1, INVENTORY);
    bury(&stage, [dead.clone()]);
    let found = stage.letters.letter(dead.id).unwrap().unwrap();
    let summary = &found.summary;
    assert_eq!((&summary.message_id, &summary.queue), (&dead.message_id, &dead.queue));
    assert_eq!((&summary.routing_key, &summary.reason), (&dead.routing_key, &dead.reason));
    assert_eq!((summary.saga, summary.at), (dead.saga, dead.at));
    assert_eq!((summary.state, &found.decisions[..]), (LetterState::Open, &[][..]));
    assert_eq!((&found.headers, &found.body), (&dead.headers, &dead.body));
    let listed = stage.letters.letters(&LetterFilter::default(), None, 1).unwrap();
    assert_eq!(listed, [found.summary]);

    let wish = requeue(1, 1);
    let decision = stands(stage.letters.decide(&wish).unwrap());
    assert_eq!((decision.id, decision.action), (wish.id, Action::Requeue));
    assert_eq!((&decision.by, &decision.note), (&wish.by, &wish.note));
    assert_eq!((decision.at, decision.outcome), (wish.at, None));
    let found = stage.letters.letter(dead.id).unwrap().unwrap();
    assert_eq!((found.summary.state, found.decisions), (LetterState::Requeued, vec![decision]));
}

pub fn a_letter_that_is_about_no_saga_is_a_letter_too(stage: Stage) {
    let stray = DeadLetter { saga: None, queue: String::new(), ..letter(1, "") };
    bury(&stage, [stray]);
    let found = stage.letters.letters(&LetterFilter::default(), None, 10).unwrap();
    assert_eq!((found.len(), found[0].saga, &*found[0].queue), (1, None::<SagaId>, ""));
}

pub fn open_letters_are_counted(stage: Stage) {
    assert_eq!(stage.letters.open_letters(), Ok(0));
    bury(&stage, (1..=4).map(|n| letter(n, INVENTORY)));
    stage.letters.decide(&requeue(1, 1)).unwrap();
    stage.letters.decide(&discard(2, 2)).unwrap();
    assert_eq!(stage.letters.open_letters(), Ok(2));
    stage.letters.settle(&[(sample::input_id(1), Outcome::QueueFull)]).unwrap();
    assert_eq!(stage.letters.open_letters(), Ok(3));
}
