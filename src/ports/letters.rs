//! Dead letters for operators: looking at them, and deciding what becomes of them.
//!
//! ```text
//!           requeue                    sent
//!  OPEN ─────────────▶ REQUEUED ───────────────────▶ (stays on record)
//!   │ ◀── it found no room, or died again ──┘
//!   └── discard ─────▶ DISCARDED
//! ```
//!
//! A decision is stored before it is carried out. A requeued letter whose message is not known to be
//! safe in its queue is handed to one node after the other, until one of them says what became of it.

use uuid::Uuid;

use crate::ports::error::StoreError;
use crate::saga::id::{SagaId, Timestamp};

/// Identifies a dead letter. A UUIDv7, so that ids sort by the first death.
pub type LetterId = Uuid;

/// Identifies a decision about a letter. A UUIDv7.
pub type DecisionId = Uuid;

/// The most open letters that are counted.
pub const MOST_COUNTED: u32 = 10_000;

/// The most decisions that are read with a letter. There is one more each time that its message dies
/// again and is requeued again.
pub const MOST_DECISIONS: u32 = 100;

/// Declares an enum of things that the store and the API call by the same name.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$of])* $variant,)*
        }

        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in the store and in the API.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// Reads what [`as_str`](Self::as_str) wrote.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.as_str() == text)
            }
        }
    };
}

named! {
    /// What became of a letter.
    LetterState {
        /// Nobody has decided yet.
        Open = "OPEN",
        /// Its message was, or is being, sent again.
        Requeued = "REQUEUED",
        /// Nobody wants its message any more.
        Discarded = "DISCARDED",
    }
}

named! {
    /// What can be decided about a letter.
    Action {
        /// Send its message again.
        Requeue = "REQUEUE",
        /// Let it be.
        Discard = "DISCARD",
    }
}

named! {
    /// What came of a decision.
    Outcome {
        /// It is carried out: the message is safe in its queue, or nobody wants it.
        Done = "DONE",
        /// No queue takes the message. The letter is open again.
        Unroutable = "UNROUTABLE",
        /// The queue is full. The letter is open again.
        QueueFull = "QUEUE_FULL",
        /// It is no message that Skald can send. The letter is open again.
        NotSendable = "NOT_SENDABLE",
    }
}

/// What follows from a decision, as a letter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken, and the letter has this state from now on.
    Taken(LetterState),
    /// The same was decided before, and that decision stands.
    Stands,
    /// The opposite was decided before.
    Conflict,
}

impl LetterState {
    /// What follows from `action` for a letter in this state.
    pub fn judge(self, action: Action) -> Verdict {
        let wanted = match action {
            Action::Requeue => Self::Requeued,
            Action::Discard => Self::Discarded,
        };
        match self {
            Self::Open => Verdict::Taken(wanted),
            decided if decided == wanted => Verdict::Stands,
            _ => Verdict::Conflict,
        }
    }
}

/// A line of a list of letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterSummary {
    /// Which one.
    pub id: LetterId,
    /// Its message's id.
    pub message_id: String,
    /// The queue that the message died in; empty where that is not known.
    pub queue: String,
    /// What the message is called, e.g. `inventory.reserve`.
    pub routing_key: String,
    /// Why it died, the last time.
    pub reason: String,
    /// The saga that it is about, by what the message says.
    pub saga: Option<SagaId>,
    /// What became of it.
    pub state: LetterState,
    /// When it died, the last time.
    pub at: Timestamp,
}

/// A letter with its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// What a list shows of it.
    pub summary: LetterSummary,
    /// The message's properties as JSON.
    pub headers: String,
    /// The message's body.
    pub body: Vec<u8>,
    /// What was decided, oldest first; of more than [`MOST_DECISIONS`] the newest.
    pub decisions: Vec<Decision>,
}

/// A decision on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Its id.
    pub id: DecisionId,
    /// What was decided.
    pub action: Action,
    /// Who decided.
    pub by: String,
    /// Why.
    pub note: String,
    /// When.
    pub at: Timestamp,
    /// What came of it; none while a message is on its way.
    pub outcome: Option<Outcome>,
}

/// A decision that somebody wants to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDecision {
    /// Its id.
    pub id: DecisionId,
    /// About which letter.
    pub letter: LetterId,
    /// What is to be done.
    pub action: Action,
    /// Who wants it.
    pub by: String,
    /// Why.
    pub note: String,
    /// What makes a repeat recognisable, chosen by the client; unique for the letter. A decision that
    /// failed gives it back.
    pub client_key: String,
    /// When it was taken.
    pub at: Timestamp,
}

impl NewDecision {
    /// The decision as it stands once it is stored. A discard is done with that; a requeue is not.
    pub fn taken(&self) -> Decision {
        Decision {
            id: self.id,
            action: self.action,
            by: self.by.clone(),
            note: self.note.clone(),
            at: self.at,
            outcome: match self.action {
                Action::Requeue => None,
                Action::Discard => Some(Outcome::Done),
            },
        }
    }

    /// What comes of taking it where `earlier` was taken under the same client key.
    pub fn after(&self, earlier: Decision) -> Decided {
        match (earlier.action, &earlier.note) == (self.action, &self.note) {
            true => Decided::Stands(earlier),
            false => Decided::KeyTaken,
        }
    }
}

/// What came of taking a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It is stored. It may be an earlier one: the same client key was used for the same before, or
    /// the letter is in the wanted state by another one.
    Stands(Decision),
    /// The opposite was decided before; the letter has this state.
    Conflict(LetterState),
    /// The same client key was used before for something else.
    KeyTaken,
    /// There is no such letter.
    NoSuchLetter,
}

/// A message that is to be sent again, by decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The decision.
    pub decision: DecisionId,
    /// The queue that the message died in.
    pub queue: String,
    /// Its routing key there.
    pub routing_key: String,
    /// Its properties as JSON.
    pub headers: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// Which letters to list; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// Only those that died in this queue.
    pub queue: Option<String>,
    /// Only those about this saga.
    pub saga: Option<SagaId>,
    /// Only those in this state.
    pub state: Option<LetterState>,
}

/// The dead letters that [`Door::bury`](crate::ports::door::Door::bury) stored. Every method is one
/// transaction.
pub trait Letters: Send + Sync {
    /// Letters, newest first, from the one before `before`.
    fn letters(
        &self,
        filter: &LetterFilter,
        before: Option<LetterId>,
        limit: u32,
    ) -> Result<Vec<LetterSummary>, StoreError>;

    /// A letter with its message.
    fn letter(&self, id: LetterId) -> Result<Option<Letter>, StoreError>;

    /// Takes a decision, unless another one stands or the client key was used before. A requeue is due
    /// from `decision.at` on; a discard is done.
    fn decide(&self, decision: &NewDecision) -> Result<Decided, StoreError>;

    /// The outcome of a decision; none while its message is on its way, or where there is no such
    /// decision.
    fn decision_outcome(&self, id: DecisionId) -> Result<Option<Outcome>, StoreError>;

    /// Messages that are due to be sent by `now`, the longest due first, and puts each off to `again`,
    /// when it is due once more unless it is settled by then. Of two nodes that ask at the same time,
    /// each gets others.
    fn take_due(
        &self,
        now: Timestamp,
        again: Timestamp,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError>;

    /// Records what came of sending messages. A decision that is settled already stays as it is. One
    /// that failed opens its letter and gives back its client key.
    fn settle(&self, outcomes: &[(DecisionId, Outcome)]) -> Result<(), StoreError>;

    /// How many letters are open; no more than [`MOST_COUNTED`] are counted.
    fn open_letters(&self) -> Result<u64, StoreError>;
}

#[cfg(test)]
mod tests;
