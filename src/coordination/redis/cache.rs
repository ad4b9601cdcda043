//! A cache in Redis: one key each, which expires.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use redis::cmd;

use super::super::remembered_for;
use super::link::Link;
use crate::ports::cache::{Cache, MAX_VALUE};

/// A cache that all processes share.
pub struct RedisCache {
    link: Link,
    prefix: String,
}

impl RedisCache {
    /// A cache whose keys begin with `prefix`.
    pub(super) fn new(link: Link, prefix: &str) -> Self {
        Self { link, prefix: format!("{prefix}cache:") }
    }
}

impl Cache for RedisCache {
    fn get(&self, key: String) -> BoxFuture<'_, Option<Bytes>> {
        async move {
            // One byte more than fits gives away what is too long, without reading all of it.
            let mut get = cmd("GETRANGE");
            get.arg(format!("{}{key}", self.prefix)).arg(0).arg(MAX_VALUE);
            let value: Vec<u8> = self.link.call("get", &get).await?;
            ((1..=MAX_VALUE).contains(&value.len())).then(|| value.into())
        }
        .boxed()
    }

    fn put(&self, key: String, value: Bytes) {
        if !(1..=MAX_VALUE).contains(&value.len()) || !self.link.is_there() {
            return;
        }
        let (link, key) = (self.link.clone(), format!("{}{key}", self.prefix));
        self.link.spawn(async move {
            let mut set = cmd("SET");
            set.arg(key).arg(&value[..]).arg("PX").arg(remembered_for().as_millis() as u64);
            link.call::<()>("put", &set).await;
        });
    }
}
