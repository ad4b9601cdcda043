//! `skald saga list`.

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::Value;

use super::view::sagas;
use super::{Client, Common, Failure, Output, not_skald, print};
use crate::cli::pages::{self, Extent};
use crate::saga::state::SagaStatus;

/// Lists sagas.
#[derive(Args, Debug)]
pub struct List {
    /// Only sagas with this status
    #[arg(
        long,
        ignore_case = true,
        value_parser = PossibleValuesParser::new(SagaStatus::ALL.map(SagaStatus::as_str))
    )]
    status: Option<String>,
    /// Only sagas of this definition, such as order
    #[arg(long, value_name = "NAME")]
    definition: Option<String>,
    /// Only sagas whose id or business key begins with this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    extent: Extent,
    #[command(flatten)]
    common: Common,
}

impl List {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let status = self.status.as_deref().map(str::to_ascii_uppercase);
        let list = pages::List {
            path: "/v1/sagas",
            member: "sagas",
            parameters: &[
                ("status", status.as_deref()),
                ("definition", self.definition.as_deref()),
                ("q", self.search.as_deref()),
            ],
        };
        let client = Client::new(&self.common.server.url);
        let (found, more) = list.fetch(&client, &self.extent).await?;
        match self.common.output {
            Output::Json => print(&Value::Array(found).to_string())?,
            Output::Table if found.is_empty() => eprintln!("no saga found"),
            Output::Table => print(&sagas(&found).ok_or_else(not_skald)?)?,
        }
        if more {
            eprintln!("there are more; name a larger --limit, or --all, or search for less");
        }
        Ok(())
    }
}
