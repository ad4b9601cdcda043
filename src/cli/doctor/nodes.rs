//! The other nodes: whether they answer, and what their clocks say.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use awc::http::header::DATE;
use futures_util::future::join_all;

use super::clock;
use super::finding::Finding;
use crate::store::inspection::LivingNode;

/// How long a node may take. One that lives answers in milliseconds.
const WITHIN: Duration = Duration::from_secs(3);

/// Answers are dated to the second, cut down.
const CUT: Duration = Duration::from_millis(500);

/// Nodes that are asked; of an installation with more the first will do.
const ASKED: usize = 32;

/// Asks each node whether it lives, all at a time.
pub async fn findings(nodes: &[LivingNode]) -> Vec<Finding> {
    join_all(nodes.iter().take(ASKED).map(ask)).await
}

async fn ask(node: &LivingNode) -> Finding {
    let client = awc::Client::builder().timeout(WITHIN).finish();
    let asked = SystemTime::now();
    let answer = client.get(format!("{}/livez", node.url.trim_end_matches('/'))).send().await;
    let took = asked.elapsed().unwrap_or_default();
    let dated = answer.map_err(|error| error.to_string()).and_then(|answer| {
        let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
        date.and_then(micros).ok_or_else(|| "its answer is not dated".to_owned())
    });
    match dated {
        Ok(date) => {
            let since_epoch = asked.duration_since(UNIX_EPOCH).unwrap_or_default();
            let here = i64::try_from((since_epoch + took / 2).as_micros()).unwrap_or(i64::MAX);
            let there = date.saturating_add(i64::try_from(CUT.as_micros()).unwrap_or_default());
            clock::node(&node.name, there.saturating_sub(here), CUT + took / 2)
        }
        Err(cause) => Finding::warn(
            format!("node {}", node.name),
            format!("its lease holds, but {} does not answer: {cause}", node.url),
            "set node.url to where the node is reached from other machines; if that is right, look at its log",
        ),
    }
}

fn micros(date: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc2822(date).ok().map(|date| date.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_read() {
        assert_eq!(micros("Thu, 01 Jan 1970 00:00:07 GMT"), Some(7_000_000));
        assert_eq!(micros("yesterday"), None);
    }
}
