//! The cache.

use bytes::Bytes;
use skald::ports::cache::{Cache, MAX_VALUE};

use super::{Backend, unique, until, wait};

fn get(cache: &dyn Cache, key: &str) -> Option<Bytes> {
    wait(cache.get(key.to_owned()))
}

/// Puts a value and waits until it is found.
fn put(cache: &dyn Cache, key: &str, value: &[u8]) {
    cache.put(key.to_owned(), Bytes::copy_from_slice(value));
    until("it is found", || get(cache, key).as_deref() == Some(value));
}

pub fn what_was_put_is_found_by_all(backend: &dyn Backend) {
    let (one, other, key) = (backend.cache(), backend.cache(), unique("order"));
    put(one.as_ref(), &key, b"tea");
    assert_eq!(get(other.as_ref(), &key).as_deref(), Some(&b"tea"[..]));
}

pub fn what_was_never_put_is_missed(backend: &dyn Backend) {
    assert_eq!(get(backend.cache().as_ref(), &unique("order")), None);
}

pub fn the_newest_value_counts(backend: &dyn Backend) {
    let (cache, key) = (backend.cache(), unique("order"));
    put(cache.as_ref(), &key, b"tea");
    put(cache.as_ref(), &key, b"jam and tea");
    put(cache.as_ref(), &key, b"jam");
}

pub fn keys_and_values_are_taken_literally(backend: &dyn Backend) {
    let cache = backend.cache();
    for odd in ["*", "a b\r\n", "ä", "\0"] {
        put(cache.as_ref(), &format!("{}{odd}", unique("odd")), odd.as_bytes());
    }
    let every_byte: Vec<u8> = (0..=255).collect();
    put(cache.as_ref(), &unique("bytes"), &every_byte);
}

pub fn what_is_empty_or_too_long_is_left_out(backend: &dyn Backend) {
    let (cache, long, empty) = (backend.cache(), unique("long"), unique("empty"));
    cache.put(long.clone(), vec![7; MAX_VALUE + 1].into());
    cache.put(empty.clone(), Bytes::new());
    put(cache.as_ref(), &unique("longest"), &vec![7; MAX_VALUE]);
    assert_eq!((get(cache.as_ref(), &long), get(cache.as_ref(), &empty)), (None, None));
}
