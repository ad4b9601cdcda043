//! `GET /v1/nodes`: who lives, and who owns which shards.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::problem::Problem;
use super::services::Api;
use super::time::Moment;
use crate::ports::leases::{Census, NodeId};
use crate::ports::ledger::Shard;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Nodes {
    nodes: Vec<NodeView>,
    /// Shards that nobody owns just now: their sagas wait.
    unowned: Vec<Shard>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeView {
    node_id: NodeId,
    name: String,
    url: String,
    started_at: Moment,
    shards: Vec<Shard>,
}

/// Answers with the census.
pub async fn list(api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    let leases = Arc::clone(&api.services.leases);
    let Census { nodes, owners } = api.blocking.run(move || leases.census()).await?;
    let owned_by = |wanted: Option<NodeId>| {
        let owned = (0..).zip(&owners).filter(|(_, owner)| **owner == wanted);
        owned.map(|(shard, _)| shard).collect()
    };
    let nodes = nodes.into_iter().map(|node| NodeView {
        node_id: node.id,
        name: node.name,
        url: node.url,
        started_at: Moment(node.started_at),
        shards: owned_by(Some(node.id)),
    });
    Ok(HttpResponse::Ok().json(Nodes { nodes: nodes.collect(), unowned: owned_by(None) }))
}
