//! The REST API and the dashboard.
//!
//! ```text
//!  request ─▶ edge (guard, log, headers) ─▶ a handler ─▶ ports
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `edge`, `guard`, `meter`, `span` | what every request passes; which hosts and origins are let in; how long it took, for metrics and for traces |
//! | `problem`, `problem_kind` | errors, RFC 9457 |
//! | `body`, `params`, `page`, `prefer`, `idempotency`, `trace` | reading requests; `reading` shows it to those that have to try it out |
//! | `archive` | what is over, from the cache |
//! | `live` | streams that follow sagas |
//! | `submit`, `orders`, `cancel`, `sagas`, `dead_letters`, `inventory`, `stats`, `nodes`, `health` | the resources |
//! | `ask` | asking something of a saga |
//! | `…_view`, `names`, `time` | what things look like outside |
//! | `services`, `blocking` | what the handlers work with |
//! | `server` | listening |
//! | `dashboard` | the pages |

mod archive;
mod ask;
mod blocking;
mod body;
mod cancel;
mod dashboard;
mod dead_letters;
mod edge;
mod event_view;
mod guard;
mod health;
mod idempotency;
mod inventory;
mod letter_view;
mod live;
mod meter;
mod names;
mod nodes;
mod order_view;
mod orders;
mod page;
mod params;
mod prefer;
mod problem;
mod problem_kind;
pub mod reading;
mod saga_view;
mod sagas;
mod server;
mod services;
mod span;
mod stats;
mod step_view;
mod submit;
mod time;
mod trace;

pub use blocking::Blocking;
pub use health::{Expendable, Exposition, Health, Ping};
pub use live::Live;
pub use page::encode;
pub use server::{Options, serve, serve_health};
pub use services::{Api, Services, Settings};

use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder};

use guard::Guard;
use problem::Problem;
use span::Tracer;

/// Adds every route, behind the guard.
pub fn configure(config: &mut ServiceConfig, api: Data<Api>) {
    let (guard, health, tracer) = (api.guard.clone(), api.health.clone(), api.tracer.clone());
    config.app_data(api).app_data(guard).app_data(health).app_data(tracer).service(
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
            .service(web::resource("/v1/sagas/events").get(live::list))
            .service(read("/v1/sagas/{id}", sagas::get))
            .service(web::resource("/v1/sagas/{id}/events").get(live::saga))
            .service(read("/v1/sagas/{id}/history", sagas::history))
            .service(web::resource("/v1/sagas/{id}/retry").post(sagas::retry))
            .service(read("/v1/dead-letters", dead_letters::list))
            .service(read("/v1/dead-letters/{id}", dead_letters::get).delete(dead_letters::delete))
            .service(
                web::resource("/v1/dead-letters/{id}/requeue").post(dead_letters::post_requeue),
            )
            .service(read("/v1/stats", stats::get))
            .service(read("/v1/nodes", nodes::list))
            .service(read("/v1/inventory/products", inventory::list))
            .service(read("/v1/inventory/products/{productId}", inventory::get).put(inventory::put))
            .configure(for_machines)
            .configure(dashboard::configure)
            .default_service(web::to(not_found)),
    );
}

/// Adds what machines ask of a process without an API, behind the guard.
fn configure_health(
    config: &mut ServiceConfig,
    guard: Data<Guard>,
    health: Data<Health>,
    tracer: Data<Tracer>,
) {
    config.app_data(guard).app_data(health).app_data(tracer).service(
        web::scope("")
            .wrap(from_fn(edge::edge))
            .configure(for_machines)
            .default_service(web::to(not_found)),
    );
}

/// Adds what machines ask of any process.
fn for_machines(config: &mut ServiceConfig) {
    config
        .service(read("/livez", health::livez))
        .service(read("/readyz", health::readyz))
        .service(read("/metrics", health::metrics));
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
