//! One life of a worker's process: the shell around the shipped workers, as the runtime is.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use skald::contract::message::Outgoing;
use skald::ports::Clock;
use skald::ports::StoreError;
use skald::ports::bus::Settlement;
use skald::ports::mail::{MailError, SEND_WITHIN_MS};
use skald::ports::spans::Spans;
use skald::saga::id::Timestamp;
use skald::workers::notification::command::NotificationCommand;
use skald::workers::notification::plan::{Claims, Part, Posted};
use skald::workers::runtime::batch::{Batch, next_batch, work};
use skald::workers::runtime::replies::{Next, next};

use super::broker::{Connection, Held, INVENTORY, NOTIFICATION, Parcel, Publisher};
use super::desk::Luck;
use super::env::Env;
use super::hands::{Rejected, Worked, at_post, deliveries, in_warehouse};
use super::shared::Shared;
use crate::faults::Fault;
use crate::promises;

/// A clock that stands still for a call.
struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trade {
    Inventory,
    Notification,
}

impl Trade {
    pub fn queue(self) -> usize {
        match self {
            Self::Inventory => INVENTORY,
            Self::Notification => NOTIFICATION,
        }
    }
}

/// One life of a worker.
#[derive(Clone)]
pub struct Worker {
    pub trade: Trade,
    pub connection: Connection,
    pub ahead: i64,
    pub waiting: VecDeque<(Held, Parcel)>,
    pub stage: Stage,
    pub replies: BTreeMap<u64, Reply>,
    pub paused: Vec<Reply>,
    pub sent_ever: u64,
}

/// How far a batch has got.
#[derive(Clone)]
pub enum Stage {
    Idle,
    /// Mails are claimed.
    Claimed(Mails),
    /// Mails were sent, with these results.
    Posted(Mails, Vec<Result<(), MailError>>),
    /// The replies are to be sent.
    Done(Vec<(Held, Option<Outgoing>)>),
}

/// A batch of notifications.
#[derive(Clone)]
pub struct Mails {
    pub batch: Vec<(Held, Parcel)>,
    pub at: Timestamp,
    pub commands: Vec<NotificationCommand>,
    pub parts: Vec<Result<Part, StoreError>>,
}

/// A reply on its way.
#[derive(Clone)]
pub struct Reply {
    pub command: Held,
    pub outgoing: Outgoing,
    pub unroutable: u32,
}

impl Worker {
    pub fn start(trade: Trade, env: &mut Env) -> Self {
        // Whoever consumes a queue has declared it.
        env.broker.queues[trade.queue()].missing = false;
        Self {
            trade,
            connection: env.broker.connect(),
            ahead: 0,
            waiting: VecDeque::new(),
            stage: Stage::Idle,
            replies: BTreeMap::new(),
            paused: Vec::new(),
            sent_ever: 0,
        }
    }

    fn clock(&self, env: &Env) -> Timestamp {
        Timestamp(env.now.0 + self.ahead)
    }

    pub fn crash(self, env: &mut Env) {
        env.disconnect(self.connection);
        let me = Publisher::Worker { connection: self.connection };
        env.broker.said.retain(|said| said.to != me);
    }

    fn next_batch(&mut self, env: &Env) -> Vec<(Held, Parcel)> {
        let at_hand = self.waiting.len().min(env.rules.batch_size);
        let (waiting, _) = deliveries(self.waiting.iter().take(at_hand));
        let size = next_batch(&mut waiting.into()).len();
        self.waiting.drain(..size).collect()
    }

    /// Does the next batch of reservations: one transaction.
    pub fn work(&mut self, luck: Luck, env: &mut Env) {
        let now = self.clock(env);
        let batch = self.next_batch(env);
        let (commands, rejected) = deliveries(&batch);
        count(luck, env, Fault::WorkFailed, Fault::WorkUnheard);
        let done = in_warehouse(&mut env.warehouse, luck, |worker| {
            work(worker, commands, &At(now), &Spans::default())
        });
        let (replies, poison) = rejected.split(&batch, done);
        self.done((replies, poison), env);
        let checked = promises::warehouse(env);
        env.ensure(checked);
    }

    /// Claims the mails of the next batch.
    pub fn claim(&mut self, luck: Luck, others: &[Option<Shared<Worker>>], env: &mut Env) {
        let now = self.clock(env);
        let batch = self.next_batch(env);
        let (parcels, rejected) = deliveries(&batch);
        count(luck, env, Fault::WorkFailed, Fault::WorkUnheard);
        let spans = Spans::default();
        let (commands, parts) = at_post(&mut env.post, luck, |worker| {
            let read = Batch::read(worker, parcels, now, &spans);
            let parts = worker.claim(&read.commands, now);
            (read.commands, parts)
        });
        let kept = kept(batch, rejected, env);
        let claims = commands.iter().zip(&parts).filter(|(_, part)| **part == Ok(Part::Send));
        for (command, _) in claims.clone() {
            let checked = promises::to_be_mailed(env, &command.key);
            env.ensure(checked);
        }
        if env.faults.of(Fault::WorkerClock) == 0 {
            for (command, _) in claims {
                let elsewhere = others.iter().flatten().any(|other| other.is_at(command, now));
                if elsewhere {
                    env.violated(|| format!("two workers send the mail of {}", command.key));
                }
            }
        }
        self.stage = Stage::Claimed(Mails { batch: kept, at: now, commands, parts });
    }

    /// Whether it has claimed the mail of a command, and the claim holds.
    fn is_at(&self, command: &NotificationCommand, now: Timestamp) -> bool {
        let (Stage::Claimed(mails) | Stage::Posted(mails, _)) = &self.stage else { return false };
        let mut claims = mails.commands.iter().zip(&mails.parts);
        claim_until(mails.at) > now
            && claims.any(|(mine, part)| mine.key == command.key && *part == Ok(Part::Send))
    }

    /// Sends the mails that it claimed.
    pub fn post(&mut self, luck: Luck, env: &mut Env) {
        let Stage::Claimed(mails) = std::mem::replace(&mut self.stage, Stage::Idle) else { return };
        let claims = |part: &Result<Part, StoreError>| *part == Ok(Part::Send);
        if mails.parts.iter().any(claims) {
            count(luck, env, Fault::MailFailed, Fault::MailUnheard);
            if luck == Luck::Never {
                env.faults.count(Fault::MailRefused);
            }
        }
        let results: Vec<_> = at_post(&mut env.post, luck, |worker| {
            worker
                .post(&mails.commands, &mails.parts)
                .into_iter()
                .map(|posted| posted.result)
                .collect()
        });
        let claimed = mails.commands.iter().zip(&mails.parts).filter(|(_, part)| claims(part));
        for (command, _) in claimed {
            let checked = promises::mailed(env, &command.key);
            env.ensure(checked);
            if matches!(luck, Luck::Fine | Luck::Unheard) {
                let until = claim_until(mails.at);
                let checked = promises::mailed_again(env, &command.key, mails.at, until);
                env.ensure(checked);
                let sent = (until, luck == Luck::Fine);
                env.seen.mails.insert(command.key.to_string(), sent);
            }
        }
        self.stage = Stage::Posted(mails, results);
    }

    /// Records what became of the mails.
    pub fn record(&mut self, luck: Luck, env: &mut Env) {
        let Stage::Posted(mails, results) = std::mem::replace(&mut self.stage, Stage::Idle) else {
            return;
        };
        let Mails { batch, at, commands, parts } = mails;
        let (parcels, rejected) = deliveries(&batch);
        count(luck, env, Fault::WorkFailed, Fault::WorkUnheard);
        let spans = Spans::default();
        let done = at_post(&mut env.post, luck, |worker| {
            let read = Batch::read(worker, parcels, at, &spans);
            let claimed = commands.iter().zip(&parts).filter(|(_, part)| **part == Ok(Part::Send));
            let posted: Vec<Posted<'_>> = claimed
                .zip(results)
                .map(|((command, _), result)| Posted { command, result })
                .collect();
            let answers = worker.record(&commands, parts.clone(), &posted, at);
            read.answered(answers, at)
        });
        let worked = rejected.split(&batch, done);
        self.done(worked, env);
    }

    fn done(&mut self, (replies, rejected): Worked, env: &mut Env) {
        for (held, reason) in rejected {
            env.reject(held, &reason);
        }
        self.stage = if replies.is_empty() { Stage::Idle } else { Stage::Done(replies) };
    }

    /// Sends the replies to a batch.
    pub fn reply(&mut self, env: &mut Env) {
        let Stage::Done(done) = std::mem::replace(&mut self.stage, Stage::Idle) else { return };
        for (command, reply) in done {
            match reply {
                Some(outgoing) => self.send(Reply { command, outgoing, unroutable: 0 }, env),
                None => env.acknowledge_command(command),
            }
        }
    }

    fn send(&mut self, reply: Reply, env: &mut Env) {
        self.sent_ever += 1;
        let me = Publisher::Worker { connection: self.connection };
        env.publish(me, self.sent_ever, reply.outgoing.clone());
        self.replies.insert(self.sent_ever, reply);
    }

    /// Sends again what was put off.
    pub fn send_again(&mut self, env: &mut Env) {
        for reply in std::mem::take(&mut self.paused) {
            self.send(reply, env);
        }
    }

    /// What the broker says of a reply.
    pub fn heard(&mut self, tag: u64, settlement: Settlement, env: &mut Env) {
        let Some(mut reply) = self.replies.remove(&tag) else { return };
        match next(settlement, &mut reply.unroutable) {
            Next::Acknowledge => env.acknowledge_command(reply.command),
            Next::SendAgain => self.paused.push(reply),
            Next::GiveBack => env.give_back(reply.command),
        }
    }
}

/// What is left of a batch once its poison is rejected.
fn kept(batch: Vec<(Held, Parcel)>, rejected: Rejected, env: &mut Env) -> Vec<(Held, Parcel)> {
    let (_, poison) = rejected.split(&batch, Vec::new());
    for (held, reason) in &poison {
        env.reject(*held, reason);
    }
    let is_poison = |held: &Held| poison.iter().any(|(poison, _)| poison == held);
    batch.into_iter().filter(|(held, _)| !is_poison(held)).collect()
}

/// Until when a claim made `at` keeps others away.
fn claim_until(at: Timestamp) -> Timestamp {
    Claims::of(Duration::from_millis(SEND_WITHIN_MS)).until(at)
}

fn count(luck: Luck, env: &mut Env, failed: Fault, unheard: Fault) {
    match luck {
        Luck::Fails => env.faults.count(failed),
        Luck::Unheard => env.faults.count(unheard),
        Luck::Fine | Luck::Never => {}
    }
}
