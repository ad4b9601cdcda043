//! Events as clients see them.

use serde::Serialize;

use super::names;
use super::time::Moment;
use crate::saga::cause::Cause;
use crate::saga::event::{Birth, Doubt, Event, Reason, Recorded};
use crate::saga::id::{Sequence, StepName};
use crate::saga::json::Json;

/// An event with its place in the history.
#[derive(Debug, Serialize)]
pub struct EventView<'a> {
    sequence: Sequence,
    at: Moment,
    r#type: &'static str,
    data: Data<'a>,
}

/// What an event says; each kind of event fills its own members.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a StepName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    setback: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(flatten)]
    cause: Option<Cause<'a>>,
    #[serde(flatten)]
    birth: Option<BirthView<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BirthView<'a> {
    definition: String,
    key: &'a str,
    input: &'a Json,
    deadline: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
}

impl<'a> EventView<'a> {
    /// Shows `recorded`.
    pub fn of(recorded: &'a Recorded) -> Self {
        Self {
            sequence: recorded.sequence,
            at: Moment(recorded.at),
            r#type: names::event(&recorded.event),
            data: data(&recorded.event),
        }
    }
}

fn data(event: &Event) -> Data<'_> {
    let nothing = Data::default();
    match event {
        Event::SagaStarted(birth) => Data { birth: Some(birth_view(birth)), ..nothing },
        Event::StepAsked { step, direction, generation, attempt, until } => Data {
            step: Some(step),
            direction: Some(names::direction(*direction)),
            generation: Some(*generation),
            attempt: Some(*attempt),
            until: Some(Moment(*until)),
            ..nothing
        },
        Event::StepDeferred { step, setback, until } => Data {
            step: Some(step),
            setback: Some(setback.code()),
            until: Some(Moment(*until)),
            ..nothing
        },
        Event::StepSucceeded { step, generation, result } => Data {
            step: Some(step),
            generation: Some(*generation),
            result: Some(result),
            ..nothing
        },
        Event::StepFailed { step, reason } | Event::StepRefused { step, reason } => {
            Data { step: Some(step), reason: Some(reason), ..nothing }
        }
        Event::StepGivenUp { step, doubt } => Data {
            step: Some(step),
            setback: Some(names::doubt(doubt)),
            reason: match doubt {
                Doubt::RefusedLate(reason) => Some(reason),
                Doubt::NoAnswer(_) => None,
            },
            ..nothing
        },
        Event::StepUndone { step, generation } => {
            Data { step: Some(step), generation: Some(*generation), ..nothing }
        }
        Event::RollbackStarted { reason, by } => {
            Data { reason: Some(reason), by: by.as_deref(), ..nothing }
        }
        Event::RolledBack { reason } | Event::SagaCancelled { reason } => {
            Data { reason: Some(reason), ..nothing }
        }
        Event::AttentionRaised { step, cause } => {
            Data { step: step.as_ref(), cause: Some(cause.into()), ..nothing }
        }
        Event::RetryRequested { by, note } => Data { by: Some(by), note: Some(note), ..nothing },
        Event::DeadlinePassed | Event::SagaCompleted => nothing,
    }
}

fn birth_view(birth: &Birth) -> BirthView<'_> {
    BirthView {
        definition: birth.definition.to_string(),
        key: &birth.key,
        input: &birth.input,
        deadline: Moment(birth.deadline),
        traceparent: birth.traceparent.as_deref(),
    }
}
