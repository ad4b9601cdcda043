//! `POST /v1/orders/{id}/cancel`: an order that its customer does not want any more.

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::ask::{Wish, ask, check_reason, client_key, if_match, refusal};
use super::body::JsonBody;
use super::order_view::{OrderView, Stage};
use super::orders;
use super::problem::{Kind, Problem};
use super::services::Api;
use crate::orders::definition::reason::CANCELLED_BY_CUSTOMER;
use crate::orders::{Order, OrderStatus};
use crate::ports::door::Request;
use crate::saga::event::Reason;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    #[serde(default)]
    reason: Option<String>,
}

/// 200 once the cancellation came in time, though what was done may still be undone; 409 if it came
/// too late; 202 if that is not known yet. Cancelling what is cancelled changes nothing.
pub async fn cancel(
    api: web::Data<Api>,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, Problem> {
    let client_key = client_key(request.headers(), "cancel")?;
    let if_version = if_match(request.headers())?;
    let reason = reason(&body)?;
    let order = orders::find(&api, &request).await?;
    match order.status {
        OrderStatus::Cancelled => return Ok(show(&order, Stage::Done)),
        OrderStatus::Confirmed => {
            return Err(Problem::new(
                Kind::Conflict,
                "the order is CONFIRMED; it can't be cancelled any more",
            ));
        }
        OrderStatus::Pending => {}
    }
    let request = Request::Cancel { by: "customer".to_owned(), reason };
    let asked = ask(&api, Wish { saga: order.saga, request, client_key, if_version }).await?;
    let Some(outcome) = asked.outcome else { return Ok(show(&order, Stage::Requested)) };
    // The outcome is known; where the order can't be read again, the older view of it will do.
    let order = orders::read(&api, order.id).await.ok().flatten().unwrap_or(order);
    match refusal(&outcome) {
        Some(_) if order.status == OrderStatus::Cancelled => Ok(show(&order, Stage::Done)),
        Some(problem) => Err(problem),
        None => Ok(show(&order, Stage::of(&order))),
    }
}

/// Reads `{"reason": "…"}`, or nothing.
///
/// # Errors
/// When the body is anything else, or the reason says nothing.
pub fn reason(body: &JsonBody) -> Result<Reason, Problem> {
    let Cancel { reason: text } = if body.is_empty() { Cancel::default() } else { body.parse()? };
    if let Some(text) = &text {
        check_reason(text).map_err(|fault| Problem::invalid_fields([fault]))?;
    }
    Ok(Reason { code: CANCELLED_BY_CUSTOMER.into(), text: text.unwrap_or_default() })
}

fn show(order: &Order, stage: Stage) -> HttpResponse {
    let mut response = match stage {
        Stage::Requested => HttpResponse::Accepted(),
        Stage::InProgress | Stage::Done => HttpResponse::Ok(),
    };
    response
        .insert_header((LOCATION, format!("/v1/orders/{}", order.id)))
        .json(OrderView::of(order).with_cancellation(stage))
}
