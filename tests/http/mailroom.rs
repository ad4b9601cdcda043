//! Dead letters in memory.

use std::collections::BTreeMap;

use skald::ports::error::StoreError;
use skald::ports::letters::{
    Decided, Decision, DecisionId, Due, Letter, LetterFilter, LetterId, LetterState, LetterSummary,
    Letters, NewDecision, Outcome, Verdict,
};
use skald::saga::id::Timestamp;

use crate::fakes::Port;

#[derive(Default)]
pub struct Mailroom {
    pub letters: BTreeMap<LetterId, Letter>,
    /// The decisions with their clients' keys.
    pub taken: Vec<(NewDecision, Option<Outcome>)>,
}

impl Mailroom {
    /// Says the same of every message that is on its way.
    pub fn settle_all(&mut self, outcome: Outcome) {
        for (wish, unsettled) in self.taken.iter_mut().filter(|(_, known)| known.is_none()) {
            *unsettled = Some(outcome);
            let letter = self.letters.get_mut(&wish.letter).unwrap();
            letter.decisions.iter_mut().for_each(|it| it.outcome = it.outcome.or(Some(outcome)));
            if outcome != Outcome::Done {
                wish.client_key.clear();
                letter.summary.state = LetterState::Open;
            }
        }
    }

    fn decide(&mut self, wish: &NewDecision) -> Decided {
        let Some(letter) = self.letters.get_mut(&wish.letter) else { return Decided::NoSuchLetter };
        let standing = |wish: &NewDecision, outcome: Option<Outcome>| Decision {
            outcome: outcome.or(wish.taken().outcome),
            ..wish.taken()
        };
        let mut about = self.taken.iter().filter(|(it, _)| it.letter == wish.letter);
        if let Some((it, outcome)) = about.clone().find(|(it, _)| it.client_key == wish.client_key)
        {
            return wish.after(standing(it, *outcome));
        }
        match letter.summary.state.judge(wish.action) {
            Verdict::Conflict => Decided::Conflict(letter.summary.state),
            Verdict::Stands => {
                let (it, outcome) = about.rfind(|(it, _)| it.action == wish.action).unwrap();
                Decided::Stands(standing(it, *outcome))
            }
            Verdict::Taken(state) => {
                letter.summary.state = state;
                letter.decisions.push(wish.taken());
                self.taken.push((wish.clone(), wish.taken().outcome));
                Decided::Stands(wish.taken())
            }
        }
    }
}

impl Letters for Port {
    fn letters(
        &self,
        filter: &LetterFilter,
        before: Option<LetterId>,
        limit: u32,
    ) -> Result<Vec<LetterSummary>, StoreError> {
        let inner = self.store()?.lock();
        let fits = |letter: &&LetterSummary| {
            before.is_none_or(|before| letter.id < before)
                && filter.queue.as_ref().is_none_or(|queue| *queue == letter.queue)
                && filter.saga.is_none_or(|saga| Some(saga) == letter.saga)
                && filter.state.is_none_or(|state| state == letter.state)
        };
        let all = inner.letters.letters.values().rev().map(|letter| &letter.summary);
        Ok(all.filter(fits).take(limit as usize).cloned().collect())
    }

    fn letter(&self, id: LetterId) -> Result<Option<Letter>, StoreError> {
        Ok(self.store()?.lock().letters.letters.get(&id).cloned())
    }

    fn decide(&self, decision: &NewDecision) -> Result<Decided, StoreError> {
        Ok(self.store()?.lock().letters.decide(decision))
    }

    fn decision_outcome(&self, id: DecisionId) -> Result<Option<Outcome>, StoreError> {
        let inner = self.store()?.lock();
        let found = inner.letters.taken.iter().find(|(it, _)| it.id == id);
        Ok(found.and_then(|(_, outcome)| *outcome))
    }

    fn take_due(&self, _: Timestamp, _: Timestamp, _: u32) -> Result<Vec<Due>, StoreError> {
        unreachable!("the API sends nothing itself")
    }

    fn settle(&self, _: &[(DecisionId, Outcome)]) -> Result<(), StoreError> {
        unreachable!("the API sends nothing itself")
    }

    fn open_letters(&self) -> Result<u64, StoreError> {
        unreachable!("the API does not count")
    }
}
