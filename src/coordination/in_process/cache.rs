//! A bounded number of values, the least recently used of which go first.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use lru::LruCache;

use super::super::remembered_for;
use crate::ports::cache::{Cache, MAX_VALUE};

/// How much is remembered in all: some thousand orders and sagas of a few lines.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// What a value takes beside itself and its key: the table's entry and two allocations.
const OVERHEAD: usize = 128;

/// A cache that the threads of this process share.
#[derive(Debug)]
pub struct InProcessCache {
    shelf: Mutex<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    values: LruCache<String, Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    value: Bytes,
    until: Instant,
}

impl Default for InProcessCache {
    fn default() -> Self {
        Self { shelf: Mutex::new(Shelf { values: LruCache::unbounded(), bytes: 0 }) }
    }
}

impl Shelf {
    fn get(&mut self, key: &str, now: Instant) -> Option<Bytes> {
        let kept = self.values.get(key)?;
        if kept.until > now {
            return Some(kept.value.clone());
        }
        if let Some((key, kept)) = self.values.pop_entry(key) {
            self.bytes -= size(&key, &kept);
        }
        None
    }

    fn put(&mut self, key: String, kept: Kept) {
        self.bytes += size(&key, &kept);
        if let Some((key, old)) = self.values.push(key, kept) {
            self.bytes -= size(&key, &old);
        }
        while self.bytes > MAX_BYTES
            && let Some((key, kept)) = self.values.pop_lru()
        {
            self.bytes -= size(&key, &kept);
        }
    }
}

fn size(key: &str, kept: &Kept) -> usize {
    OVERHEAD + key.len() + kept.value.len()
}

impl Cache for InProcessCache {
    fn get(&self, key: String) -> BoxFuture<'_, Option<Bytes>> {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        ready(shelf.get(&key, Instant::now())).boxed()
    }

    fn put(&self, key: String, value: Bytes) {
        if !(1..=MAX_VALUE).contains(&value.len()) {
            return;
        }
        let kept = Kept { value, until: Instant::now() + remembered_for() };
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner).put(key, kept);
    }
}
