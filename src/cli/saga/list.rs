//! `skald saga list`.

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde::Deserialize;
use serde_json::Value;

use super::view::{not_skald, sagas};
use super::{Client, Common, Failure, Output, PAGE, print};
use crate::saga::state::SagaStatus;

/// As many sagas as fit into a few hundred megabytes; whoever looks for one narrows the search.
const MOST: usize = 100_000;

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
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = at_most_all)]
    limit: usize,
    /// All of them, up to 100000
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    #[command(flatten)]
    common: Common,
}

fn at_most_all(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|limit| (1..=MOST).contains(limit))
        .ok_or_else(|| format!("must be from 1 to {MOST}"))
}

/// A page of sagas, as the API gives it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    sagas: Vec<Value>,
    next_cursor: Option<String>,
}

impl List {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (found, more) = self.fetch(&Client::new(&self.common.server.url)).await?;
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

    /// The sagas, and whether there are more.
    async fn fetch(&self, client: &Client) -> Result<(Vec<Value>, bool), Failure> {
        let limit = if self.all { MOST } else { self.limit };
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let wanted = usize::min(limit - found.len(), PAGE);
            let page: Page = client.get(&self.path(wanted, &cursor)).await?;
            found.extend(page.sagas.into_iter().take(wanted));
            match page.next_cursor {
                Some(next) if found.len() < limit => cursor = next,
                next => return Ok((found, next.is_some())),
            }
        }
    }

    fn path(&self, limit: usize, cursor: &str) -> String {
        let status = self.status.as_deref().map(str::to_ascii_uppercase);
        let parameters = [
            ("status", status.as_deref()),
            ("definition", self.definition.as_deref()),
            ("q", self.search.as_deref()),
        ];
        let mut path = format!("/v1/sagas?limit={limit}&cursor={cursor}");
        for (name, value) in parameters {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", encode(value)));
            }
        }
        path
    }
}

/// Percent-encodes all that is not unreserved (RFC 3986, 2.3).
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            encoded.push(char::from(b));
        } else {
            encoded.push_str(&format!("%{b:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_for_cannot_pose_as_another_parameter() {
        assert_eq!(encode("a&status=X y/é"), "a%26status%3DX%20y%2F%C3%A9");
    }
}
