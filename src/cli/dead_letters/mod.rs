//! `skald dead-letters`: messages that could not be processed, over the API.

mod view;

use actix_web::rt::System;
use awc::http::StatusCode;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::Value;
use uuid::Uuid;

use super::client::{Client, Common};
use super::failure::{Exit, Failure};
use super::output::{Output, not_skald, print};
use super::pages::{self, Extent};
use crate::saga::id::SagaId;

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List dead letters, newest first
    List(List),
    /// Show a dead letter with its message, and what was decided about it
    Show(Show),
    /// Send a dead letter's message again, to where it belonged
    Requeue(Decide),
    /// Take a dead letter off the list; it stays on record
    Discard(Decide),
}

/// Lists dead letters.
#[derive(Args, Debug)]
pub struct List {
    /// Only letters in this state
    #[arg(
        long,
        ignore_case = true,
        default_value = "open",
        value_parser = PossibleValuesParser::new(["open", "requeued", "discarded", "all"])
    )]
    state: String,
    /// Only messages that died in this queue, such as inventory.commands
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Only messages of this saga
    #[arg(long, value_name = "ID")]
    saga: Option<SagaId>,
    #[command(flatten)]
    extent: Extent,
    #[command(flatten)]
    common: Common,
}

/// Shows a dead letter.
#[derive(Args, Debug)]
pub struct Show {
    /// The letter's id
    id: Uuid,
    #[command(flatten)]
    common: Common,
}

/// Decides about a dead letter.
#[derive(Args, Debug)]
pub struct Decide {
    /// The letter's id
    id: Uuid,
    /// Why; it is kept with the letter
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
                Self::Show(show) => show.run().await,
                Self::Requeue(decide) => decide.requeue().await,
                Self::Discard(decide) => decide.discard().await,
            }
        })
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let state = self.state.to_ascii_uppercase();
        let saga = self.saga.map(|saga| saga.to_string());
        let list = pages::List {
            path: "/v1/dead-letters",
            member: "deadLetters",
            parameters: &[
                ("state", Some(&state)),
                ("queue", self.queue.as_deref()),
                ("saga", saga.as_deref()),
            ],
        };
        let client = Client::new(&self.common.server.url);
        let (found, more) = list.fetch(&client, &self.extent).await?;
        match self.common.output {
            Output::Json => print(&Value::Array(found).to_string())?,
            Output::Table if found.is_empty() => eprintln!("no dead letter found"),
            Output::Table => print(&view::letters(&found).ok_or_else(not_skald)?)?,
        }
        if more {
            eprintln!("there are more; name a larger --limit, or --all, or look for less");
        }
        Ok(())
    }
}

impl Show {
    async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.common.server.url);
        let letter: Value =
            client.get(&path(self.id)).await.map_err(|error| hint(error, self.id))?;
        show(&letter, self.common.output)
    }
}

impl Decide {
    async fn requeue(self) -> Result<(), Failure> {
        let client = Client::new(&self.common.server.url);
        let asked = client.post(&format!("{}/requeue", path(self.id)), self.wish()).await;
        let (status, letter): (StatusCode, Value) = asked.map_err(|error| hint(error, self.id))?;
        if status == StatusCode::ACCEPTED {
            eprintln!("the request is stored; the message goes out as soon as it can");
        }
        show(&letter, self.common.output)
    }

    async fn discard(self) -> Result<(), Failure> {
        let client = Client::new(&self.common.server.url);
        let asked = client.delete(&path(self.id), self.wish()).await;
        let letter: Value = asked.map_err(|error| hint(error, self.id))?;
        show(&letter, self.common.output)
    }

    fn wish(&self) -> String {
        serde_json::json!({ "reason": self.reason }).to_string()
    }
}

fn show(letter: &Value, output: Output) -> Result<(), Failure> {
    match output {
        Output::Json => print(&letter.to_string()),
        Output::Table => print(&view::letter(letter).ok_or_else(not_skald)?),
    }
}

fn path(id: Uuid) -> String {
    format!("/v1/dead-letters/{id}")
}

fn hint(failure: Failure, id: Uuid) -> Failure {
    match failure.exit() {
        Exit::NotFound => failure.next("list the dead letters with: skald dead-letters list"),
        Exit::Conflict => failure.next(format!("look at it with: skald dead-letters show {id}")),
        _ => failure,
    }
}
