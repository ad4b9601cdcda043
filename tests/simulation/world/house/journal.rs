//! What is written: the journal at a shard, and what follows a commit.

use skald::journal::turn::{self, Acceptance, Acknowledgement, Aftermath, LOOK_AGAIN_AFTER_MS};
use skald::journal::writer::Ended;
use skald::ports::StoreError;
use skald::ports::ledger::{Entry, EntryOutcome, OrderChange, Seq};
use skald::store::postgres::ledger::doubt::Doubt;

use super::actors::is;
use super::{Around, Fate, House, Slot, Then, Ticket, Transaction};
use crate::faults::Fault;
use crate::world::customers::Asking;
use crate::world::env::Env;
use crate::world::store::UNAVAILABLE;

impl House {
    pub(super) fn pump(&mut self) {
        if self.under_way.is_none()
            && let Some(batch) = self.writer.next(self.outbox.marks())
        {
            self.under_way = Some(Transaction { batch, result: None });
        }
    }

    /// A transaction for the marks alone, if one is wanted.
    pub fn flush(&mut self) -> bool {
        if self.under_way.is_some() {
            return false;
        }
        let batch = self.writer.flush(self.outbox.marks());
        self.under_way = batch.map(|batch| Transaction { batch, result: None });
        self.under_way.is_some()
    }

    /// Whether the marks are to be written, or the store is to be looked for.
    pub fn wants_flush(&self) -> bool {
        self.under_way.is_none() && self.writer.wants_flush(self.outbox.marks())
    }

    /// The transaction under way reaches the store.
    pub fn commit(&mut self, fate: Fate, env: &mut Env) {
        let Some(Transaction { batch, result: result @ None }) = &mut self.under_way else {
            return;
        };
        let doubt = Doubt::about(self.doubt.clone());
        *result = Some(match fate {
            Fate::Away => {
                env.faults.count(Fault::CommitFailed);
                Err(UNAVAILABLE)
            }
            Fate::Fine => env.commit(batch, &doubt).map(|(outcomes, _)| {
                self.doubt = None;
                outcomes
            }),
            Fate::Unheard => env.commit(batch, &doubt).and_then(|(_, attempt)| {
                env.faults.count(Fault::CommitUnheard);
                self.doubt = Some(attempt);
                Err(UNAVAILABLE)
            }),
            Fate::Vanished => env.store.clone().commit(batch, &doubt).and_then(|(_, attempt)| {
                env.faults.count(Fault::CommitVanished);
                self.doubt = Some(attempt);
                Err(UNAVAILABLE)
            }),
        });
    }

    /// The outcome of the transaction reaches the process. Tells whether the shard is somebody
    /// else's by now.
    pub fn settle(&mut self, around: &mut Around<'_>) -> bool {
        let has_ended = |transaction: &mut Transaction| transaction.result.is_some();
        let Some(Transaction { batch, result: Some(result) }) = self.under_way.take_if(has_ended)
        else {
            return false;
        };
        let Ended { settled, away, deposed } = self.writer.ended(batch.marks, result);
        (self.away, self.paused) = (away, away);
        if away {
            self.outbox.doubt();
        }
        let committed: Vec<(Seq, Entry)> = settled
            .iter()
            .filter_map(|settled| match settled.outcome {
                Ok(EntryOutcome::Written(seq)) => Some((seq, settled.entry.clone())),
                _ => None,
            })
            .collect();
        let messages = self.outbox.committed(committed);
        self.publish(messages, around);
        for settled in settled {
            self.written(settled.ticket, settled.entry, settled.outcome, around);
        }
        self.ensure_all_is_known(around);
        self.pump();
        deposed
    }

    /// A saga learns what became of its entry.
    pub(super) fn written(
        &mut self,
        Ticket { saga: id, actor }: Ticket,
        entry: Entry,
        outcome: Result<EntryOutcome, StoreError>,
        around: &mut Around<'_>,
    ) {
        let Some(Slot::Awake(awake)) = self.sagas.get_mut(&id).filter(|slot| is(slot, actor))
        else {
            return;
        };
        let then = awake.busy.take();
        let aftermath = turn::aftermath(&outcome);
        let mut gone = false;
        match aftermath {
            Aftermath::Moved => {
                self.timers.set(id, entry.saga.state.next_due());
                awake.saga = Some(entry.saga);
            }
            Aftermath::Stale => gone = true,
            Aftermath::Unwritten => {
                gone = awake.saga.is_none();
                self.timers.set(id, Some(around.now.plus_millis(LOOK_AGAIN_AFTER_MS)));
            }
        }
        match then {
            Some(Then::Born(customer)) => tell_customer(customer, &entry.order, outcome, around),
            Some(Then::Answer(held)) => match turn::acknowledgement(&outcome) {
                Acknowledgement::Acknowledge => around.env.acknowledge_reply(held),
                Acknowledgement::GiveBack | Acknowledgement::GiveBackLater => {
                    around.env.give_back(held);
                }
                Acknowledgement::Bury(cause) => self.bury(held, cause, around),
            },
            Some(Then::Input(input)) => drop(self.in_hand.remove(&input)),
            Some(Then::Nothing) | None => {}
        }
        if gone {
            self.drop_actor(id, around);
        } else {
            self.end(id, around);
        }
        self.proceed(id, around);
    }

    /// The pause after the store was away is over.
    pub fn resume(&mut self) {
        self.paused = false;
        self.writer.resume();
        self.pump();
    }
}

/// A customer is told what became of its order, or is not.
fn tell_customer(
    customer: usize,
    placed: &Option<OrderChange>,
    outcome: Result<EntryOutcome, StoreError>,
    around: &mut Around<'_>,
) {
    let told = match (turn::acceptance(outcome), placed) {
        (Acceptance::Accepted, Some(OrderChange::Placed(order, _))) => Some(order.id),
        (Acceptance::Replayed(answer), _) => Some(answer.order),
        _ => None,
    };
    match told {
        Some(order) => {
            let checked = crate::promises::accepted(around.env, customer, order);
            around.env.ensure(checked);
            let customer = &mut around.env.customers[customer];
            (customer.state, customer.told) = (Asking::Told, Some(order));
        }
        None => around.env.customers[customer].state = Asking::Idle,
    }
}
