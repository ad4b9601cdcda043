//! The one door: whatever wants something of a saga from outside is a row here first.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::contract::letter::Properties;
use crate::contract::message::{Death, Message};
use crate::contract::names::MessageId;
use crate::ports::error::StoreError;
use crate::ports::ledger::Shard;
use crate::saga::event::{Reason, Setback};
use crate::saga::id::{SagaId, Sequence, Timestamp};

/// Identifies an input. A UUIDv7, so that ids sort by arrival.
pub type InputId = Uuid;

/// Something wanted of a saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInput {
    /// Its id.
    pub id: InputId,
    /// Which saga.
    pub saga: SagaId,
    /// What makes a repeat recognisable, chosen by the client; unique within the saga.
    pub client_key: String,
    /// What is wanted.
    pub request: Request,
    /// The version that the client saw and insists on, if it does.
    pub if_version: Option<Sequence>,
    /// When it arrived.
    pub at: Timestamp,
}

impl NewInput {
    /// Tells a saga what happened to the command that was sent with the event at `to`.
    pub fn command_lost(
        (saga, to): (SagaId, Sequence),
        setback: Setback,
        client_key: String,
        at: Timestamp,
    ) -> Self {
        Self {
            id: Uuid::now_v7(),
            saga,
            client_key,
            request: Request::CommandLost { to, setback },
            if_version: None,
            at,
        }
    }
}

/// What can be wanted of a saga from outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Request {
    /// Undo it.
    Cancel {
        /// Who wants it.
        by: String,
        /// What is recorded and told as the reason.
        reason: Reason,
    },
    /// Try again what is stuck.
    Retry {
        /// Who wants it.
        by: String,
        /// Why.
        note: String,
    },
    /// Take note that a command did not reach its worker.
    CommandLost {
        /// The event that asked for it.
        to: Sequence,
        /// What happened to it.
        setback: Setback,
    },
}

impl Request {
    /// Who wants it, what, and why: the line in the audit log. What the system itself reports is
    /// not audited.
    pub fn audit(&self) -> Option<(&str, &'static str, &str)> {
        match self {
            Self::Cancel { by, reason } => Some((by, "cancel", reason.code.as_str())),
            Self::Retry { by, note } => Some((by, "retry", note)),
            Self::CommandLost { .. } => None,
        }
    }
}

/// What became of an input.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum InputOutcome {
    /// It was done; the saga then had this version.
    Applied {
        /// The version.
        version: Sequence,
    },
    /// It was superfluous.
    Ignored,
    /// It can't be done.
    Rejected {
        /// Why, in a sentence.
        detail: String,
    },
    /// The saga had another version than the client insisted on.
    VersionMismatch {
        /// The version it had.
        found: Sequence,
    },
}

/// An input that waits for the saga's owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PendingInput {
    /// Its id.
    pub id: InputId,
    /// Which saga.
    pub saga: SagaId,
    /// What is wanted.
    pub request: Request,
    /// The version that the client insists on.
    pub if_version: Option<Sequence>,
}

/// What came of knocking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It is stored and waits for the owner of the saga's shard.
    Stored(InputId, Shard),
    /// The same client key was used before for the same request; this is that input.
    Repeated(InputId, Shard, Option<InputOutcome>),
    /// The same client key was used before for another request, or with another version.
    KeyTaken,
    /// There is no such saga.
    NoSuchSaga,
}

/// A message that could not be processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// An id of its own: a message may die once in each of several queues.
    pub id: Uuid,
    /// The message's id.
    pub message_id: String,
    /// The queue it died in; empty where that is not known.
    pub queue: String,
    /// What it is called, e.g. `inventory.reserve`.
    pub routing_key: String,
    /// Why it died.
    pub reason: String,
    /// Its headers and properties as JSON.
    pub headers: String,
    /// Its body.
    pub body: Vec<u8>,
    /// The saga that it is about, by what the message says.
    pub saga: Option<SagaId>,
    /// When it was stored.
    pub at: Timestamp,
    /// What the saga concerned is to be told, if it is a command of one.
    pub notice: Option<NewInput>,
}

impl DeadLetter {
    /// A dead letter of a message. A command's saga is to be told that its outcome is unknown.
    pub fn of(message: &Message, death: Death, now: Timestamp) -> Self {
        let Death { queue, routing_key, reason } = death;
        let properties = Properties::of(message);
        // Only commands want an answer.
        let command = message.reply_to.as_ref().and_then(|_| MessageId::parse(&message.id));
        let notice = command.map(|MessageId { saga, sequence }| {
            let client_key = format!("dead:{}", message.id);
            NewInput::command_lost((saga, sequence), Setback::DeadLettered, client_key, now)
        });
        Self {
            id: Uuid::now_v7(),
            message_id: message.id.clone(),
            queue,
            routing_key,
            reason,
            saga: properties.saga(),
            headers: serde_json::json!(properties).to_string(),
            body: message.body.to_vec(),
            at: now,
            notice,
        }
    }
}

/// Where inputs and dead letters are left for the owners of the sagas. Every method is one
/// transaction.
pub trait Door: Send + Sync {
    /// Stores an input, with its line in the audit log, unless its client key was used before.
    fn admit(&self, input: &NewInput) -> Result<Admitted, StoreError>;

    /// The inputs of `shard` that wait for their outcome, oldest first.
    fn pending(&self, shard: Shard, limit: u32) -> Result<Vec<PendingInput>, StoreError>;

    /// Which of `shards` have inputs that wait for their outcome.
    fn waiting(&self, shards: &[Shard]) -> Result<BTreeSet<Shard>, StoreError>;

    /// The outcome of an input; none while it waits, or where there is no such input.
    fn outcome(&self, id: InputId) -> Result<Option<InputOutcome>, StoreError>;

    /// Stores dead letters together with their notices, and tells in which shards notices wait now. A
    /// letter whose (message id, queue) is stored already is left as it is and leaves no notice; but if
    /// its message had been requeued it is open again, as of this death. A notice for an unknown saga
    /// is left out.
    fn bury(&self, letters: &[DeadLetter]) -> Result<BTreeSet<Shard>, StoreError>;
}
