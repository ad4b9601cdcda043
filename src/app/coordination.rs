//! What processes coordinate by: Redis, or each by itself.

use std::sync::Arc;

use anyhow::Context as _;

use crate::config::Config;
use crate::coordination::in_process::{InProcessCache, InProcessLocks, InProcessPokes};
use crate::coordination::redis::{Address, Redis};
use crate::http::Expendable;
use crate::ports::cache::Cache;
use crate::ports::locks::Locks;
use crate::ports::pokes::Pokes;

/// The Redis that is configured, if one is. Whether it is there is found out meanwhile and told in the
/// log: nothing waits for it.
///
/// # Errors
/// When its address can't be read.
pub fn redis(config: &Config) -> anyhow::Result<Option<Arc<Redis>>> {
    let Some(url) = &config.redis.url else { return Ok(None) };
    let address = Address::parse(url.reveal()).context("redis.url can't be used")?;
    let redis = Redis::open(address, config.redis.timeout);
    Ok(Some(Arc::new(redis.context("there can be no thread for Redis")?)))
}

/// Whether the Redis that is configured lets us in, and where it is or what stands in the way; none
/// where there is none. Blocks.
pub fn look_at_redis(config: &Config) -> Option<Result<String, String>> {
    let url = config.redis.url.as_ref()?;
    let address = Address::parse(url.reveal());
    let address = address.map_err(|error| format!("redis.url can't be used: {error}"));
    Some(address.and_then(|address| address.look().map(|()| address.to_string())))
}

/// Where orders and sagas are remembered that can't change any more.
pub fn cache(redis: Option<&Redis>) -> Arc<dyn Cache> {
    match redis {
        Some(redis) => Arc::new(redis.cache()),
        None => Arc::new(InProcessCache::default()),
    }
}

/// How those who look on are told what moved.
pub fn pokes(redis: Option<&Redis>) -> Arc<dyn Pokes> {
    match redis {
        Some(redis) => Arc::new(redis.pokes()),
        None => Arc::new(InProcessPokes::default()),
    }
}

/// What inventory workers keep out of each other's way with; none where that is not wanted.
pub fn locks(config: &Config, redis: Option<&Redis>) -> Option<Arc<dyn Locks>> {
    config.workers.hint_locks.then(|| match redis {
        Some(redis) => Arc::new(redis.locks()) as Arc<dyn Locks>,
        None => Arc::new(InProcessLocks::default()),
    })
}

/// What is to be told of it to whoever asks how the process is.
pub fn health(redis: Option<&Arc<Redis>>) -> Vec<Expendable> {
    let redis = redis
        .map(Arc::clone)
        .map(|redis| Expendable { name: "redis", trouble: Arc::new(move || redis.trouble()) });
    redis.into_iter().collect()
}
