//! A small world around one saga: workers, a bad network, crashes.
//!
//! Messages wait in a bag from which any of them may be taken, twice or never. The owner of the
//! saga crashes between any two of its steps: what was decided but not committed is forgotten, what
//! was committed but not sent stays unsent until somebody sends it again.

use std::collections::BTreeMap;

use skald::saga::check::Checked;
use skald::saga::decide::{begin, decide};
use skald::saga::definition::Runs;
use skald::saga::effect::{self, Command};
use skald::saga::event::{Birth, Event, Reason, Recorded, Setback};
use skald::saga::evolve::replay;
use skald::saga::id::{QueueName, Sequence, StepName, Timestamp};
use skald::saga::input::{Answer, Decision, Ignored, Input, Moved, Reached, Rejection};
use skald::saga::json::Json;
use skald::saga::state::Saga;

use crate::invariants::{Broken, check_history, check_move, ensure};
use crate::scenario::{SAGA, START};
use crate::simulated_worker::{Verdict, Worker};

/// What happens next in the world. The numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
pub enum Happening {
    /// A message arrives: a command at its worker, or an answer at the saga.
    Arrives(u8, Verdict, Fate),
    /// A message is doubled.
    IsDoubled(u8),
    /// A message is lost.
    IsLost(u8),
    /// A command reaches no queue.
    IsReturned(u8),
    /// Time passes.
    Passes(u64),
    /// The saga looks at the clock.
    IsDue(Fate),
    /// Other sagas were answered by the queue of this step.
    QueueMoves(u8),
    /// Somebody cancels.
    Cancels(Fate),
    /// An operator retries.
    Retries(Fate),
    /// What is open is sent again, as a new owner does.
    IsReasked,
    /// Any command ever sent is sent again, as from an old mark.
    IsResent(u8),
}

/// What becomes of the owner while it takes an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Lives,
    CrashesBeforeCommit,
    CrashesAfterCommit,
}

/// A message under way.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Command(Sequence),
    Reply { to: Sequence, answer: Answer, from: QueueName, asked_at: Timestamp },
}

pub struct World {
    pub history: Vec<Recorded>,
    pub(crate) definition: Checked,
    pub(crate) saga: Saga,
    pub(crate) now: Timestamp,
    pub(crate) bag: Vec<Message>,
    pub(crate) workers: BTreeMap<StepName, Worker>,
    reached: Reached,
}

impl World {
    /// A world in which the saga was just born, and its first commands are under way.
    pub fn new(definition: Checked) -> Result<Self, Broken> {
        let birth = Birth {
            definition: definition.reference(),
            key: "random".into(),
            input: Json::null(),
            deadline: START.plus_millis(definition.deadline_ms),
            traceparent: None,
        };
        let moved = begin(&definition, SAGA, birth, START).map_err(|error| error.to_string())?;
        let born = replay(SAGA, &moved.events[..1]).map_err(|error| error.to_string())?;
        if moved.events.len() > 1 {
            check_move(&definition, born.state.clone(), &moved.events[1..])?;
        }
        let at_workers = definition.all_steps().filter(|step| step.runs == Runs::AtWorker);
        let mut world = Self {
            history: vec![moved.events[0].clone()],
            workers: at_workers.map(|s| (s.name.clone(), Worker::new(s.worker))).collect(),
            definition,
            saga: born,
            now: START,
            bag: Vec::new(),
            reached: Reached::new(),
        };
        let first = Moved { events: moved.events[1..].to_vec(), saga: moved.saga };
        world.commit(first, Fate::Lives)?;
        Ok(world)
    }

    /// Lets one thing happen, and checks everything.
    pub fn happen(&mut self, happening: Happening) -> Result<(), Broken> {
        match happening {
            Happening::Arrives(n, verdict, fate) => self.arrives(n, verdict, fate)?,
            Happening::IsDoubled(n) => {
                if let Some(position) = self.position(n) {
                    self.bag.push(self.bag[position].clone());
                }
            }
            Happening::IsLost(n) => {
                self.position(n).map(|position| self.bag.swap_remove(position));
            }
            Happening::IsReturned(n) => self.is_returned(n)?,
            Happening::Passes(millis) => self.now = self.now.plus_millis(millis),
            Happening::IsDue(fate) => {
                self.input(&Input::Due { reached: self.reached.clone() }, fate)?;
            }
            Happening::QueueMoves(n) => self.queue_moves(n),
            Happening::Cancels(fate) => {
                let reason = Reason::of("UNWANTED");
                self.input(&Input::Cancel { by: "customer".into(), reason }, fate)?;
            }
            Happening::Retries(fate) => {
                self.input(&Input::Retry { by: "ops".into(), note: String::new() }, fate)?;
            }
            Happening::IsReasked => self.is_reasked(),
            Happening::IsResent(n) => self.is_resent(n),
        }
        self.check_workers()
    }

    fn arrives(&mut self, n: u8, verdict: Verdict, fate: Fate) -> Result<(), Broken> {
        let Some(position) = self.position(n) else { return Ok(()) };
        match self.bag.swap_remove(position) {
            Message::Command(sequence) => self.works(sequence, verdict),
            Message::Reply { to, answer, from, asked_at } => {
                let newest = self.reached.entry(from.clone()).or_insert(asked_at);
                *newest = (*newest).max(asked_at);
                if fate != Fate::Lives {
                    // It was not acknowledged, so it comes again.
                    let answer = answer.clone();
                    self.bag.push(Message::Reply { to, answer, from, asked_at });
                }
                self.input(&Input::Answer { to, answer }, fate)?;
                Ok(())
            }
        }
    }

    /// A worker takes a command and answers.
    fn works(&mut self, sequence: Sequence, verdict: Verdict) -> Result<(), Broken> {
        let command = self.command(sequence).ok_or("a message that is no command")?;
        let (key, from, asked_at) = (command.key.clone(), command.name.queue(), command.asked_at);
        let worker = self.workers.get_mut(&key.step).ok_or("a command for a local step")?;
        let answer = worker.take(key.direction, key.generation, verdict);
        self.bag.push(Message::Reply { to: sequence, answer, from, asked_at });
        Ok(())
    }

    fn is_returned(&mut self, n: u8) -> Result<(), Broken> {
        let Some(position) = self.position(n) else { return Ok(()) };
        if let Message::Command(to) = self.bag[position] {
            self.bag.swap_remove(position);
            let answer = Answer::Setback(Setback::Unroutable);
            self.input(&Input::Answer { to, answer }, Fate::Lives)?;
        }
        Ok(())
    }

    fn queue_moves(&mut self, n: u8) {
        let queues: Vec<QueueName> = self
            .definition
            .all_steps()
            .flat_map(|step| [Some(&step.command), step.undo.as_ref()])
            .flatten()
            .map(|command| command.queue())
            .collect();
        self.reached.insert(queues[usize::from(n) % queues.len()].clone(), self.now);
    }

    fn is_reasked(&mut self) {
        let open: Vec<Sequence> =
            effect::open_commands(&self.definition, &self.saga).map(|c| c.sequence).collect();
        self.bag.extend(open.into_iter().map(Message::Command));
    }

    fn is_resent(&mut self, n: u8) {
        let sent = self.ever_sent();
        if !sent.is_empty() {
            self.bag.push(Message::Command(sent[usize::from(n) % sent.len()]));
        }
    }

    pub(crate) fn ever_sent(&self) -> Vec<Sequence> {
        let asked = |r: &&Recorded| matches!(r.event, Event::StepAsked { .. });
        self.history.iter().filter(asked).map(|recorded| recorded.sequence).collect()
    }

    fn position(&self, n: u8) -> Option<usize> {
        (!self.bag.is_empty()).then(|| usize::from(n) % self.bag.len())
    }

    fn command(&self, sequence: Sequence) -> Option<Command<'_>> {
        let recorded = self.history.get(usize::try_from(sequence).ok()?.checked_sub(1)?)?;
        effect::command(&self.definition, &self.saga, recorded)
    }

    /// Gives the saga an input, and commits what it makes of it unless its owner crashes first.
    fn input(&mut self, input: &Input, fate: Fate) -> Result<Option<Ignored>, Broken> {
        let ignored = match decide(&self.definition, &self.saga, input, self.now) {
            Ok(Decision::Moved(moved)) => {
                let after = check_move(&self.definition, self.saga.state.clone(), &moved.events)?;
                ensure(after == moved.saga.state, || "the events make another state".into())?;
                if fate != Fate::CrashesBeforeCommit {
                    self.commit(moved, fate)?;
                }
                None
            }
            Ok(Decision::Ignored(ignored)) => Some(ignored),
            Err(rejection) => {
                check_rejection(input, &rejection)?;
                None
            }
        };
        if fate != Fate::Lives {
            self.saga = replay(SAGA, &self.history).map_err(|error| error.to_string())?;
            self.reached.clear();
        }
        Ok(ignored)
    }

    fn commit(&mut self, moved: Moved, fate: Fate) -> Result<(), Broken> {
        let first_new = self.history.len();
        self.history.extend(moved.events);
        self.saga = moved.saga;
        check_history(SAGA, &self.history, &self.saga)?;
        if fate == Fate::Lives {
            let new: Vec<Sequence> = self.history[first_new..]
                .iter()
                .filter_map(|recorded| effect::command(&self.definition, &self.saga, recorded))
                .map(|command| command.sequence)
                .collect();
            self.bag.extend(new.into_iter().map(Message::Command));
        }
        Ok(())
    }
}

/// Only people are ever told no.
pub fn check_rejection(input: &Input, rejection: &Rejection) -> Result<(), Broken> {
    let allowed = match input {
        Input::Cancel { .. } => {
            matches!(rejection, Rejection::PastPivot | Rejection::AlreadyRollingBack(_))
        }
        Input::Retry { .. } => matches!(rejection, Rejection::NotStuck(_)),
        Input::Answer { .. } | Input::Due { .. } => false,
    };
    ensure(allowed, || format!("{input:?} was rejected: {rejection}"))
}
