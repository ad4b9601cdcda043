//! The REST API and the dashboard.
//!
//! ```text
//!  request ─▶ edge (guard, log, headers) ─▶ a handler ─▶ ports
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `edge`, `guard` | what every request passes; which hosts and origins are let in |
//! | `problem`, `problem_kind` | errors, RFC 9457 |
//! | `body`, `params`, `page`, `prefer`, `idempotency`, `trace` | reading requests |
//! | `submit`, `orders`, `cancel`, `sagas`, `inventory`, `stats`, `nodes`, `health` | the resources |
//! | `ask` | asking something of a saga |
//! | `…_view`, `names`, `time` | what things look like outside |
//! | `services`, `blocking` | what the handlers work with |
//! | `server` | listening |
//! | `dashboard` | the pages |

mod ask;
mod blocking;
mod body;
mod cancel;
mod dashboard;
mod edge;
mod event_view;
mod guard;
mod health;
mod idempotency;
mod inventory;
mod names;
mod nodes;
mod order_view;
mod orders;
mod page;
mod params;
mod prefer;
mod problem;
mod problem_kind;
mod saga_view;
mod sagas;
mod server;
mod services;
mod stats;
mod step_view;
mod submit;
mod time;
mod trace;

pub use server::{Options, serve};
pub use services::{Api, Services, Settings};

use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder};

use problem::Problem;

/// Adds every route, behind the guard.
pub fn configure(config: &mut ServiceConfig, api: Data<Api>) {
    config.app_data(api).service(
        web::scope("")
            .wrap(from_fn(edge::edge))
            .service(
                web::resource("/v1/orders")
                    .get(orders::list)
                    .head(orders::list)
                    .post(submit::submit),
            )
            .service(read("/v1/orders/{id}", orders::get))
            .service(web::resource("/v1/orders/{id}/cancel").post(cancel::cancel))
            .service(read("/v1/sagas", sagas::list))
            .service(read("/v1/sagas/{id}", sagas::get))
            .service(read("/v1/sagas/{id}/history", sagas::history))
            .service(web::resource("/v1/sagas/{id}/retry").post(sagas::retry))
            .service(read("/v1/stats", stats::get))
            .service(read("/v1/nodes", nodes::list))
            .service(read("/v1/inventory/products", inventory::list))
            .service(read("/v1/inventory/products/{productId}", inventory::get).put(inventory::put))
            .service(read("/livez", health::livez))
            .service(read("/readyz", health::readyz))
            .service(read("/metrics", health::metrics))
            .configure(dashboard::configure)
            .default_service(web::to(not_found)),
    );
}

/// A resource that can be read.
fn read<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path).get(handler.clone()).head(handler)
}

async fn not_found(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::not_found(format!("page at {}", request.path())))
}
