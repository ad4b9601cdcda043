//! What a definition is checked for before anything runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::definition::{Definition, Runs, Step, StepKind};
use super::id::{DefinitionRef, StepName};

/// More steps than this in one definition is taken for a mistake; it bounds a saga's row.
pub const MAX_STEPS: usize = 256;

/// A definition that passed every check.
///
/// The only way to get one is [`Definition::check`], so whoever holds it need not ask again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked(Definition);

impl std::ops::Deref for Checked {
    type Target = Definition;

    fn deref(&self) -> &Definition {
        &self.0
    }
}

/// All that is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("definition {definition} can't be run: {}", list(.faults))]
pub struct DefinitionError {
    /// Which definition.
    pub definition: DefinitionRef,
    /// Every fault found, in the order of the steps.
    pub faults: Vec<Fault>,
}

/// One thing that is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A name that can't stand in a routing key or a URL.
    #[error("the name \"{0}\" must be 1 to 64 lower-case letters, digits or hyphens")]
    BadName(String),
    /// A command without a service or a verb.
    #[error(
        "step {0}: the command \"{1}\" must read service.verb, in lower-case letters, digits, hyphens or underscores"
    )]
    BadCommand(StepName, String),
    /// A reason code that is not in upper case.
    #[error(
        "step {0}: the reason code \"{1}\" must be 1 to 64 upper-case letters, digits or underscores"
    )]
    BadReason(StepName, String),
    /// Version 0.
    #[error("the version must be at least 1")]
    NoVersion,
    /// Nothing to do.
    #[error("there must be at least one step")]
    NoSteps,
    /// More than [`MAX_STEPS`].
    #[error("there are {0} steps; at most {MAX_STEPS} are allowed")]
    TooManySteps(usize),
    /// Two steps share a name.
    #[error("two steps are named {0}")]
    DuplicateStep(StepName),
    /// `needs` names a step that is not there, or is on the other side of the rollback.
    #[error("step {0} needs {1}, which is not among the steps it runs with")]
    UnknownNeed(StepName, StepName),
    /// The steps wait for each other in a circle.
    #[error("these steps need each other in a circle: {}", list(.0))]
    Cycle(Vec<StepName>),
    /// More than one point of no return.
    #[error("there must be at most one pivot; these are: {}", list(.0))]
    ManyPivots(Vec<StepName>),
    /// A compensatable step that can't be compensated.
    #[error("step {0} is compensatable but names no undo")]
    NoUndo(StepName),
    /// An undo that would never be used.
    #[error("step {0} names an undo but is not compensatable")]
    UselessUndo(StepName),
    /// A compensatable step that could still be running when the saga can no longer be undone.
    #[error("step {0} is compensatable, so the pivot {1} must need it, directly or through others")]
    NotBeforePivot(StepName, StepName),
    /// A retriable step that could run before the point of no return.
    #[error("step {0} is retriable, so it must need the pivot, directly or through others")]
    NotAfterPivot(StepName),
    /// `after_rollback` holds a step that is not retriable.
    #[error("step {0} runs after a rollback, so it must be retriable")]
    AfterRollbackNotRetriable(StepName),
    /// A time-out of 0.
    #[error("step {0}: the time-out must be at least 1 ms")]
    NoTimeout(StepName),
    /// A retry policy that contradicts itself.
    #[error("step {0}: retry {1}")]
    BadRetry(StepName, &'static str),
    /// The saga would be over before its steps can be.
    #[error(
        "the deadline of {deadline_ms} ms must be longer than the longest path of one attempt each, {path_ms} ms"
    )]
    DeadlineTooShort {
        /// The deadline given.
        deadline_ms: u64,
        /// The time-outs along the longest path, summed.
        path_ms: u64,
    },
}

impl Definition {
    /// Checks everything that can be wrong with a definition.
    ///
    /// # Errors
    /// All faults at once, so that its author needs one round only.
    pub fn check(self) -> Result<Checked, DefinitionError> {
        let mut faults = Vec::new();
        self.check_names(&mut faults);
        for step in self.all_steps() {
            check_step(step, &mut faults);
        }
        self.check_pivots(&mut faults);
        self.check_graph(&mut faults);
        if faults.is_empty() {
            Ok(Checked(self))
        } else {
            Err(DefinitionError { definition: self.reference(), faults })
        }
    }

    fn check_names(&self, faults: &mut Vec<Fault>) {
        if self.version == 0 {
            faults.push(Fault::NoVersion);
        }
        if self.steps.is_empty() {
            faults.push(Fault::NoSteps);
        }
        let count = self.all_steps().count();
        if count > MAX_STEPS {
            faults.push(Fault::TooManySteps(count));
        }
        let names = self.all_steps().map(|step| step.name.as_str());
        for name in names.chain([self.name.as_str()]) {
            if !is_name(name) {
                faults.push(Fault::BadName(name.to_owned()));
            }
        }
        let mut seen = BTreeSet::new();
        for step in self.all_steps() {
            if !seen.insert(&step.name) {
                faults.push(Fault::DuplicateStep(step.name.clone()));
            }
        }
    }

    fn check_graph(&self, faults: &mut Vec<Fault>) {
        for steps in [&self.steps, &self.after_rollback] {
            for (step, need) in pairs(steps) {
                if !steps.iter().any(|other| &other.name == need) {
                    faults.push(Fault::UnknownNeed(step.name.clone(), need.clone()));
                }
            }
        }
        for step in &self.after_rollback {
            if step.kind != StepKind::Retriable {
                faults.push(Fault::AfterRollbackNotRetriable(step.name.clone()));
            }
        }
        // Who comes before whom is unclear while a name is missing or stands for two steps.
        let is_unclear =
            |fault: &Fault| matches!(fault, Fault::UnknownNeed(..) | Fault::DuplicateStep(_));
        if faults.iter().any(is_unclear) {
            return;
        }
        match Ancestry::of(&self.steps) {
            Ok(forward) => {
                if !faults.iter().any(|fault| matches!(fault, Fault::ManyPivots(_))) {
                    self.check_kinds(&forward, faults);
                }
                self.check_deadline(&forward, faults);
            }
            Err(circle) => faults.push(Fault::Cycle(circle)),
        }
        if let Err(circle) = Ancestry::of(&self.after_rollback) {
            faults.push(Fault::Cycle(circle));
        }
    }

    fn check_pivots(&self, faults: &mut Vec<Fault>) {
        let pivots: Vec<StepName> = self
            .steps
            .iter()
            .filter(|step| step.kind == StepKind::Pivot)
            .map(|step| step.name.clone())
            .collect();
        if pivots.len() > 1 {
            faults.push(Fault::ManyPivots(pivots));
        }
    }

    fn check_kinds(&self, ancestry: &Ancestry<'_>, faults: &mut Vec<Fault>) {
        let pivot = self.pivot().map(|step| &step.name);
        for step in &self.steps {
            match (step.kind, pivot) {
                (StepKind::Compensatable, Some(pivot))
                    if !ancestry.is_before(&step.name, pivot) =>
                {
                    faults.push(Fault::NotBeforePivot(step.name.clone(), pivot.clone()));
                }
                (StepKind::Retriable, pivot)
                    if !pivot.is_some_and(|pivot| ancestry.is_before(pivot, &step.name)) =>
                {
                    faults.push(Fault::NotAfterPivot(step.name.clone()));
                }
                _ => {}
            }
        }
    }

    fn check_deadline(&self, ancestry: &Ancestry<'_>, faults: &mut Vec<Fault>) {
        let mut ends: BTreeMap<&StepName, u64> = BTreeMap::new();
        for name in &ancestry.order {
            let Some(step) = self.step(name) else { continue };
            let start = step.needs.iter().filter_map(|need| ends.get(need)).max().copied();
            let own = match step.runs {
                Runs::AtWorker => step.timeout_ms,
                Runs::Locally => 0,
            };
            ends.insert(name, start.unwrap_or(0).saturating_add(own));
        }
        let path_ms = ends.into_values().max().unwrap_or(0);
        if self.deadline_ms <= path_ms {
            faults.push(Fault::DeadlineTooShort { deadline_ms: self.deadline_ms, path_ms });
        }
    }
}

fn check_step(step: &Step, faults: &mut Vec<Fault>) {
    for command in step.undo.iter().chain([&step.command]) {
        let well_formed = command
            .as_str()
            .split_once('.')
            .is_some_and(|(service, verb)| is_name(service) && is_name(&verb.replace('_', "-")));
        if !well_formed {
            faults.push(Fault::BadCommand(step.name.clone(), command.to_string()));
        }
    }
    for code in &step.reasons {
        if !is_reason_code(code.as_str()) {
            faults.push(Fault::BadReason(step.name.clone(), code.to_string()));
        }
    }
    match (step.kind, &step.undo) {
        (StepKind::Compensatable, None) => faults.push(Fault::NoUndo(step.name.clone())),
        (StepKind::Pivot | StepKind::Retriable, Some(_)) => {
            faults.push(Fault::UselessUndo(step.name.clone()));
        }
        _ => {}
    }
    if step.timeout_ms == 0 && step.runs == Runs::AtWorker {
        faults.push(Fault::NoTimeout(step.name.clone()));
    }
    let retry = &step.retry;
    let rules = [
        (retry.max_attempts == 0, "maxAttempts must be at least 1"),
        (retry.factor == 0, "factor must be at least 1"),
        (
            retry.initial_ms == 0,
            "initialMs must be at least 1, or a failing step would be asked in a tight loop",
        ),
        (retry.cap_ms < retry.initial_ms, "capMs must not be below initialMs"),
        (retry.jitter_percent > 100, "jitterPercent must be at most 100"),
    ];
    for (broken, rule) in rules {
        if broken {
            faults.push(Fault::BadRetry(step.name.clone(), rule));
        }
    }
}

/// Whether `text` may name a definition, a step or a service.
pub fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Whether `text` has the form of a reason code.
pub fn is_reason_code(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// Who comes before whom in one set of steps.
struct Ancestry<'a> {
    /// The steps so that each comes after all it needs.
    order: Vec<&'a StepName>,
    ancestors: BTreeMap<&'a StepName, BTreeSet<&'a StepName>>,
}

impl<'a> Ancestry<'a> {
    /// Sorts `steps`, or names those that can't be sorted because they need each other.
    fn of(steps: &'a [Step]) -> Result<Self, Vec<StepName>> {
        let mut order: Vec<&StepName> = Vec::with_capacity(steps.len());
        let mut ancestors: BTreeMap<&StepName, BTreeSet<&StepName>> = BTreeMap::new();
        let mut left: Vec<&Step> = steps.iter().collect();
        while !left.is_empty() {
            let (ready, waiting): (Vec<_>, Vec<_>) = left
                .into_iter()
                .partition(|step| step.needs.iter().all(|need| ancestors.contains_key(need)));
            if ready.is_empty() {
                return Err(waiting.into_iter().map(|step| step.name.clone()).collect());
            }
            for step in ready {
                let mut before: BTreeSet<&StepName> = step.needs.iter().collect();
                for need in &step.needs {
                    before.extend(&ancestors[need]);
                }
                ancestors.insert(&step.name, before);
                order.push(&step.name);
            }
            left = waiting;
        }
        Ok(Self { order, ancestors })
    }

    fn is_before(&self, earlier: &StepName, later: &StepName) -> bool {
        self.ancestors.get(later).is_some_and(|before| before.contains(earlier))
    }
}

fn pairs(steps: &[Step]) -> impl Iterator<Item = (&Step, &StepName)> {
    steps.iter().flat_map(|step| step.needs.iter().map(move |need| (step, need)))
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
