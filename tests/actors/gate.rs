//! A ledger whose commits can be held, counted and made to fail, and whose unfinished sagas may be out of reach;
//! a door through which no dead letter comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use skald::ports::StoreError;
use skald::ports::door::{
    Admitted, DeadLetter, Door, InputId, InputOutcome, NewInput, PendingInput,
};
use skald::ports::ledger::{Batch, Due, EntryOutcome, HistoryRow, Ledger, Seq, Shard, ShardState};
use skald::saga::id::{SagaId, Timestamp};
use skald::saga::state::Saga;

#[derive(Default)]
struct State {
    held: bool,
    failing: bool,
    silent: bool,
    /// How many looks at the unfinished sagas find no store.
    blind: usize,
    arrived: usize,
    failed: usize,
    batches: Vec<usize>,
}

/// Stands before a real ledger.
pub struct Gate {
    inner: Arc<dyn Ledger>,
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    pub fn before(inner: Arc<dyn Ledger>) -> Arc<Self> {
        Arc::new(Self { inner, state: Mutex::default(), changed: Condvar::new() })
    }

    /// From now on commits wait.
    pub fn hold(&self) {
        self.state.lock().unwrap().held = true;
    }

    /// Lets them through again.
    pub fn open(&self) {
        self.state.lock().unwrap().held = false;
        self.changed.notify_all();
    }

    /// From now on commits find no store, or do again.
    pub fn fail(&self, failing: bool) {
        self.state.lock().unwrap().failing = failing;
    }

    /// From now on commits are done, but their answers are lost; or they are told again.
    pub fn lose_answers(&self, silent: bool) {
        self.state.lock().unwrap().silent = silent;
    }

    /// So many looks at the unfinished sagas of a shard find no store.
    pub fn hide_the_unfinished(&self, times: usize) {
        self.state.lock().unwrap().blind = times;
    }

    /// How many commits with entries have reached the gate.
    pub fn arrived(&self) -> usize {
        self.state.lock().unwrap().arrived
    }

    /// How many commits with entries found no store.
    pub fn failed(&self) -> usize {
        self.state.lock().unwrap().failed
    }

    /// The sizes of the batches that were written, empty ones left out.
    pub fn batches(&self) -> Vec<usize> {
        self.state.lock().unwrap().batches.clone()
    }
}

fn away(cause: &str) -> StoreError {
    StoreError::Unavailable { store: "orchestrator", cause: cause.to_owned() }
}

impl Ledger for Gate {
    fn claim(&self, shard: Shard) -> Result<ShardState, StoreError> {
        self.inner.claim(shard)
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<EntryOutcome>, StoreError> {
        let mut state = self.state.lock().unwrap();
        if !batch.entries.is_empty() {
            state.arrived += 1;
            self.changed.notify_all();
        }
        state = self.changed.wait_while(state, |state| state.held).unwrap();
        if state.failing {
            state.failed += usize::from(!batch.entries.is_empty());
            return Err(away("the gate"));
        }
        if !batch.entries.is_empty() {
            state.batches.push(batch.entries.len());
        }
        let silent = state.silent;
        drop(state);
        let outcomes = self.inner.commit(batch)?;
        if silent {
            return Err(away("the answer was lost"));
        }
        Ok(outcomes)
    }

    fn load(&self, shard: Shard, ids: &[SagaId]) -> Result<Vec<Saga>, StoreError> {
        self.inner.load(shard, ids)
    }

    fn unfinished(
        &self,
        shard: Shard,
        after: Option<SagaId>,
        limit: u32,
    ) -> Result<Vec<Saga>, StoreError> {
        let mut state = self.state.lock().unwrap();
        if state.blind > 0 {
            state.blind -= 1;
            return Err(away("the gate"));
        }
        drop(state);
        self.inner.unfinished(shard, after, limit)
    }

    fn due(
        &self,
        after: &BTreeMap<Shard, (Timestamp, SagaId)>,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError> {
        self.inner.due(after, until, limit)
    }

    fn history_after(
        &self,
        shard: Shard,
        seq: Seq,
        limit: u32,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        self.inner.history_after(shard, seq, limit)
    }

    fn forget_claims(&self, before: Timestamp, limit: u32) -> Result<usize, StoreError> {
        self.inner.forget_claims(before, limit)
    }
}

/// Stands before a real door.
pub struct Hatch {
    inner: Arc<dyn Door>,
    /// How many burials find no store.
    shut: AtomicUsize,
}

impl Hatch {
    pub fn before(inner: Arc<dyn Door>) -> Arc<Self> {
        Arc::new(Self { inner, shut: AtomicUsize::default() })
    }

    /// So many burials find no store.
    pub fn shut(&self, times: usize) {
        self.shut.store(times, Ordering::SeqCst);
    }

    /// How many burials still find no store.
    pub fn left(&self) -> usize {
        self.shut.load(Ordering::SeqCst)
    }
}

impl Door for Hatch {
    fn admit(&self, input: &NewInput) -> Result<Admitted, StoreError> {
        self.inner.admit(input)
    }

    fn pending(&self, shard: Shard, limit: u32) -> Result<Vec<PendingInput>, StoreError> {
        self.inner.pending(shard, limit)
    }

    fn waiting(&self, shards: &[Shard]) -> Result<BTreeSet<Shard>, StoreError> {
        self.inner.waiting(shards)
    }

    fn outcome(&self, id: InputId) -> Result<Option<InputOutcome>, StoreError> {
        self.inner.outcome(id)
    }

    fn bury(&self, letters: &[DeadLetter]) -> Result<BTreeSet<Shard>, StoreError> {
        let one_less = |left: usize| left.checked_sub(1);
        match self.shut.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            Ok(_) => Err(away("the hatch")),
            Err(_) => self.inner.bury(letters),
        }
    }
}
