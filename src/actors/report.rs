//! What the log and the metrics are told of a saga.

use std::cell::RefCell;
use std::collections::HashMap;

use metrics::{Counter, Histogram, counter, histogram};

use super::steps::{Change, changes};
use crate::contract::trace::trace_id;
use crate::saga::definition::{Definition, Direction};
use crate::saga::id::{DefinitionName, StepName, Timestamp};
use crate::saga::state::{Saga, SagaStatus};

/// The metrics of the steps of one shard's sagas. Their labels are written once and not with each event.
#[derive(Default)]
pub struct StepMeters {
    attempts: RefCell<HashMap<StepLabels, Counter>>,
    setbacks: RefCell<HashMap<StepLabels, Counter>>,
    durations: RefCell<HashMap<StepLabels, Histogram>>,
}

/// Definition, step, direction, and what happened.
type StepLabels = (DefinitionName, StepName, Direction, &'static str);

/// Tells the log and the metrics how a saga gets on. All of it is committed, at `now`.
pub(super) fn report(
    meters: &StepMeters,
    definition: &Definition,
    before: Option<&Saga>,
    saga: &Saga,
    now: Timestamp,
) {
    let status_before = before.map(|saga| saga.state.status());
    let (key, version, status) = (&saga.birth.key, saga.state.version, saga.state.status());
    let trace_id = saga.birth.traceparent.as_deref().and_then(trace_id);
    tracing::debug!(sagaId = %saga.id, key, version, status = status.as_str(), traceId = trace_id, "a saga moved");
    if before.is_none() {
        counter!("skald_sagas_started_total").increment(1);
    }
    if status == SagaStatus::NeedsAttention && status_before != Some(status) {
        let causes: Vec<_> =
            saga.state.attention.iter().map(|attention| &attention.cause).collect();
        tracing::warn!(sagaId = %saga.id, key, traceId = trace_id, ?causes, "a saga needs attention");
        counter!("skald_sagas_needed_attention_total").increment(1);
    }
    changes(before.map(|saga| &saga.state), &saga.state, |step, direction, change| {
        meters.count(definition, step, direction, &change, now);
    });
    if saga.state.phase.is_end() {
        counter!("skald_sagas_ended_total", "outcome" => status.as_str()).increment(1);
        // Its deadline was set when it was accepted.
        let lasted = seconds_between(saga.birth.deadline, now.plus_millis(definition.deadline_ms));
        histogram!("skald_saga_duration_seconds", "outcome" => status.as_str()).record(lasted);
    }
}

impl StepMeters {
    fn count(
        &self,
        definition: &Definition,
        step: &StepName,
        direction: Direction,
        change: &Change,
        now: Timestamp,
    ) {
        let labels = |what| (definition.name.clone(), step.clone(), direction, what);
        match change {
            Change::Asked { again } => {
                let labels = labels(if *again { "again" } else { "first" });
                let mut attempts = self.attempts.borrow_mut();
                attempts.entry(labels).or_insert_with_key(attempts_of).increment(1);
            }
            Change::SetBack(setback) => {
                let mut setbacks = self.setbacks.borrow_mut();
                let setback = setbacks.entry(labels(setback.code()));
                setback.or_insert_with_key(setbacks_of).increment(1);
            }
            Change::Settled { outcome, asked_at } => {
                let Some(asked_at) = *asked_at else { return };
                let mut durations = self.durations.borrow_mut();
                let duration = durations.entry(labels(outcome)).or_insert_with_key(durations_of);
                duration.record(seconds_between(asked_at, now));
            }
        }
    }
}

fn attempts_of((definition, step, direction, attempt): &StepLabels) -> Counter {
    counter!("skald_step_attempts_total", "definition" => definition.to_string(),
        "step" => step.to_string(), "direction" => name(*direction), "attempt" => *attempt)
}

fn setbacks_of((definition, step, direction, setback): &StepLabels) -> Counter {
    counter!("skald_step_setbacks_total", "definition" => definition.to_string(),
        "step" => step.to_string(), "direction" => name(*direction), "setback" => *setback)
}

fn durations_of((definition, step, direction, outcome): &StepLabels) -> Histogram {
    histogram!("skald_step_duration_seconds", "definition" => definition.to_string(),
        "step" => step.to_string(), "direction" => name(*direction), "outcome" => *outcome)
}

fn name(direction: Direction) -> &'static str {
    match direction {
        Direction::Do => "do",
        Direction::Undo => "undo",
    }
}

/// From `earlier` to `later`; 0 if a clock went back.
fn seconds_between(earlier: Timestamp, later: Timestamp) -> f64 {
    later.0.saturating_sub(earlier.0).max(0) as f64 / 1e6
}
