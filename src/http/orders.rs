//! `/v1/orders`: reading and listing orders.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use tracing::{Span, field};

use super::archive;
use super::order_view::OrderView;
use super::page;
use super::params::{Params, path_id};
use super::problem::Problem;
use super::services::Api;
use crate::orders::{Order, OrderId, OrderStatus};
use crate::ports::queries::OrderFilter;

/// `GET /v1/orders/{id}`.
pub async fn get(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = OrderId(path_id(&request)?);
    let order = found(id, archive::order(&api, request.headers(), id).await?)?;
    Ok(HttpResponse::Ok().json(OrderView::of(&order)))
}

/// The order that the path names, as the store has it.
///
/// # Errors
/// When the path names none, or none that exists.
pub async fn find(api: &Api, request: &HttpRequest) -> Result<Order, Problem> {
    let id = OrderId(path_id(request)?);
    found(id, read(api, id).await?)
}

fn found(id: OrderId, order: Option<Order>) -> Result<Order, Problem> {
    order.inspect(note).ok_or_else(|| Problem::not_found(format!("order {id}")))
}

/// Reads an order from the store.
///
/// # Errors
/// When the store does not answer.
pub async fn read(api: &Api, id: OrderId) -> Result<Option<Order>, Problem> {
    api.query(move |queries| queries.order(id)).await
}

/// Notes in the log's span which order it is about.
pub fn note(order: &Order) {
    let span = Span::current();
    span.record("orderId", field::display(order.id));
    span.record("sagaId", field::display(order.saga));
}

/// A page of orders.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrdersPage<'a> {
    orders: Vec<OrderView<'a>>,
    next_cursor: Option<&'a str>,
}

/// `GET /v1/orders?userId=&status=&limit=&cursor=`: newest first.
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut params = Params::of(request.query_string());
    let statuses = OrderStatus::ALL.map(OrderStatus::as_str);
    let filter = OrderFilter {
        user: params.text("userId"),
        status: params.one_of("status", &statuses, OrderStatus::parse),
    };
    let page = params.page::<OrderId>();
    params.finish()?;
    let mut orders =
        api.query(move |queries| queries.orders(&filter, page.after, page.fetch())).await?;
    let next_cursor = page.cut(&mut orders, |order| order.id.to_string());
    let next_cursor = next_cursor.as_deref();
    let orders = orders.iter().map(OrderView::of).collect();
    Ok(page::answer(&request, next_cursor, &OrdersPage { orders, next_cursor }))
}
