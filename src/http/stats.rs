//! `GET /v1/stats`: how many there are of what, and how busy everybody is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use tokio::time::timeout;

use super::problem::{Kind, Problem};
use super::services::Api;
use super::time::Moment;
use crate::orders::OrderStatus;
use crate::ports::ledger::{Seq, Shard};
use crate::ports::orchestrator::Activity;
use crate::ports::queries::{Counts, ShardLag};
use crate::saga::state::SagaStatus;

/// The orchestrator only counts what it has in memory.
const ACTIVITY_WITHIN: Duration = Duration::from_secs(1);

/// The statistics.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    sagas: BTreeMap<&'static str, u64>,
    orders: BTreeMap<&'static str, u64>,
    cancelled_by_reason: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notifications: Option<BTreeMap<String, u64>>,
    awake: u64,
    outstanding: BTreeMap<String, u64>,
    commits: u64,
    transitions: u64,
    transitions_per_commit: f64,
    ignored: BTreeMap<&'static str, u64>,
    lag: Lag,
    started_at: Moment,
    uptime_seconds: u64,
}

/// History rows whose messages are not known to be confirmed.
#[derive(Serialize)]
struct Lag {
    commands: Seq,
    events: Seq,
    shards: Vec<ShardLagView>,
}

#[derive(Serialize)]
struct ShardLagView {
    shard: Shard,
    commands: Seq,
    events: Seq,
}

/// Answers with the statistics.
pub async fn get(api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    let (counts, lags) = api.query(|queries| Ok((queries.counts()?, queries.lags()?))).await?;
    let notifications = match api.services.notification.as_ref().map(Arc::clone) {
        Some(store) => Some(api.blocking.run(move || store.counts()).await?),
        None => None,
    };
    let activity = activity(&api).await.ok_or_else(|| {
        Problem::new(Kind::Overloaded, "the orchestrator did not answer in time")
            .with_retry_after(1)
    })?;
    Ok(HttpResponse::Ok().json(Stats {
        sagas: sagas_by_status(&counts).into_iter().map(|(s, n)| (s.as_str(), n)).collect(),
        orders: orders_by_status(&counts),
        cancelled_by_reason: counts.cancelled_by_reason.into_iter().collect(),
        notifications: notifications.map(|counts| counts.into_iter().collect()),
        awake: activity.awake,
        transitions_per_commit: transitions_per_commit(&activity),
        outstanding: activity.outstanding.into_iter().collect(),
        commits: activity.commits,
        transitions: activity.transitions,
        ignored: activity.ignored.into_iter().collect(),
        lag: lag(&lags),
        started_at: Moment(api.started_at),
        uptime_seconds: api.now().millis_since(api.started_at) / 1000,
    }))
}

/// What the orchestrator is busy with; none if it does not say so in time.
pub async fn activity(api: &Api) -> Option<Activity> {
    timeout(ACTIVITY_WITHIN, api.services.orchestrator.activity()).await.ok()
}

/// How many sagas have which status, in the order in which they are shown.
pub fn sagas_by_status(counts: &Counts) -> Vec<(SagaStatus, u64)> {
    let count = |wanted| counts.sagas.iter().find(|(status, _)| *status == wanted);
    SagaStatus::ALL.into_iter().map(|s| (s, count(s).map_or(0, |(_, count)| *count))).collect()
}

fn orders_by_status(counts: &Counts) -> BTreeMap<&'static str, u64> {
    let count = |wanted| counts.orders.iter().find(|(status, _)| *status == wanted);
    OrderStatus::ALL
        .into_iter()
        .map(|status| (status.as_str(), count(status).map_or(0, |(_, count)| *count)))
        .collect()
}

/// How many transitions shared a commit, on average; 0 before the first one.
pub fn transitions_per_commit(activity: &Activity) -> f64 {
    let average = activity.transitions as f64 / activity.commits.max(1) as f64;
    (average * 100.0).round() / 100.0
}

fn lag(lags: &[ShardLag]) -> Lag {
    Lag {
        commands: lags.iter().map(|lag| lag.commands).sum(),
        events: lags.iter().map(|lag| lag.events).sum(),
        shards: lags
            .iter()
            .map(|ShardLag { shard, commands, events }| ShardLagView {
                shard: *shard,
                commands: *commands,
                events: *events,
            })
            .collect(),
    }
}
