//! A script carried out on several stores of the orchestrator's, step by step.

use std::fmt::Debug;
use std::time::Duration;

use proptest::test_runner::TestCaseError;
use skald::ports::StoreError;
use skald::ports::door::{Admitted, DeadLetter, NewInput};
use skald::ports::leases::{Node, NodeId};
use skald::ports::ledger::{EntryOutcome, Shard};
use skald::saga::event::Setback;
use uuid::Uuid;

use super::author::{Author, wished};
use super::read::known;
use super::same::{Named, plain, same};
use super::sample;
use super::script::{Death, Plan, Step, Wish, Writer};
use super::stores::{Orchestrator, SHARDS};
use super::tally::Tally;

/// Longer than any script takes.
const LONG: Duration = Duration::from_secs(3_600);

pub type Checked<T = ()> = Result<T, TestCaseError>;

impl Named for Orchestrator {
    fn name(&self) -> &'static str {
        self.name
    }
}

/// The stores, and what is known of them.
pub struct Play<'a> {
    pub stores: Vec<Orchestrator>,
    /// Closes a store and opens it again; nothing where it is in memory.
    pub reopen: &'a dyn Fn(Orchestrator) -> Orchestrator,
    pub tally: &'a Tally,
    pub author: Author,
}

impl<'a> Play<'a> {
    pub fn new(
        stores: Vec<Orchestrator>,
        reopen: &'a dyn Fn(Orchestrator) -> Orchestrator,
        tally: &'a Tally,
    ) -> Self {
        Self { stores, reopen, tally, author: Author::default() }
    }

    /// Carries out a script. The first node owns most shards to begin with.
    pub fn of(&mut self, script: &[Step]) -> Checked {
        self.step(&Step::Renew { node: 0, lives: true })?;
        self.step(&Step::Claim { node: 0, shards: (0..SHARDS - 1).collect() })?;
        script.iter().try_for_each(|step| self.step(step))?;
        self.look()?;
        self.look_closely()
    }

    fn step(&mut self, step: &Step) -> Checked {
        match step {
            Step::Renew { node, lives } => {
                let lease = if *lives { LONG } else { Duration::ZERO };
                let node = node_of(*node);
                self.same(step, |on| on.leases.renew(&node, lease).map(known))?.unwrap();
            }
            Step::Claim { node, shards } => self.claim(node_of(*node).id, shards)?,
            Step::Release { node, shards } => {
                self.same(step, |on| on.leases.release(node_of(*node).id, shards))?.unwrap();
            }
            Step::Leave { node } => {
                self.same(step, |on| on.leases.leave(node_of(*node).id))?.unwrap();
            }
            Step::Commit { shard, writer, marks, plans } => {
                self.commit(*shard, *writer, *marks, plans)?;
            }
            Step::Admit(wish) => self.admit(wish)?,
            Step::Bury(deaths) => self.bury(deaths)?,
            Step::Page { .. } => self.page(step)?,
            Step::Look => self.look()?,
            Step::Restart => self.restart()?,
        }
        Ok(())
    }

    pub fn same<T: PartialEq + Debug>(
        &self,
        what: impl Debug,
        ask: impl Fn(&Orchestrator) -> T,
    ) -> Checked<T> {
        same(&self.stores, what, ask)
    }

    fn claim(&mut self, node: NodeId, shards: &[Shard]) -> Checked {
        let claimed = self.same(("claim", node, shards), |on| {
            let mut claimed = on.leases.claim(node, shards).unwrap();
            // In which order they are told the port does not say.
            claimed.sort_unstable_by_key(|(shard, _)| *shard);
            claimed
        })?;
        self.tally.note(if claimed.len() < shards.len() { "Owned" } else { "Claimed" });
        for (shard, state) in claimed {
            self.author.claimed(shard, state);
        }
        Ok(())
    }

    fn commit(&mut self, shard: Shard, writer: Writer, marks: (u8, u8), plans: &[Plan]) -> Checked {
        let batch = self.author.batch(shard, writer, marks, plans);
        let committed = self.same(&batch, |on| on.ledger.commit(&batch).map_err(plain))?;
        match committed {
            Ok(outcomes) => {
                for (entry, outcome) in batch.entries.iter().zip(&outcomes) {
                    self.tally.note(match outcome {
                        EntryOutcome::Written(_) if entry.events.is_empty() => "Settled",
                        EntryOutcome::Written(_) => "Written",
                        EntryOutcome::Conflict => "Conflict",
                        EntryOutcome::Replayed(_) => "Replayed",
                    });
                }
                self.author.committed(&batch, &outcomes);
            }
            Err(StoreError::Deposed { .. }) => self.tally.note("Deposed"),
            Err(StoreError::Refused { .. }) => self.tally.note("Refused"),
            Err(error) => return Err(TestCaseError::fail(format!("{error}"))),
        }
        Ok(())
    }

    fn admit(&mut self, wish: &Wish) -> Checked {
        let Wish { saga, key, again, if_version } = wish;
        let nobody = sample::saga_id(0);
        let saga = self.author.saga(*saga).unwrap_or(nobody);
        let input = wished(*key, self.author.new_input(saga), saga, *again, *if_version);
        let admitted = self.same(&input, |on| on.door.admit(&input).unwrap())?;
        self.tally.note(match admitted {
            Admitted::Stored(..) => "Stored",
            Admitted::Repeated(_, _, None) => "Repeated",
            Admitted::Repeated(_, _, Some(_)) => "Repeated with its outcome",
            Admitted::KeyTaken => "KeyTaken",
            Admitted::NoSuchSaga => "NoSuchSaga",
        });
        Ok(())
    }

    fn bury(&mut self, deaths: &[Death]) -> Checked {
        let mut letters: Vec<DeadLetter> = deaths.iter().map(|death| self.letter(death)).collect();
        // PostgreSQL takes them in this order, so that two processes don't wait for each other in a
        // circle; of two notices under one key that come together, either may be the one that stays.
        letters.sort_by(|a, b| (&a.message_id, &a.queue).cmp(&(&b.message_id, &b.queue)));
        let told = self.same(&letters, |on| on.door.bury(&letters).unwrap())?;
        self.tally.note(if told.is_empty() { "Nobody told" } else { "Told" });
        Ok(())
    }

    fn letter(&mut self, death: &Death) -> DeadLetter {
        let Death { saga, message, queue, notice } = death;
        let saga = self.author.saga(*saga).unwrap_or(sample::saga_id(0));
        let (message, n) = (u64::from(*message), self.author.new_letter());
        let message_id = format!("{saga}:{message}");
        let notice = notice.then(|| NewInput {
            id: self.author.new_input(saga),
            ..NewInput::command_lost(
                (saga, message),
                Setback::DeadLettered,
                format!("dead:{message_id}"),
                sample::second(n),
            )
        });
        DeadLetter {
            id: sample::input_id(10_000 + n),
            message_id,
            queue: format!("queue-{queue}"),
            routing_key: "inventory.reserve".to_owned(),
            reason: "rejected: not JSON".to_owned(),
            headers: "{}".to_owned(),
            body: b"\0\xff{".to_vec(),
            saga: Some(saga),
            at: sample::second(n),
            notice,
        }
    }

    /// All nodes leave; the stores are closed, and opened again.
    fn restart(&mut self) -> Checked {
        // Whoever opens SQLite's files has them to itself and ends the leases of whoever had them
        // before; in PostgreSQL they run out. When all have left nothing is to be seen of that.
        for node in 0..3 {
            self.step(&Step::Leave { node })?;
        }
        self.stores = std::mem::take(&mut self.stores).into_iter().map(self.reopen).collect();
        self.tally.note("Restarted");
        self.look()
    }
}

fn node_of(n: u8) -> Node {
    Node {
        id: Uuid::from_u128(u128::from(n) + 1),
        name: format!("node-{n}"),
        url: format!("http://127.0.0.1:{n}"),
        started_at: sample::START,
    }
}
