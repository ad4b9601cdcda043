//! `skald saga`: looking at sagas, and trying again what is stuck, over the API.

mod list;
mod view;

use actix_web::rt::System;
use awc::http::StatusCode;
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::Value;

use super::client::{Client, Common};
use super::failure::{Exit, Failure};
use super::output::{Output, not_skald, print};
use super::pages::PAGE;
use crate::saga::id::SagaId;

/// What can be done with sagas.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List sagas, newest first
    List(list::List),
    /// Show a saga with its steps
    Get(Get),
    /// Have what is stuck tried again
    Retry(Retry),
}

/// Shows a saga.
#[derive(Args, Debug)]
pub struct Get {
    /// The saga's id
    id: SagaId,
    /// Show every event of its history, too
    #[arg(long)]
    history: bool,
    #[command(flatten)]
    common: Common,
}

/// Has what is stuck tried again.
#[derive(Args, Debug)]
pub struct Retry {
    /// The saga's id
    id: SagaId,
    /// Why; it is kept in the saga's history
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    common: Common,
}

impl Command {
    /// Talks to the server and prints what it answers.
    ///
    /// # Errors
    /// When the server can't be reached, or does not do it.
    pub fn run(self) -> Result<(), Failure> {
        System::new().block_on(async {
            match self {
                Self::List(list) => list.run().await,
                Self::Get(get) => get.run().await,
                Self::Retry(retry) => retry.run().await,
            }
        })
    }
}

impl Get {
    async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.common.server.url);
        let saga: Value = client.get(&path(self.id)).await.map_err(hint)?;
        let history = match self.history {
            true => Some(history(&client, self.id).await?),
            false => None,
        };
        match self.common.output {
            Output::Json => print(&with_history(saga, history).to_string()),
            Output::Table => print(&view::saga(&saga, history.as_deref())?),
        }
    }
}

impl Retry {
    async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.common.server.url);
        let wish = serde_json::json!({ "reason": self.reason }).to_string();
        let asked = client.post(&format!("{}/retry", path(self.id)), wish).await;
        let (status, saga): (StatusCode, Value) =
            asked.map_err(|failure| match failure.exit() {
                Exit::Conflict => {
                    failure.next(format!("look at it with: skald saga get {}", self.id))
                }
                _ => hint(failure),
            })?;
        if status == StatusCode::ACCEPTED {
            eprintln!("the request is stored; what became of it will be in the saga's history");
        }
        match self.common.output {
            Output::Json => print(&saga.to_string()),
            Output::Table => print(&view::saga(&saga, None)?),
        }
    }
}

/// A page of a history, as the API gives it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HistoryPage {
    events: Vec<Value>,
    next_cursor: Option<String>,
}

/// All events of a saga, oldest first; a saga's attempts bound how many there are.
async fn history(client: &Client, id: SagaId) -> Result<Vec<Value>, Failure> {
    let mut events = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("{}/history?limit={PAGE}&cursor={cursor}", path(id));
        let page: HistoryPage = client.get(&path).await?;
        events.extend(page.events);
        match page.next_cursor {
            Some(next) => cursor = next,
            None => return Ok(events),
        }
    }
}

fn with_history(saga: Value, history: Option<Vec<Value>>) -> Value {
    match (saga, history) {
        (Value::Object(mut saga), Some(history)) => {
            saga.insert("history".to_owned(), Value::Array(history));
            Value::Object(saga)
        }
        (saga, _) => saga,
    }
}

fn path(id: SagaId) -> String {
    format!("/v1/sagas/{id}")
}

fn hint(failure: Failure) -> Failure {
    match failure.exit() {
        Exit::NotFound => failure.next("list the sagas with: skald saga list"),
        _ => failure,
    }
}
