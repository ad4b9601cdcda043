//! Coordination by Redis 6 or later: one connection, shared by locks, cache and pokes.
//!
//! | file | holds |
//! |---|---|
//! | `address` | where it is, without its secrets |
//! | `breaker` | whether to ask it at all (pure) |
//! | `link` | the connection, and how long anybody waits for it |
//! | `locks`, `cache`, `pokes` | the ports |
//!
//! | key or channel | holds |
//! |---|---|
//! | `skald:{lock}:PRODUCT` | the token of who holds it; a second at most |
//! | `skald:cache:KIND:FORMAT:ID` | what can't change any more; some ten minutes |
//! | `skald:DATABASE:moved` | nothing: what moved is published there |
//!
//! Redis is expendable. Absent, slow, emptied or full of nonsense, it costs time, and bounded time at
//! that, and never an outcome.

mod address;
mod breaker;
mod cache;
mod link;
mod locks;
mod pokes;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

pub use address::{Address, AddressError};
pub use cache::RedisCache;
pub use locks::RedisLocks;
pub use pokes::RedisPokes;

use super::in_process::InProcessPokes;
use link::Link;

/// What all keys begin with.
const PREFIX: &str = "skald:";

/// Redis, as far as it is there.
pub struct Redis {
    link: Link,
    channel: String,
    own: Uuid,
    heard: Arc<InProcessPokes>,
}

impl Redis {
    /// Connects from now on; nobody waits for it. An answer that takes longer than `timeout` is none.
    ///
    /// # Errors
    /// When there can be no thread for it.
    pub fn open(address: Address, timeout: Duration) -> io::Result<Self> {
        // Published messages go to all databases; the number keeps installations apart.
        let channel = format!("{PREFIX}{}:moved", address.database());
        let (own, heard) = (Uuid::new_v4(), Arc::new(InProcessPokes::default()));
        let ear = pokes::ear(own, Arc::clone(&heard));
        let link = Link::open(address, timeout, channel.clone(), ear)?;
        Ok(Self { link, channel, own, heard })
    }

    /// The locks.
    pub fn locks(&self) -> RedisLocks {
        RedisLocks::new(self.link.clone(), PREFIX)
    }

    /// The cache.
    pub fn cache(&self) -> RedisCache {
        RedisCache::new(self.link.clone(), PREFIX)
    }

    /// The pokes.
    pub fn pokes(&self) -> RedisPokes {
        let (link, channel) = (self.link.clone(), self.channel.clone());
        RedisPokes::new(link, channel, self.own, Arc::clone(&self.heard))
    }

    /// What is wrong with it, if anything.
    pub fn trouble(&self) -> Option<String> {
        self.link.trouble()
    }
}
