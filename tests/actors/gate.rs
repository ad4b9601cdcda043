//! A ledger whose commits can be held, counted and made to fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};

use skald::ports::StoreError;
use skald::ports::ledger::{Batch, Due, EntryOutcome, HistoryRow, Ledger, Seq, Shard, ShardState};
use skald::saga::id::{SagaId, Timestamp};
use skald::saga::state::Saga;

#[derive(Default)]
struct State {
    held: bool,
    failing: bool,
    silent: bool,
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
            return Err(StoreError::Unavailable {
                store: "orchestrator",
                cause: "the gate".to_owned(),
            });
        }
        if !batch.entries.is_empty() {
            state.batches.push(batch.entries.len());
        }
        let silent = state.silent;
        drop(state);
        let outcomes = self.inner.commit(batch)?;
        if silent {
            let cause = "the answer was lost".to_owned();
            return Err(StoreError::Unavailable { store: "orchestrator", cause });
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
