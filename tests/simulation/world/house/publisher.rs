//! What goes out of a shard.

use skald::journal::outbox::{Lost, Page, Tagged};
use skald::ports::door::NewInput;
use skald::saga::event::Setback;
use skald::saga::state::Saga;

use super::{Around, House};
use crate::world::broker::Publisher;

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
        !self.away && self.outbox.wants_page_after().is_some()
    }

    /// Reads what has to be published from the history.
    pub fn read_history(&mut self, around: &mut Around<'_>) {
        self.outbox.breathe();
        let Some(after) = self.outbox.wants_page_after() else { return };
        let rows = around.env.store.history_after(self.shard, after, skald::journal::feed::PAGE);
        let Page { messages, lost, .. } = self.outbox.read(after, &rows);
        self.publish(messages, around);
        for Lost { seq, saga, to } in lost {
            let key = format!("lost:{to}");
            let mut input =
                NewInput::command_lost((saga, to), Setback::Unroutable, key, around.now);
            input.id = around.env.input_id();
            around.env.store.admit(input);
            self.outbox.on_record(seq, true);
            self.read_inputs(around);
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
