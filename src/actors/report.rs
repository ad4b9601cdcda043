//! What the log and the metrics are told of a saga.

use crate::contract::envelope::trace_id;
use crate::saga::state::{Saga, SagaStatus};

/// Tells the log and the metrics how a saga gets on.
pub(super) fn report(before: Option<&Saga>, saga: &Saga) {
    let before = before.map(|saga| saga.state.status());
    let (key, version, status) = (&saga.birth.key, saga.state.version, saga.state.status());
    let trace_id = saga.birth.traceparent.as_deref().and_then(trace_id);
    tracing::debug!(sagaId = %saga.id, key, version, status = status.as_str(), traceId = trace_id, "a saga moved");
    if before.is_none() {
        metrics::counter!("skald_sagas_started_total").increment(1);
    }
    if status == SagaStatus::NeedsAttention && before != Some(status) {
        let causes: Vec<_> =
            saga.state.attention.iter().map(|attention| &attention.cause).collect();
        tracing::warn!(sagaId = %saga.id, key, traceId = trace_id, ?causes, "a saga needs attention");
        metrics::counter!("skald_sagas_needed_attention_total").increment(1);
    }
    if saga.state.phase.is_end() {
        metrics::counter!("skald_sagas_ended_total", "outcome" => status.as_str()).increment(1);
    }
}
