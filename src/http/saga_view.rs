//! Sagas as clients see them.

use serde::Serialize;

use super::names;
use super::step_view::{StepView, steps};
use super::time::Moment;
use crate::ports::queries::SagaSummary;
use crate::saga::cause::Cause;
use crate::saga::check::Checked;
use crate::saga::event::Reason;
use crate::saga::id::{DefinitionName, DefinitionRef, SagaId, Sequence, StepName};
use crate::saga::state::{Attention, Deadline, Saga, SagaStatus};

/// A line of a list of sagas.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SummaryView<'a> {
    saga_id: SagaId,
    definition: DefinitionView<'a>,
    key: &'a str,
    status: SagaStatus,
    version: Sequence,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Moment>,
    created_at: Moment,
    updated_at: Moment,
}

#[derive(Debug, Serialize)]
struct DefinitionView<'a> {
    name: &'a DefinitionName,
    version: u32,
}

impl<'a> SummaryView<'a> {
    /// Shows `summary`.
    pub fn of(summary: &'a SagaSummary) -> Self {
        Self {
            saga_id: summary.id,
            definition: DefinitionView::of(&summary.definition),
            key: &summary.key,
            status: summary.status,
            version: summary.version,
            due_at: summary.due_at.map(Moment),
            created_at: Moment(summary.created_at),
            updated_at: Moment(summary.updated_at),
        }
    }
}

impl<'a> DefinitionView<'a> {
    fn of(reference: &'a DefinitionRef) -> Self {
        Self { name: &reference.name, version: reference.version }
    }
}

/// A saga in full.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SagaView<'a> {
    #[serde(flatten)]
    summary: SummaryView<'a>,
    phase: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a Reason>,
    deadline: Moment,
    deadline_passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    attention: Vec<AttentionView<'a>>,
    steps: Vec<StepView<'a>>,
}

/// Something that an operator should look at.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AttentionView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a StepName>,
    since: Moment,
    #[serde(flatten)]
    cause: Cause<'a>,
}

impl<'a> SagaView<'a> {
    /// Shows `saga` with all steps of its `definition`, if that is known.
    pub fn of(saga: &'a Saga, summary: &'a SagaSummary, definition: Option<&'a Checked>) -> Self {
        let attention = saga.state.attention.iter().map(|Attention { step, cause, since }| {
            AttentionView { step: step.as_ref(), since: Moment(*since), cause: cause.into() }
        });
        Self {
            summary: SummaryView::of(summary),
            phase: names::phase(&saga.state.phase),
            reason: saga.state.rollback_reason(),
            deadline: Moment(saga.birth.deadline),
            deadline_passed: saga.state.deadline == Deadline::Passed,
            traceparent: saga.birth.traceparent.as_deref(),
            attention: attention.collect(),
            steps: steps(definition, &saga.state),
        }
    }
}
