//! What goes out of a shard.

use skald::journal::outbox::{Lost, Page, Tagged};
use skald::ports::door::NewInput;
use skald::saga::event::Setback;
use skald::saga::state::Saga;

use super::{Around, House};
use crate::faults::Fault;
use crate::promises::all_is_known;
use crate::world::broker::Publisher;
use crate::world::desk::Luck;

impl House {
    pub(super) fn publish(&mut self, messages: Vec<Tagged>, around: &mut Around<'_>) {
        let from = Publisher::House {
            connection: around.connection,
            shard: self.shard,
            epoch: self.writer.epoch(),
        };
        for Tagged { tag, outgoing, .. } in messages {
            around.env.publish(from, tag, outgoing);
        }
    }

    /// Whether the history is to be read.
    pub fn wants_history(&self) -> bool {
        !self.away && self.page.is_none() && self.outbox.wants_page()
    }

    /// Reads what has to be published from the history.
    pub fn read_history(&mut self, around: &mut Around<'_>) -> bool {
        if !self.wants_history() {
            return false;
        }
        self.outbox.breathe();
        let read =
            |(after, limit)| (after, around.env.store.history_after(self.shard, after, limit));
        self.page = self.outbox.begin_page().map(read);
        true
    }

    /// The publisher gets what was read.
    pub fn take_page(&mut self, luck: Luck, around: &mut Around<'_>) -> bool {
        let Some((after, rows)) = self.page.take() else { return false };
        if luck == Luck::Fails {
            around.env.faults.count(Fault::ReadFailed);
            return true;
        }
        let Page { messages, lost, .. } = self.outbox.read(after, &rows);
        self.publish(messages, around);
        for Lost { seq, saga, to } in lost {
            let key = format!("lost:{to}");
            let mut input =
                NewInput::command_lost((saga, to), Setback::Unroutable, key, around.now);
            input.id = around.env.input_id();
            if luck != Luck::Never {
                around.env.store.admit(input);
            }
            let stored = luck == Luck::Fine;
            if !stored {
                around.env.faults.count(Fault::LossUnrecorded);
            }
            self.outbox.on_record(seq, stored);
            self.read_inputs(around);
        }
        self.ensure_all_is_known(around);
        true
    }

    /// Whoever owns the shard and neither waits for news of it nor is about to look knows every row.
    pub(super) fn ensure_all_is_known(&self, around: &mut Around<'_>) {
        let waits = self.under_way.as_ref().is_some_and(|under_way| under_way.result.is_some());
        let looks = self.away || self.page.is_some() || self.outbox.is_behind();
        if !waits && !looks {
            let (mark, lag) = (self.outbox.marks().events, self.outbox.lag().events);
            let checked = all_is_known(around.env, (self.shard, self.writer.epoch()), mark + lag);
            around.env.ensure(checked);
        }
    }

    /// Asks steps again that are open since before the shard was taken over.
    pub fn ask_again(&mut self, around: &mut Around<'_>) {
        let Some((_, since)) = self.asks_again.take() else { return };
        let sagas: Vec<Saga> = around.env.store.unfinished(self.shard).cloned().collect();
        for saga in sagas {
            for sequence in skald::saga::effect::asked_before(&saga, since) {
                let messages = self.outbox.ask_again(&saga, sequence);
                self.publish(messages, around);
            }
        }
    }
}
