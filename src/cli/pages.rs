//! Lists that the server gives page by page.

use clap::Args;
use serde_json::{Map, Value};

use super::client::Client;
use super::failure::Failure;
use super::output::not_skald;
use crate::http::encode;

/// The longest page that the server gives.
pub const PAGE: usize = 200;

/// As many entries as fit into a few hundred megabytes; whoever looks for one narrows the search.
const MOST: usize = 100_000;

/// How much of a list is wanted.
#[derive(Args, Debug)]
pub struct Extent {
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = at_most_all)]
    limit: usize,
    /// All of them, up to 100000
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

fn at_most_all(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|limit| (1..=MOST).contains(limit))
        .ok_or_else(|| format!("must be from 1 to {MOST}"))
}

/// A list whose pages have their entries under `member`.
pub struct List<'a> {
    /// Where it is.
    pub path: &'a str,
    /// What its entries are called.
    pub member: &'a str,
    /// Its parameters; those without a value are left out.
    pub parameters: &'a [(&'a str, Option<&'a str>)],
}

impl List<'_> {
    /// Its first entries, and whether there are more.
    ///
    /// # Errors
    /// When the server can't be reached, or does not answer with such a list.
    pub async fn fetch(
        &self,
        client: &Client,
        extent: &Extent,
    ) -> Result<(Vec<Value>, bool), Failure> {
        let limit = if extent.all { MOST } else { extent.limit };
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let wanted = usize::min(limit - found.len(), PAGE);
            let mut page: Map<String, Value> = client.get(&self.page(wanted, &cursor)).await?;
            let Some(Value::Array(entries)) = page.remove(self.member) else {
                return Err(not_skald());
            };
            found.extend(entries.into_iter().take(wanted));
            match page.remove("nextCursor") {
                Some(Value::String(next)) if found.len() < limit => cursor = next,
                next => return Ok((found, next.is_some_and(|next| !next.is_null()))),
            }
        }
    }

    fn page(&self, limit: usize, cursor: &str) -> String {
        let mut path = format!("{}?limit={limit}&cursor={cursor}", self.path);
        for (name, value) in self.parameters {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", encode(value)));
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_for_cannot_pose_as_another_parameter() {
        assert_eq!(encode("a&status=X y/é").to_string(), "a%26status%3DX%20y%2F%C3%A9");
    }
}
