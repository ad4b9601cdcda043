//! The notification worker: mails customers what became of their orders.
//!
//! | module | holds |
//! |---|---|
//! | `command` | what is asked for |
//! | `letter` | from a command to a mail |
//! | `message` | from a mail to the text that is sent |
//! | `plan` | what a batch comes to (pure) |
//! | `eml`, `smtp` | the mailers: files in a folder, a mail server |
//! | `report` | what the log and the metrics are told |

pub mod command;
pub mod eml;
mod letter;
mod message;
pub mod plan;
mod report;
pub mod smtp;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use command::NotificationCommand;
use plan::{Claims, Part, Posted, conclude, plan};
use report::report;

use super::bisect::bisect;
use super::worker::{Answer, Poison, Worker, not_committed};
use crate::contract::command::IncomingCommand;
use crate::contract::reply::ReplyBody;
use crate::failpoint;
use crate::ports::StoreError;
use crate::ports::mail::{Mail, MailError, Mailer};
use crate::ports::notification::NotificationStore;
use crate::ports::work::RecordKey;
use crate::saga::effect::IdempotencyKey;
use crate::saga::id::{QueueName, Timestamp};

const SENT: &str = "notification.sent";
const RETRYABLE: &str = "notification.retryable";

/// Writes and sends mails, each at least once, a repeat under the same Message-ID.
pub struct NotificationWorker {
    store: Arc<dyn NotificationStore>,
    mailer: Arc<dyn Mailer>,
    domain: String,
    claims: Claims,
}

impl NotificationWorker {
    /// A worker whose Message-IDs end in `domain`.
    pub fn new(
        store: Arc<dyn NotificationStore>,
        mailer: Arc<dyn Mailer>,
        domain: impl Into<String>,
    ) -> Self {
        let claims = Claims::of(mailer.longest());
        Self { store, mailer, domain: domain.into(), claims }
    }

    /// The same worker, where no other uses its store from `since` on. It need not wait for the
    /// claims of a predecessor to expire.
    #[must_use]
    pub fn alone_since(mut self, since: Timestamp) -> Self {
        self.claims.alone_since = Some(since);
        self
    }

    /// Claims the steps whose mails are to be sent, and answers the other commands.
    pub fn claim(
        &self,
        batch: &[NotificationCommand],
        now: Timestamp,
    ) -> Vec<Result<Part, StoreError>> {
        bisect(batch, &mut |commands| self.commit_claims(commands, now))
    }

    fn commit_claims(
        &self,
        commands: &[NotificationCommand],
        now: Timestamp,
    ) -> Result<Vec<Part>, StoreError> {
        let keys = commands.iter().map(|command| RecordKey::from(&command.key)).collect();
        let mut parts = Vec::new();
        self.store.transact(&keys, &mut |records| {
            let (change, planned) = plan(records, commands, &self.claims, now);
            parts = planned;
            change
        })?;
        Ok(parts)
    }

    /// Sends the mails that were claimed.
    pub fn post<'a>(
        &self,
        batch: &'a [NotificationCommand],
        parts: &[Result<Part, StoreError>],
    ) -> Vec<Posted<'a>> {
        let claimed = batch.iter().zip(parts).filter(|(_, part)| **part == Ok(Part::Send));
        let commands: Vec<&NotificationCommand> = claimed.map(|(command, _)| command).collect();
        let mut mails: Vec<Mail> = Vec::with_capacity(commands.len());
        let mut unwritten = Vec::with_capacity(commands.len());
        for command in &commands {
            let recipient = command.recipient.as_deref().unwrap_or_default();
            match letter::write(command, recipient, &self.domain) {
                Ok(mail) => {
                    mails.push(mail);
                    unwritten.push(None);
                }
                Err(error) => unwritten.push(Some(MailError::Transient(error.to_string()))),
            }
        }
        failpoint::reach("mailer", "before_send");
        let mut results = self.mailer.send(&mails).into_iter();
        failpoint::reach("mailer", "after_send");
        let posted = commands.into_iter().zip(unwritten).map(|(command, unwritten)| {
            let silent = || Err(MailError::Transient("the mailer said nothing of it".to_owned()));
            let sent = || results.next().unwrap_or_else(silent);
            let result = unwritten.map_or_else(sent, Err);
            Posted { command, result }
        });
        let posted: Vec<Posted<'_>> = posted.collect();
        report(&posted);
        posted
    }

    /// Records what became of the mails that were claimed at `claimed_at`, and answers all commands.
    pub fn record(
        &self,
        batch: &[NotificationCommand],
        parts: Vec<Result<Part, StoreError>>,
        posted: &[Posted<'_>],
        claimed_at: Timestamp,
    ) -> Vec<Result<Answer, Poison>> {
        let recorded = bisect(posted, &mut |posted| self.commit_records(posted, claimed_at));
        let sent: HashMap<&IdempotencyKey, Result<ReplyBody, StoreError>> =
            posted.iter().map(|posted| &posted.command.key).zip(recorded).collect();
        batch.iter().zip(parts).map(|(command, part)| reply(part, sent.get(&command.key))).collect()
    }

    fn commit_records(
        &self,
        posted: &[Posted<'_>],
        claimed_at: Timestamp,
    ) -> Result<Vec<ReplyBody>, StoreError> {
        let keys: BTreeSet<RecordKey> =
            posted.iter().map(|posted| RecordKey::from(&posted.command.key)).collect();
        let mut replies = Vec::new();
        self.store.transact(&keys, &mut |records| {
            let (change, concluded) = conclude(records, posted, &self.claims, claimed_at);
            replies = concluded;
            change
        })?;
        Ok(replies)
    }
}

impl Worker for NotificationWorker {
    type Command = NotificationCommand;

    fn queue(&self) -> QueueName {
        "notification.commands".into()
    }

    fn read(&self, command: IncomingCommand) -> Result<NotificationCommand, Poison> {
        NotificationCommand::read(command)
    }

    fn handle(&self, batch: &[NotificationCommand], now: Timestamp) -> Vec<Result<Answer, Poison>> {
        let parts = self.claim(batch, now);
        let posted = self.post(batch, &parts);
        self.record(batch, parts, &posted, now)
    }
}

fn reply(
    part: Result<Part, StoreError>,
    sent: Option<&Result<ReplyBody, StoreError>>,
) -> Result<Answer, Poison> {
    let body = match (part, sent) {
        (Ok(Part::Answered(body)), _) => Ok(body),
        (Ok(Part::Send | Part::SentAlready), Some(recorded)) => recorded.clone(),
        (Ok(Part::Send | Part::SentAlready), None) => Ok(ReplyBody::Retryable),
        (Ok(Part::Refused), _) => return Err(Poison("its undo came first".to_owned())),
        (Err(error), _) => Err(error),
    };
    match body {
        Ok(ReplyBody::Retryable) => Ok(Answer { name: RETRYABLE, body: ReplyBody::Retryable }),
        Ok(body) => Ok(Answer { name: SENT, body }),
        Err(error) => not_committed(&error, RETRYABLE),
    }
}
