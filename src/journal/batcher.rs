//! Group commit: what the next transaction holds.
//!
//! While one transaction commits, entries gather; then all of them go into the next one. So an idle
//! journal commits at once, and a busy one commits many sagas with one fsync.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use crate::ports::StoreError;
use crate::ports::ledger::{Entry, EntryOutcome};

/// How much a journal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Entries in one transaction. A batch of this size takes some tens of milliseconds to write,
    /// which bounds the latency that batching adds.
    pub batch: usize,
    /// Entries that wait. More are refused, so that a stalled store can't fill the memory.
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { batch: 1_000, waiting: 200_000 }
    }
}

/// The smallest part of the limit that a transaction is made for a store that does not answer. Smaller
/// ones would not help it: the transaction itself weighs more than what is in it.
const SMALLEST: usize = 128;

/// By which part of the limit a transaction may be larger than one before it that went well.
const STEP: usize = 16;

/// An entry and whoever waits for its outcome.
#[derive(Clone, Debug)]
pub struct Ticketed<T> {
    /// The entry.
    pub entry: Entry,
    /// Whoever waits.
    pub ticket: T,
}

/// Tickets tell entries apart.
impl<T: Hash> Hash for Ticketed<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.ticket.hash(hasher);
    }
}

/// An entry whose outcome is known.
#[derive(Debug)]
pub struct Settled<T> {
    /// The entry.
    pub entry: Entry,
    /// Whoever waits.
    pub ticket: T,
    /// What became of it.
    pub outcome: Result<EntryOutcome, StoreError>,
}

/// Gathers entries into transactions, one at a time.
#[derive(Clone, Debug, Hash)]
pub struct Batcher<T> {
    limits: Limits,
    /// Entries in the next transaction at most: fewer than the limit after one that the store did not
    /// answer, which may have been too much for it.
    size: usize,
    waiting: VecDeque<Ticketed<T>>,
    /// Parts of a batch that was refused, or not answered; written before anything new, each on its own.
    parts: VecDeque<Vec<Ticketed<T>>>,
    in_flight: Vec<Ticketed<T>>,
    busy: bool,
}

impl<T> Batcher<T> {
    /// An empty batcher.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            size: limits.batch,
            waiting: VecDeque::new(),
            parts: VecDeque::new(),
            in_flight: Vec::new(),
            busy: false,
        }
    }

    /// Takes an entry in, or gives it back if too many wait.
    pub fn offer(&mut self, entry: Entry, ticket: T) -> Result<(), Box<Ticketed<T>>> {
        let ticketed = Ticketed { entry, ticket };
        if self.waiting.len() >= self.limits.waiting {
            return Err(Box::new(ticketed));
        }
        self.waiting.push_back(ticketed);
        Ok(())
    }

    /// How many entries wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.parts.iter().map(Vec::len).sum::<usize>()
    }

    /// The entries of the next transaction; none while one is under way or nothing waits. Its
    /// outcome must be told by [`settle`](Self::settle).
    pub fn next_batch(&mut self) -> Option<Vec<Entry>> {
        if self.busy {
            return None;
        }
        self.in_flight = match self.parts.pop_front() {
            Some(part) => part,
            None => {
                let size = self.waiting.len().min(self.size);
                self.waiting.drain(..size).collect()
            }
        };
        self.busy = !self.in_flight.is_empty();
        self.busy.then(|| self.in_flight.iter().map(|ticketed| ticketed.entry.clone()).collect())
    }

    /// Begins a transaction without entries, for the marks alone. False while one is under way. Its
    /// outcome must be told by [`settle`](Self::settle) too.
    pub fn begin_empty(&mut self) -> bool {
        !std::mem::replace(&mut self.busy, true)
    }

    /// Takes the outcome of the transaction under way and returns the entries that are settled by it.
    ///
    /// A refused batch is halved until the refused entry stands alone, so that one bad row can't
    /// take others with it. Where the store is not available, births are given back, because
    /// somebody waits for them and can try again; everything else is written later, half as much at a
    /// time: a statement that takes too long for the store is not told from a store that is away.
    pub fn settle(&mut self, result: Result<Vec<EntryOutcome>, StoreError>) -> Vec<Settled<T>> {
        self.busy = false;
        let mut batch = std::mem::take(&mut self.in_flight);
        self.size = match &result {
            Ok(_) if batch.len() < self.size => self.size,
            Ok(_) => (self.size + self.limits.batch.div_ceil(STEP)).min(self.limits.batch),
            Err(StoreError::Unavailable { .. }) => {
                (self.size / 2).max(self.limits.batch.div_ceil(SMALLEST))
            }
            Err(_) => self.size,
        };
        match result {
            Ok(outcomes) if outcomes.len() == batch.len() => batch
                .into_iter()
                .zip(outcomes)
                .map(|(Ticketed { entry, ticket }, outcome)| Settled {
                    entry,
                    ticket,
                    outcome: Ok(outcome),
                })
                .collect(),
            Ok(outcomes) => {
                let cause = format!("{} outcomes for {} entries", outcomes.len(), batch.len());
                fail(batch, &StoreError::Unavailable { store: "orchestrator", cause })
            }
            Err(StoreError::Refused { .. }) if batch.len() > 1 => {
                let rest = batch.split_off(batch.len() / 2);
                self.parts.push_front(rest);
                self.parts.push_front(batch);
                Vec::new()
            }
            Err(error @ StoreError::Unavailable { .. }) => {
                let (births, others): (Vec<_>, Vec<_>) =
                    batch.into_iter().partition(|ticketed| ticketed.entry.expected == 0);
                self.write_later(others);
                fail(births, &error)
            }
            Err(error) => fail(batch, &error),
        }
    }

    /// These are written before anything else, in their order.
    fn write_later(&mut self, mut entries: Vec<Ticketed<T>>) {
        let mut parts = Vec::new();
        while !entries.is_empty() {
            let rest = entries.split_off(entries.len().min(self.size));
            parts.push(std::mem::replace(&mut entries, rest));
        }
        for part in parts.into_iter().rev() {
            self.parts.push_front(part);
        }
    }
}

fn fail<T>(batch: Vec<Ticketed<T>>, error: &StoreError) -> Vec<Settled<T>> {
    batch
        .into_iter()
        .map(|Ticketed { entry, ticket }| Settled { entry, ticket, outcome: Err(error.clone()) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::examples::{entry, gone};
    use crate::saga::id::SagaId;

    fn batcher(entries: u128) -> Batcher<u128> {
        let mut batcher = Batcher::new(Limits { batch: 100, waiting: 100 });
        for n in 0..entries {
            batcher.offer(entry(n, 1), n).unwrap();
        }
        batcher
    }

    #[test]
    fn what_arrives_during_a_commit_shares_the_next_one() {
        let mut batcher = batcher(1);
        assert_eq!(batcher.next_batch().unwrap().len(), 1);
        for n in 1..=50 {
            batcher.offer(entry(n, 1), n).unwrap();
        }
        assert!(batcher.next_batch().is_none(), "one transaction at a time");
        assert_eq!(batcher.settle(Ok(vec![EntryOutcome::Written(1)])).len(), 1);
        assert_eq!(batcher.next_batch().unwrap().len(), 50);
    }

    #[test]
    fn one_bad_row_takes_no_others_with_it() {
        let mut batcher = batcher(20);
        let bad = SagaId(uuid::Uuid::from_u128(13));
        let mut settled = Vec::new();
        while let Some(batch) = batcher.next_batch() {
            let result = if batch.iter().any(|entry| entry.saga.id == bad) {
                Err(StoreError::Refused { store: "orchestrator", cause: "check".to_owned() })
            } else {
                Ok(vec![EntryOutcome::Written(1); batch.len()])
            };
            settled.extend(batcher.settle(result));
        }
        let (good, refused): (Vec<_>, Vec<_>) =
            settled.into_iter().partition(|entry| entry.outcome.is_ok());
        assert_eq!((good.len(), refused.len()), (19, 1));
        assert_eq!(refused[0].ticket, 13);
    }

    #[test]
    fn while_the_store_is_away_births_are_given_back_and_the_rest_is_kept() {
        let mut batcher = batcher(3);
        batcher.offer(entry(9, 0), 9).unwrap();
        batcher.next_batch().unwrap();
        let given_back: Vec<u128> =
            batcher.settle(Err(gone())).into_iter().map(|settled| settled.ticket).collect();
        assert_eq!(given_back, [9]);
        assert_eq!(batcher.next_batch().unwrap().len(), 3);
    }

    #[test]
    fn what_the_store_did_not_answer_is_tried_with_half_as_much_and_then_with_ever_more() {
        let mut batcher = batcher(100);
        let mut next = |result: fn(usize) -> Result<Vec<EntryOutcome>, StoreError>| {
            let size = batcher.next_batch().unwrap().len();
            batcher.settle(result(size));
            for n in 0..size as u128 {
                let _ = batcher.offer(entry(1_000 + n, 1), n);
            }
            size
        };
        let mut fails = || next(|_| Err(gone()));
        let sizes: Vec<usize> = (0..9).map(|_| fails()).collect();
        assert_eq!(sizes, [100, 50, 25, 12, 6, 3, 1, 1, 1]);
        let mut works = || next(|size| Ok(vec![EntryOutcome::Written(1); size]));
        // What was kept comes first, in the parts that it is in.
        let mut kept = 100;
        while kept > 0 {
            kept -= works();
        }
        let sizes: Vec<usize> = (0..20).map(|_| works()).collect();
        assert!(sizes[0] < 100 && sizes[19] == 100, "{sizes:?}");
        assert!(sizes.windows(2).all(|two| two[1] == (two[0] + 7).min(100)), "{sizes:?}");
    }

    #[test]
    fn what_was_refused_waits_as_much_as_what_is_new() {
        let mut batcher = batcher(4);
        batcher.next_batch().unwrap();
        batcher.offer(entry(4, 1), 4).unwrap();
        assert_eq!(batcher.waiting(), 1, "four are under way");
        let refused = StoreError::Refused { store: "orchestrator", cause: "check".to_owned() };
        batcher.settle(Err(refused));
        assert_eq!(batcher.waiting(), 5);
    }

    #[test]
    fn a_transaction_for_the_marks_alone_is_one_as_well() {
        let mut batcher = batcher(1);
        assert!(batcher.begin_empty());
        assert!(batcher.next_batch().is_none());
        batcher.settle(Ok(Vec::new()));
        assert!(batcher.next_batch().is_some());
        assert!(!batcher.begin_empty());
    }

    #[test]
    fn a_store_that_tells_too_few_outcomes_told_none() {
        let mut batcher = batcher(3);
        batcher.next_batch().unwrap();
        let settled = batcher.settle(Ok(vec![EntryOutcome::Written(1); 2]));
        assert_eq!(settled.len(), 3);
        assert!(settled.iter().all(|settled| settled.outcome.is_err()));
    }

    #[test]
    fn a_full_journal_refuses() {
        let mut batcher = batcher(100);
        assert_eq!(batcher.offer(entry(100, 1), 100).unwrap_err().ticket, 100);
    }
}
