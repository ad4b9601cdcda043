//! `POST /v1/orders`: submitting orders.

use std::time::Duration;

use actix_web::http::header::{CONTENT_LOCATION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use super::body::JsonBody;
use super::idempotency::{Key, fingerprint};
use super::order_view::{AcceptedView, OrderView};
use super::orders;
use super::prefer::Wait;
use super::problem::{Kind, Problem};
use super::services::Api;
use super::trace::Trace;
use crate::orders::outcome::Outcome;
use crate::orders::submission::Submission;
use crate::orders::{Order, OrderId, OrderStatus};
use crate::ports::ledger::{Claim, StoredAnswer};
use crate::ports::orchestrator::{NewOrder, SubmitError, Submitted, Watch};
use crate::saga::id::SagaId;

/// An order is durable after one commit. One that takes this long hangs with its store.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(15);

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const REPLAYED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));

/// 202 once the order is durable; with `Prefer: wait=N` 200 if its outcome comes within N seconds.
/// A repeat under the same `Idempotency-Key` gets the answer that the first one got.
pub async fn submit(
    api: web::Data<Api>,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, Problem> {
    let key = Key::of(request.headers(), "orders")?;
    let wait = Wait::of(request.headers());
    let order = read_order(&api, &body)?;
    drop(body);
    let flight = key.as_ref().map(|key| api.in_flight.enter(key)).transpose()?;

    let id = order.id;
    let answer = serde_json::to_string(&AcceptedView::of(&order)).map_err(unwritable)?;
    let claim = key.map(|key| claim(key, &order, answer.clone()));
    let mine = claim.as_ref().map(|claim| claim.answer.fingerprint.clone());
    let watch = if wait.is_some() { Watch::Outcome } else { Watch::Unwatched };
    let traceparent = request.extensions().get().map(|trace: &Trace| trace.as_str().to_owned());
    let new = NewOrder { order, claim, traceparent, watch };

    let submitted = timeout(ACCEPTED_WITHIN, api.services.orchestrator.submit(new)).await;
    drop(flight);
    match submitted.unwrap_or(Err(SubmitError::Unknown)).map_err(not_accepted)? {
        Submitted::Accepted(outcome) => {
            let settled = settled(&api, id, wait, outcome).await;
            respond(id, answer, wait, settled.as_ref())
        }
        Submitted::Replayed(stored) if mine.as_ref() == Some(&stored.fingerprint) => {
            replay(&api, stored, wait).await
        }
        Submitted::Replayed(_) => Err(Problem::new(
            Kind::KeyReused,
            "this Idempotency-Key was used for another order; nothing was changed",
        )),
    }
}

fn read_order(api: &Api, body: &JsonBody) -> Result<Order, Problem> {
    let submission: Submission<'_> = body.parse()?;
    let order = submission
        .into_order(OrderId(Uuid::now_v7()), SagaId(Uuid::now_v7()), api.now())
        .map_err(Problem::invalid_fields)?;
    orders::note(&order);
    Ok(order)
}

fn claim(key: Key, order: &Order, body: String) -> Claim {
    let answer = StoredAnswer { fingerprint: fingerprint(order), order: order.id, body };
    Claim { key: key.into_string(), answer }
}

/// The order once its outcome is known; none if nobody waits for it, it takes too long, the server
/// stops, or it can't be told.
async fn settled(
    api: &Api,
    id: OrderId,
    wait: Option<Wait>,
    outcome: Option<oneshot::Receiver<Outcome>>,
) -> Option<Order> {
    api.wait_for(wait?.duration(), outcome?).await?.ok()?;
    read_settled(api, id).await
}

/// The order if it is settled. It is accepted in any case: a read that fails must not look as if it
/// were not.
async fn read_settled(api: &Api, id: OrderId) -> Option<Order> {
    let order = orders::read(api, id).await.ok().flatten();
    order.filter(|order| order.status != OrderStatus::Pending)
}

async fn replay(
    api: &Api,
    stored: StoredAnswer,
    wait: Option<Wait>,
) -> Result<HttpResponse, Problem> {
    let settled = match wait {
        Some(_) => read_settled(api, stored.order).await,
        None => None,
    };
    let mut response = respond(stored.order, stored.body, wait, settled.as_ref())?;
    let (name, value) = REPLAYED;
    response.headers_mut().insert(name, value);
    Ok(response)
}

fn respond(
    id: OrderId,
    accepted: String,
    wait: Option<Wait>,
    settled: Option<&Order>,
) -> Result<HttpResponse, Problem> {
    let location = format!("/v1/orders/{id}");
    let mut response = match settled {
        Some(_) => HttpResponse::Ok(),
        None => HttpResponse::Accepted(),
    };
    response.insert_header((CONTENT_TYPE, JSON));
    if let Some(wait) = wait {
        response.insert_header(wait.applied());
    }
    let body = match settled {
        Some(order) => {
            response.insert_header((CONTENT_LOCATION, location.as_str()));
            serde_json::to_string(&OrderView::of(order)).map_err(unwritable)?
        }
        None => accepted,
    };
    Ok(response.insert_header((LOCATION, location)).body(body))
}

fn not_accepted(error: SubmitError) -> Problem {
    match &error {
        SubmitError::Busy { retry_after_s, .. } => {
            Problem::new(Kind::Overloaded, error.to_string()).with_retry_after(*retry_after_s)
        }
        SubmitError::Store(_) => {
            Problem::new(Kind::StoreUnavailable, "the order was not stored; try again")
                .with_retry_after(1)
                .with_cause(error)
        }
        SubmitError::Unknown => Problem::new(
            Kind::OutcomeUnknown,
            "the order may have been accepted or not; send it again with the same \
             Idempotency-Key, or without one look for it first at /v1/orders?userId=",
        )
        .with_retry_after(1)
        .with_cause(error),
    }
}

fn unwritable(error: serde_json::Error) -> Problem {
    Problem::new(Kind::Internal, "the order can't be written as JSON").with_cause(error)
}
