//! What the parts can do on this machine, so that a figure can be read as a ratio.
//!
//! | file | measures |
//! |---|---|
//! | `postgres` | rows written to PostgreSQL, one and many a commit |
//! | `rabbitmq` | messages through a quorum queue: published, confirmed, consumed, acknowledged |
//! | `http` | requests to a server that does nothing |

mod http;
mod postgres;
mod rabbitmq;

use std::time::Duration;

use crate::report::Limits;
use crate::services::Installation;

/// Long enough that a checkpoint or a collection of garbage is not all of it.
const LONG: Duration = Duration::from_secs(4);

/// Measures all of them.
pub fn measure() -> anyhow::Result<Limits> {
    let installation = Installation::new()?;
    eprintln!("limits: PostgreSQL");
    let commits_per_second = postgres::rows_per_second(&installation.database, 1, LONG)?;
    let rows_per_second = postgres::rows_per_second(&installation.database, 100, LONG)?;
    eprintln!("limits: RabbitMQ");
    let messages_per_second = rabbitmq::messages_per_second(installation.vhost.url(), LONG)?;
    eprintln!("limits: HTTP");
    let requests_per_second = http::requests_per_second(LONG)?;
    Ok(Limits { commits_per_second, rows_per_second, messages_per_second, requests_per_second })
}
