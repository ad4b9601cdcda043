//! What a batch of notifications comes to. Pure.
//!
//! A mail can't be sent inside a transaction. So a batch is dealt with in two: the first claims the
//! steps whose mails are to be sent ([`plan`]), the second records what became of them
//! ([`conclude`]). Whoever dies in between leaves claims that expire; the mails are sent again then,
//! under the same Message-IDs.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::command::NotificationCommand;
use crate::contract::reply::{ReplyBody, WorkOutcome};
use crate::orders::notification::{Notified, Outcome};
use crate::ports::mail::MailError;
use crate::ports::notification::{Notification, NotificationChange};
use crate::ports::work::{RecordKey, WorkRecord};
use crate::saga::id::Timestamp;
use crate::saga::json::Json;
use crate::workers::records::{Standing, answer, consult};

/// How much longer than the mailer takes a claim keeps others away: the time until its mails are
/// begun.
const MARGIN_MS: u64 = 5_000;

/// How a worker claims the steps whose mails it sends.
#[derive(Clone, Copy, Debug)]
pub struct Claims {
    /// How long a claim keeps others away: longer than a batch of mails takes, and not much, for a
    /// mail whose sender died waits for its end.
    last_ms: u64,
    /// Claims from before are dead: whoever made them is gone.
    pub alone_since: Option<Timestamp>,
}

impl Claims {
    /// Claims for mails that a mailer takes so long for at most.
    pub fn of(longest: Duration) -> Self {
        let last_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let last_ms = last_ms.saturating_add(MARGIN_MS);
        Self { last_ms, alone_since: None }
    }

    /// Until when a claim made now holds.
    pub fn until(&self, now: Timestamp) -> Timestamp {
        now.plus_millis(self.last_ms)
    }

    fn are_dead(&self, until: Timestamp) -> bool {
        self.alone_since.is_some_and(|since| until < self.until(since))
    }
}

/// How a command of a batch goes on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Its step is claimed; its mail is to be sent.
    Send,
    /// The same command stands earlier in the batch, and its mail is to be sent.
    SentAlready,
    /// It is answered.
    Answered(ReplyBody),
    /// An undo came first, though mails have none.
    Refused,
}

/// The answer that tells `outcome`.
fn told(outcome: Outcome) -> WorkOutcome {
    // A struct with a name in it always has a JSON form.
    WorkOutcome::Success(Json::of(&Notified { outcome }).unwrap_or_else(|_| Json::null()))
}

/// Claims what is to be sent, answers what needs no mail or was answered before.
pub fn plan(
    records: &BTreeMap<RecordKey, WorkRecord>,
    commands: &[NotificationCommand],
    claims: &Claims,
    now: Timestamp,
) -> (NotificationChange, Vec<Part>) {
    let mut change = NotificationChange::default();
    let mut sending = HashSet::new();
    let parts = commands.iter().map(|command| {
        if sending.contains(&command.key) {
            return Part::SentAlready;
        }
        let step = RecordKey::from(&command.key);
        let known = change.records.get(&step).or_else(|| records.get(&step));
        let mut record = known.cloned().unwrap_or_default();
        record.claimed_until = record.claimed_until.filter(|until| !claims.are_dead(*until));
        match consult(&record, &command.key, now) {
            Standing::Repeat(outcome) => Part::Answered(ReplyBody::Settled(outcome)),
            Standing::Busy(_) => Part::Answered(ReplyBody::Retryable),
            Standing::Refused => Part::Refused,
            Standing::Fresh if command.recipient.is_none() => {
                let reply = settle(&mut change, record, command, Outcome::NoAddress, now);
                Part::Answered(reply)
            }
            Standing::Fresh => {
                record.claimed_until = Some(claims.until(now));
                change.records.insert(step, record);
                sending.insert(command.key.clone());
                Part::Send
            }
        }
    });
    let parts = parts.collect();
    (change, parts)
}

/// A command whose mail was sent, or was not.
#[derive(Clone, Debug)]
pub struct Posted<'a> {
    /// The command.
    pub command: &'a NotificationCommand,
    /// What the mailer said.
    pub result: Result<(), MailError>,
}

/// Records what became of the mails that were claimed at `claimed_at`.
pub fn conclude(
    records: &BTreeMap<RecordKey, WorkRecord>,
    posted: &[Posted<'_>],
    claims: &Claims,
    claimed_at: Timestamp,
) -> (NotificationChange, Vec<ReplyBody>) {
    let mut change = NotificationChange::default();
    let replies = posted.iter().map(|Posted { command, result }| {
        let step = RecordKey::from(&command.key);
        let mut record = records.get(&step).cloned().unwrap_or_default();
        // Where the claim has expired meanwhile, somebody else may have sent the mail as well.
        if let Standing::Repeat(outcome) = consult(&record, &command.key, claimed_at) {
            return ReplyBody::Settled(outcome);
        }
        match result {
            Ok(()) => settle(&mut change, record, command, Outcome::Sent, claimed_at),
            Err(MailError::Undeliverable(_)) => {
                settle(&mut change, record, command, Outcome::Undeliverable, claimed_at)
            }
            Err(MailError::Transient(_) | MailError::Misconfigured(_)) => {
                if record.claimed_until == Some(claims.until(claimed_at)) {
                    record.claimed_until = None;
                    change.records.insert(step, record);
                }
                ReplyBody::Retryable
            }
        }
    });
    let replies = replies.collect();
    (change, replies)
}

fn settle(
    change: &mut NotificationChange,
    mut record: WorkRecord,
    command: &NotificationCommand,
    outcome: Outcome,
    at: Timestamp,
) -> ReplyBody {
    let result = told(outcome);
    answer(&mut record, &command.key, result.clone());
    change.records.insert(RecordKey::from(&command.key), record);
    change.notifications.push(Notification {
        key: command.key.to_string(),
        order_id: command.letter.order_id.to_string(),
        template: command.letter.template.as_str().to_owned(),
        recipient: command.recipient.clone(),
        outcome: outcome.as_str().to_owned(),
        at,
    });
    ReplyBody::Settled(result)
}

#[cfg(test)]
mod tests;
