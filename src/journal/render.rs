//! What the rows of the history say to workers and to whoever listens.

use crate::contract::message::Outgoing;
use crate::contract::{self, names::reply_queue};
use crate::ports::ledger::Shard;
use crate::saga::catalogue::Catalogue;
use crate::saga::effect::{self, Command, IdempotencyKey};
use crate::saga::event::Recorded;
use crate::saga::id::{QueueName, Sequence};
use crate::saga::state::Saga;

/// Writes the messages of one shard. What can't be written is logged, and there is no message for it.
#[derive(Clone)]
pub struct Renderer {
    reply_to: QueueName,
    catalogue: Catalogue,
}

impl Renderer {
    /// One whose commands are answered to the queue of `shard`.
    pub fn new(shard: Shard, catalogue: Catalogue) -> Self {
        Self { reply_to: reply_queue(shard), catalogue }
    }

    /// The command that a row asks for, if there is one whose outcome is still of interest.
    pub fn command(&self, saga: &Saga, recorded: &Recorded) -> Option<(Outgoing, IdempotencyKey)> {
        if !effect::is_open(saga, recorded.sequence) {
            return None;
        }
        let runnable = self.catalogue.get(&saga.birth.definition)?;
        let command = effect::command(&runnable.definition, saga, recorded)?;
        Some((self.write(&command)?, command.key))
    }

    /// The open commands of a saga that were asked for at `sequence`.
    pub fn open_commands(
        &self,
        saga: &Saga,
        sequence: Sequence,
    ) -> Vec<(Outgoing, IdempotencyKey)> {
        let Some(runnable) = self.catalogue.get(&saga.birth.definition) else { return Vec::new() };
        effect::open_commands(&runnable.definition, saga)
            .filter(|command| command.sequence == sequence)
            .filter_map(|command| Some((self.write(&command)?, command.key)))
            .collect()
    }

    /// What is told of a row to whoever listens, if anything is.
    pub fn event(&self, saga: &Saga, recorded: &Recorded) -> Option<Outgoing> {
        let runnable = self.catalogue.get(&saga.birth.definition)?;
        contract::event::write(runnable.script.as_ref(), saga, recorded)
            .inspect_err(|error| {
                tracing::error!(sagaId = %saga.id, sequence = recorded.sequence, %error, "an event can't be written");
            })
            .ok()?
    }

    fn write(&self, command: &Command<'_>) -> Option<Outgoing> {
        let runnable = self.catalogue.get(&command.saga.birth.definition)?;
        contract::command::write(runnable.script.as_ref(), command, &self.reply_to)
            .inspect_err(|error| {
                tracing::error!(sagaId = %command.saga.id, step = %command.step.name, %error, "a command can't be written");
            })
            .ok()
    }
}
