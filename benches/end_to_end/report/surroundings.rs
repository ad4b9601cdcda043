//! Limits of the parts, and peers.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use serde_json::Value;

/// What the parts can do.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// One row a commit, to PostgreSQL.
    pub commits_per_second: f64,
    /// A hundred rows a commit.
    pub rows_per_second: f64,
    /// Through a quorum queue, each confirmed and acknowledged.
    pub messages_per_second: f64,
    /// To a server that does nothing, client included.
    pub requests_per_second: f64,
}

/// What a harness of other systems found.
#[derive(Serialize)]
pub struct Peers {
    /// Its figures, one object a run, as it left them.
    pub runs: Vec<Value>,
    /// The same for people, as it printed them.
    #[serde(skip)]
    pub tables: String,
}

impl Display for Limits {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Limits of the parts, each alone on this machine")?;
        let mut row = |name, figure: f64| write!(f, "\n  {name:44}{figure:8.0}/s");
        row("PostgreSQL, commits of one row", self.commits_per_second)?;
        row("PostgreSQL, rows in commits of 100", self.rows_per_second)?;
        row("RabbitMQ, messages through a quorum queue", self.messages_per_second)?;
        row("HTTP, requests and their answers", self.requests_per_second)
    }
}

impl Display for Peers {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Peers, as their harness tells it\n{}", self.tables)
    }
}
