//! What is over and can't change any more: orders that are confirmed or cancelled, sagas that have ended.
//! It is read through the cache.
//!
//! The cache is not to be trusted. What it holds is checked, and shown to whoever reads; nothing is
//! decided by it: not whether an order can be cancelled, not what a repeat is answered, not `If-Match`.

use actix_web::http::header::{CACHE_CONTROL, HeaderMap};
use bytes::Bytes;
use metrics::counter;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::problem::Problem;
use super::services::Api;
use crate::orders::submission::{MAX_ITEMS, MAX_PRICE, MAX_QUANTITY};
use crate::orders::{Order, OrderId, OrderStatus};
use crate::ports::queries::SagaSummary;
use crate::saga::id::SagaId;
use crate::saga::state::{Saga, SagaStatus};

/// Something that is over one day.
pub trait Archived: Serialize + DeserializeOwned {
    /// What it is called in keys and metrics.
    const KIND: &'static str;

    /// The format in which it is remembered; raised whenever that changes.
    const FORMAT: u32;

    /// Whether this is the one with this id, is over, and makes sense.
    fn is_over(&self, id: Uuid) -> bool;
}

impl Archived for Order {
    const KIND: &'static str = "order";
    const FORMAT: u32 = 1;

    fn is_over(&self, id: Uuid) -> bool {
        let is_sound = self.items.len() <= MAX_ITEMS
            && self.items.iter().all(|item| {
                (1..=MAX_QUANTITY).contains(&item.quantity) && (0..=MAX_PRICE).contains(&item.price)
            });
        // Within these bounds it can't overflow.
        let total =
            || -> i64 { self.items.iter().map(|item| i64::from(item.quantity) * item.price).sum() };
        let is_settled = match self.status {
            OrderStatus::Pending => false,
            OrderStatus::Confirmed => self.reason.is_none(),
            OrderStatus::Cancelled => self.reason.is_some(),
        };
        self.id == OrderId(id) && is_settled && is_sound && self.total == total()
    }
}

/// A saga with its line in the list.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The saga.
    pub saga: Saga,
    /// Its line.
    pub summary: SagaSummary,
}

impl Archived for Ended {
    const KIND: &'static str = "saga";
    const FORMAT: u32 = 1;

    fn is_over(&self, id: Uuid) -> bool {
        let Self { saga, summary } = self;
        let status = saga.state.status();
        saga.id == SagaId(id)
            && matches!(status, SagaStatus::Completed | SagaStatus::Cancelled)
            && summary.id == saga.id
            && summary.status == status
            && summary.version == saga.state.version
            && summary.definition == saga.birth.definition
            && summary.key == saga.birth.key
            && summary.due_at.is_none()
    }
}

/// Reads an order for whoever only wants to see it.
///
/// # Errors
/// When the store is asked and does not answer.
pub async fn order(api: &Api, headers: &HeaderMap, id: OrderId) -> Result<Option<Order>, Problem> {
    if let Some(order) = recall(api, headers, id.0).await {
        return Ok(Some(order));
    }
    let order = api.query(move |queries| queries.order(id)).await?;
    Ok(order.inspect(|order| remember(api, id.0, order)))
}

/// Reads a saga for whoever only wants to see it.
///
/// # Errors
/// When the store is asked and does not answer.
pub async fn saga(
    api: &Api,
    headers: &HeaderMap,
    id: SagaId,
) -> Result<Option<(Saga, SagaSummary)>, Problem> {
    if let Some(Ended { saga, summary }) = recall(api, headers, id.0).await {
        return Ok(Some((saga, summary)));
    }
    let Some((saga, summary)) = api.query(move |queries| queries.saga(id)).await? else {
        return Ok(None);
    };
    let found = Ended { saga, summary };
    remember(api, id.0, &found);
    Ok(Some((found.saga, found.summary)))
}

/// What is remembered, unless the client insists on the store.
async fn recall<T: Archived>(api: &Api, headers: &HeaderMap, id: Uuid) -> Option<T> {
    let insists = headers.get(CACHE_CONTROL).is_some_and(|told| told == "no-cache");
    if insists {
        return None;
    }
    let found = api.services.cache.get(key::<T>(id)).await;
    let recalled = found.as_ref().and_then(|text| read(text, id));
    let outcome = match (&found, &recalled) {
        (None, _) => "missed",
        (Some(_), None) => "refused",
        (Some(_), Some(_)) => "found",
    };
    counter!("skald_cache_reads_total", "kind" => T::KIND, "outcome" => outcome).increment(1);
    recalled
}

fn remember<T: Archived>(api: &Api, id: Uuid, found: &T) {
    if !found.is_over(id) {
        return;
    }
    // What has no JSON form is read from the store each time.
    if let Ok(text) = serde_json::to_vec(found) {
        api.services.cache.put(key::<T>(id), Bytes::from(text));
    }
}

fn read<T: Archived>(text: &[u8], id: Uuid) -> Option<T> {
    serde_json::from_slice::<T>(text).ok().filter(|found| found.is_over(id))
}

fn key<T: Archived>(id: Uuid) -> String {
    format!("{}:{}:{id}", T::KIND, T::FORMAT)
}
