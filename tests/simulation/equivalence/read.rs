//! What is read of the stores while a script is carried out, and in the end.

use std::collections::BTreeMap;

use skald::ports::leases::{Census, NodeId};
use skald::ports::ledger::Shard;
use skald::saga::event::Recorded;
use skald::saga::id::{SagaId, Timestamp};
use skald::saga::state::Saga;
use uuid::Uuid;

use super::author::key_of;
use super::play::{Checked, Play};
use super::same::{Named, same};
use super::sample;
use super::script::Step;
use super::stores::{ALL, Books, Orchestrator, SHARDS};

impl Play<'_> {
    /// Reads a page of each list.
    pub fn page(&self, step: &Step) -> Checked {
        let Step::Page { shard, saga, seconds, seq, limit } = step else { return Ok(()) };
        let after = self.author.saga(*saga);
        let seq = u64::from(*seq) % (self.author.last_seq(*shard) + 2);
        let history = self.same(("history", step), |on| history(on, *shard, seq, *limit))?;
        let unfinished = self.same(("unfinished", step), |on| {
            on.ledger.unfinished(*shard, after, *limit).unwrap()
        })?;
        // Where a saga stands in the list, or anywhere.
        let anywhere = (sample::second(seconds.0.into()), after.unwrap_or(sample::saga_id(0)));
        let stands = self.author.due(*saga).filter(|_| seconds.0 % 2 == 0);
        let cursor = stands.unwrap_or(anywhere);
        let until = match seconds.1 % 3 {
            0 => cursor.0,
            1 => sample::second(seconds.1.into()),
            _ => sample::second(u64::from(seconds.1) * 1_000),
        };
        let cursors = (0..=*shard).map(|shard| (shard, cursor)).collect();
        let due = self.same(("due", step), |on| on.ledger.due(&cursors, until, *limit).unwrap())?;
        let pending =
            self.same(("pending", step), |on| on.door.pending(*shard, *limit).unwrap())?;
        for (kind, found) in [
            ("history", history.len()),
            ("unfinished", unfinished.len()),
            ("due", due.len()),
            ("pending", pending.len()),
        ] {
            if found == *limit as usize {
                self.tally.note(format!("A full page: {kind}"));
            }
        }
        Ok(())
    }

    /// Reads everything that a question or two tell.
    pub fn look(&self) -> Checked {
        self.tally.note("Looked");
        self.same("census", |on| known(on.leases.census().unwrap()))?;
        let sagas = self.author.sagas();
        for shard in 0..SHARDS {
            self.same(("sagas", shard), |on| {
                // They come in no order.
                let mut sagas = on.ledger.load(shard, &sagas).unwrap();
                sagas.sort_unstable_by_key(|saga| saga.id);
                sagas
            })?;
            self.same(("history", shard), |on| history(on, shard, 0, ALL))?;
            self.same(("unfinished", shard), |on| on.ledger.unfinished(shard, None, ALL).unwrap())?;
            self.same(("pending", shard), |on| on.door.pending(shard, ALL).unwrap())?;
        }
        let beginning = (Timestamp(0), SagaId(Uuid::nil()));
        let cursors: BTreeMap<_, _> = (0..SHARDS).map(|shard| (shard, beginning)).collect();
        let end = sample::second(1_000_000);
        self.same("due", |on| on.ledger.due(&cursors, end, ALL).unwrap())?;
        let shards: Vec<Shard> = (0..SHARDS).collect();
        self.same("waiting", |on| on.door.waiting(&shards).unwrap())?;
        self.same("orders", |on| on.books.orders())?;
        for key in (0..4).map(key_of) {
            self.same(("answer", &key), |on| on.books.answer(&key))?;
        }
        self.same("lags", |on| on.books.lags())?;
        self.same("letters", |on| on.books.letters())?;
        Ok(())
    }

    /// Reads everything that takes a question for each thing.
    pub fn look_closely(&self) -> Checked {
        for input in self.author.inputs() {
            self.same(("outcome", input), |on| on.door.outcome(input).unwrap())?;
        }
        self.look_with_peoples_eyes()
    }

    /// Reads what only the real stores keep, because nothing in the simulation reads it.
    fn look_with_peoples_eyes(&self) -> Checked {
        let real: Vec<&Orchestrator> = self.stores.iter().filter(|on| on.is_real()).collect();
        let sagas = self.author.sagas();
        same(&real, "orders, in full", |on| on.books.whole_orders())?;
        same(&real, "summaries", |on| on.books.summaries())?;
        same(&real, "letters, in full", |on| on.books.whole_letters())?;
        same(&real, "counts", |on| on.books.counts())?;
        for saga in sagas {
            same(&real, ("history", saga), |on| on.books.history(saga))?;
        }
        Ok(())
    }
}

impl Named for &Orchestrator {
    fn name(&self) -> &'static str {
        self.name
    }
}

impl Orchestrator {
    fn is_real(&self) -> bool {
        matches!(self.books, Books::Real { .. })
    }
}

/// A census as all stores know it: the simulated one does not keep what nodes tell of themselves.
pub fn known(census: Census) -> (Vec<NodeId>, Vec<Option<NodeId>>) {
    (census.nodes.into_iter().map(|node| node.id).collect(), census.owners)
}

fn history(on: &Orchestrator, shard: Shard, seq: u64, limit: u32) -> Vec<(u64, Recorded, Saga)> {
    let rows = on.ledger.history_after(shard, seq, limit).unwrap();
    rows.into_iter().map(|row| (row.seq, row.recorded, row.saga)).collect()
}
