//! Redis, which nothing depends on.

use super::finding::Finding;
use crate::app;
use crate::config::Config;

/// Whether it lets us in, if there is to be one.
pub fn findings(config: &Config) -> Vec<Finding> {
    let fix = "orders don't need it; start it, or repair redis.url: skald config check";
    let finding = app::look_at_redis(config).map(|looked| match looked {
        Ok(place) => Finding::ok("redis", format!("{place} lets us in")),
        Err(trouble) => Finding::warn("redis", trouble, fix),
    });
    finding.into_iter().collect()
}
