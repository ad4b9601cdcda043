//! What a worker's memory says to a command: repeats, tombstones and claims. Pure.
//!
//! | the record holds | do of generation g | undo of generation g |
//! |---|---|---|
//! | an undo of generation ≥ g | refused: the tombstone | a repeat |
//! | a do of generation ≥ g | a repeat | fresh |
//! | a live claim | busy | busy |
//! | none of these | fresh | fresh |
//!
//! The first line that applies counts. *Retryable* is never recorded, so that it is tried again.

use crate::contract::reply::WorkOutcome;
use crate::ports::work::{Answered, WorkRecord};
use crate::saga::definition::Direction;
use crate::saga::effect::IdempotencyKey;
use crate::saga::id::Timestamp;

/// How a command stands to the record of its step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was not done yet: do it.
    Fresh,
    /// It was answered before: answer the same.
    Repeat(WorkOutcome),
    /// Its undo came first: never do it.
    Refused,
    /// Somebody is at it until this moment: answer *retryable*.
    Busy(Timestamp),
}

/// How the command under `key` stands to `record`.
pub fn consult(record: &WorkRecord, key: &IdempotencyKey, now: Timestamp) -> Standing {
    let known = |answered: &Option<Answered>| {
        let answered = answered.as_ref().filter(|known| known.generation >= key.generation);
        answered.map(|known| known.outcome.clone())
    };
    match (key.direction, known(&record.done), known(&record.undone)) {
        (Direction::Do, _, Some(_)) if !seeded!(NoTombstone) => return Standing::Refused,
        (Direction::Do, Some(outcome), _) | (Direction::Undo, _, Some(outcome)) => {
            return Standing::Repeat(outcome);
        }
        (Direction::Do, None, _) | (Direction::Undo, _, None) => {}
    }
    match record.claimed_until {
        Some(until) if until > now && !seeded!(ClaimIgnored) => Standing::Busy(until),
        _ => Standing::Fresh,
    }
}

/// Records the answer to a fresh command. Whoever was at the step is done with it.
pub fn answer(record: &mut WorkRecord, key: &IdempotencyKey, outcome: WorkOutcome) {
    let answered = Some(Answered { generation: key.generation, outcome });
    match key.direction {
        Direction::Do => record.done = answered,
        Direction::Undo => record.undone = answered,
    }
    record.claimed_until = None;
    if seeded!(NoWorkerRecord) {
        *record = WorkRecord::default();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::saga::event::Reason;
    use crate::saga::id::SagaId;
    use crate::saga::json::Json;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn key(direction: Direction, generation: u32) -> IdempotencyKey {
        IdempotencyKey {
            saga: SagaId(Uuid::from_u128(1)),
            step: "reserve".into(),
            generation,
            direction,
        }
    }

    fn success(of: u32) -> WorkOutcome {
        WorkOutcome::Success(Json::of(&of).unwrap())
    }

    /// A record that has answered these commands in this order.
    fn record(answered: &[(Direction, u32)]) -> WorkRecord {
        let mut record = WorkRecord::default();
        for (direction, generation) in answered {
            answer(&mut record, &key(*direction, *generation), success(*generation));
        }
        record
    }

    fn stands(record: &WorkRecord, direction: Direction, generation: u32) -> Standing {
        consult(record, &key(direction, generation), NOW)
    }

    use Direction::{Do, Undo};

    #[test]
    fn what_was_never_asked_is_fresh() {
        assert_eq!(stands(&record(&[]), Do, 1), Standing::Fresh);
        assert_eq!(stands(&record(&[]), Undo, 1), Standing::Fresh);
    }

    #[test]
    fn a_repeat_of_the_same_or_an_older_generation_gets_the_recorded_answer() {
        let done = record(&[(Do, 2)]);
        assert_eq!(stands(&done, Do, 2), Standing::Repeat(success(2)));
        assert_eq!(stands(&done, Do, 1), Standing::Repeat(success(2)));
        let undone = record(&[(Do, 2), (Undo, 2)]);
        assert_eq!(stands(&undone, Undo, 2), Standing::Repeat(success(2)));
        assert_eq!(stands(&undone, Undo, 1), Standing::Repeat(success(2)));
    }

    #[test]
    fn a_failure_is_repeated_too() {
        let mut record = WorkRecord::default();
        let failure = WorkOutcome::Failure(Reason::of("INSUFFICIENT_STOCK"));
        answer(&mut record, &key(Do, 1), failure.clone());
        assert_eq!(stands(&record, Do, 1), Standing::Repeat(failure));
    }

    #[test]
    fn a_higher_generation_is_fresh() {
        assert_eq!(stands(&record(&[(Do, 1)]), Do, 2), Standing::Fresh);
        assert_eq!(stands(&record(&[(Do, 1), (Undo, 1)]), Do, 2), Standing::Fresh);
        assert_eq!(stands(&record(&[(Do, 1), (Undo, 1)]), Undo, 2), Standing::Fresh);
    }

    #[test]
    fn a_do_that_comes_after_its_undo_is_refused() {
        let tombstone = record(&[(Undo, 2)]);
        assert_eq!(stands(&tombstone, Do, 2), Standing::Refused);
        assert_eq!(stands(&tombstone, Do, 1), Standing::Refused);
        assert_eq!(stands(&tombstone, Do, 3), Standing::Fresh);
    }

    #[test]
    fn a_do_that_was_done_and_undone_is_refused() {
        assert_eq!(stands(&record(&[(Do, 1), (Undo, 1)]), Do, 1), Standing::Refused);
    }

    #[test]
    fn an_undo_of_what_was_done_is_fresh() {
        assert_eq!(stands(&record(&[(Do, 1)]), Undo, 1), Standing::Fresh);
    }

    #[test]
    fn a_claim_keeps_others_away_until_it_expires() {
        let claimed = WorkRecord { claimed_until: Some(NOW.plus_millis(1)), ..record(&[]) };
        assert_eq!(stands(&claimed, Do, 1), Standing::Busy(NOW.plus_millis(1)));
        assert_eq!(stands(&claimed, Undo, 1), Standing::Busy(NOW.plus_millis(1)));
        let expired = WorkRecord { claimed_until: Some(NOW), ..record(&[]) };
        assert_eq!(stands(&expired, Do, 1), Standing::Fresh);
    }

    #[test]
    fn a_recorded_answer_is_given_whoever_claims_the_step() {
        let claimed = WorkRecord { claimed_until: Some(NOW.plus_millis(1)), ..record(&[(Do, 1)]) };
        assert_eq!(stands(&claimed, Do, 1), Standing::Repeat(success(1)));
    }

    #[test]
    fn an_answer_ends_the_claim() {
        let mut claimed = WorkRecord { claimed_until: Some(NOW.plus_millis(1)), ..record(&[]) };
        answer(&mut claimed, &key(Do, 1), success(1));
        assert_eq!(claimed.claimed_until, None);
    }
}
