//! `/v1/inventory/products`: the stock.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::body::JsonBody;
use super::page::{self, PageOf};
use super::params::Params;
use super::problem::{Fault, Kind, Place, Problem};
use super::services::Api;
use crate::orders::ProductId;
use crate::orders::submission::{MAX_ID, is_id};
use crate::ports::StoreError;
use crate::ports::inventory::{InventoryStore, Product, StockSet};

/// More pieces than anybody has; sums over many products still fit 64 bits.
const MAX_ON_HAND: i64 = 1_000_000_000_000;

/// A product as clients see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProductView<'a> {
    product_id: &'a str,
    on_hand: i64,
    reserved: i64,
    available: i64,
}

impl<'a> From<&'a Product> for ProductView<'a> {
    fn from(product: &'a Product) -> Self {
        Self {
            product_id: &product.id,
            on_hand: product.on_hand,
            reserved: product.reserved,
            available: product.on_hand - product.reserved,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProductsPage<'a> {
    products: Vec<ProductView<'a>>,
    next_cursor: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stock<'a> {
    #[serde(borrow)]
    on_hand: &'a RawValue,
}

/// `PUT /v1/inventory/products/{productId}` `{"onHand":N}`: makes the product if it is new; 409
/// below what is reserved.
pub async fn put(
    api: web::Data<Api>,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, Problem> {
    let id = product_id(&id)?;
    let on_hand = on_hand(&body)?;
    match call(&api, move |store| store.set_on_hand(&id, on_hand)).await? {
        StockSet::Set(product) => Ok(HttpResponse::Ok().json(ProductView::from(&product))),
        StockSet::BelowReserved(product) => Err(Problem::new(
            Kind::Conflict,
            format!("{} pieces are reserved; onHand can't be less than that", product.reserved),
        )),
    }
}

/// Reads `{"onHand":N}`.
///
/// # Errors
/// When the body is anything else, or N more than anybody has.
pub fn on_hand(body: &JsonBody) -> Result<i64, Problem> {
    let stock: Stock<'_> = body.parse()?;
    let on_hand = stock.on_hand.get().parse().ok();
    on_hand.filter(|on_hand| (0..=MAX_ON_HAND).contains(on_hand)).ok_or_else(|| {
        let wanted = format!("must be a whole number from 0 to {MAX_ON_HAND}");
        Problem::invalid_fields([Fault::at(Place::Pointer("/onHand".into()), wanted)])
    })
}

/// `GET /v1/inventory/products/{productId}`.
pub async fn get(api: web::Data<Api>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let id = product_id(&id)?;
    let product = call(&api, move |store| store.product(&id)).await?;
    let product = product.ok_or_else(|| Problem::not_found("product with this id"))?;
    Ok(HttpResponse::Ok().json(ProductView::from(&product)))
}

/// `GET /v1/inventory/products?limit=&cursor=`: by id.
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut params = Params::of(request.query_string());
    let page: PageOf<ProductId> = params.page();
    params.finish()?;
    if page.after.as_ref().is_some_and(|after| product_id(after.as_str()).is_err()) {
        return Err(Problem::parameter("cursor", "must be the nextCursor of the page before"));
    }
    let (after, fetch) = (page.after.clone(), page.fetch());
    let mut products = call(&api, move |store| store.products(after.as_ref(), fetch)).await?;
    let next_cursor = page.cut(&mut products, |product| product.id.to_string());
    let next_cursor = next_cursor.as_deref();
    let products = products.iter().map(ProductView::from).collect();
    Ok(page::answer(&request, next_cursor, &ProductsPage { products, next_cursor }))
}

fn product_id(text: &str) -> Result<ProductId, Problem> {
    // The router puts this character in the place of what is not UTF-8.
    if is_id(text) && !text.contains(char::REPLACEMENT_CHARACTER) {
        return Ok(ProductId::from(text));
    }
    let wanted = format!("must be 1 to {MAX_ID} bytes of UTF-8 without control characters");
    Err(Problem::parameter("productId", wanted))
}

async fn call<T: Send + 'static>(
    api: &Api,
    act: impl FnOnce(&dyn InventoryStore) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let store = api.services.inventory.as_ref().map(Arc::clone);
    let store = store.ok_or_else(|| Problem::not_found("inventory in this process"))?;
    api.blocking.run(move || act(store.as_ref())).await
}
