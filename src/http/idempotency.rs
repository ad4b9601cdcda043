//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a repeat that is recognised.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::header::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

use super::problem::{Kind, Problem};
use crate::orders::Order;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const NAME: &str = "Idempotency-Key";

/// Keys are index entries in the store.
const MAX_KEY: usize = 255;

/// More submissions than this are never under way: the commands outstanding are bounded far below.
const MAX_IN_FLIGHT: usize = 65_536;

/// A client's key, with the route that it counts for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// Reads the header; none where there is none. `route` keeps apart what is sent to different
    /// addresses under the same key.
    ///
    /// # Errors
    /// When the key is not 1 to 255 visible ASCII characters, quoted or not, or is given twice.
    pub fn of(headers: &HeaderMap, route: &'static str) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Problem::header(NAME, "must be given once"));
        }
        let key = value.to_str().ok().and_then(|text| unquote(text.trim()));
        let key = key.filter(|key| {
            (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
        });
        match key {
            Some(key) => Ok(Some(Self(format!("{route}:{key}")))),
            None => {
                let wanted = format!("must be 1 to {MAX_KEY} visible ASCII characters in quotes");
                Err(Problem::header(NAME, wanted))
            }
        }
    }

    /// The key as it is stored.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// The content of a structured string (RFC 9651, 3.3.3); many clients leave the quotes out.
fn unquote(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else { return Some(text.to_owned()) };
    let quoted = rest.strip_suffix('"')?;
    let mut content = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => content.push(characters.next().filter(|c| matches!(c, '"' | '\\'))?),
            plain => content.push(plain),
        }
    }
    Some(content)
}

/// What tells an order from another under the same key: a hash over what was understood, not over
/// how it was written.
pub fn fingerprint(order: &Order) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash_text(&mut hash, &order.user);
    hash_text(&mut hash, order.email.as_deref().unwrap_or_default());
    hash_text(&mut hash, order.currency.code());
    for item in &order.items {
        hash_text(&mut hash, &item.product);
        hash.update(item.quantity.to_be_bytes());
        hash.update(item.price.to_be_bytes());
    }
    hash.finalize().to_vec()
}

/// The length goes first, so that no two texts run into each other.
fn hash_text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}

/// The submissions under way in this process, by their keys.
///
/// A courtesy to clients that repeat too eagerly. What counts is the store: whoever comes first
/// there has the key.
#[derive(Debug, Default)]
pub struct InFlight(Arc<Mutex<HashSet<Key>>>);

/// Ends the flight of a key when it is dropped.
#[derive(Debug)]
pub struct Flight {
    key: Key,
    keys: Arc<Mutex<HashSet<Key>>>,
}

impl InFlight {
    /// Notes that a submission under `key` is under way.
    ///
    /// # Errors
    /// [`Kind::InFlight`] if another one is, [`Kind::Overloaded`] if there are too many.
    pub fn enter(&self, key: &Key) -> Result<Flight, Problem> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= MAX_IN_FLIGHT {
            return Err(Problem::new(Kind::Overloaded, "too many submissions are under way")
                .with_retry_after(1));
        }
        if !keys.insert(key.clone()) {
            let detail = "another request with this Idempotency-Key is not answered yet";
            return Err(Problem::new(Kind::InFlight, detail).with_retry_after(1));
        }
        Ok(Flight { key: key.clone(), keys: Arc::clone(&self.0) })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn key(values: &[&str]) -> Result<Option<String>, Kind> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_str(value).unwrap());
        }
        let key = Key::of(&headers, "orders").map_err(|problem| problem.kind())?;
        Ok(key.map(Key::into_string))
    }

    #[test]
    fn a_key_is_the_same_with_and_without_quotes() {
        for text in ["8e03-978e", "\"8e03-978e\"", "  \"8e03-978e\" "] {
            assert_eq!(key(&[text]), Ok(Some("orders:8e03-978e".to_owned())), "{text}");
        }
        assert_eq!(key(&[r#""a\"b\\c""#]), Ok(Some(r#"orders:a"b\c"#.to_owned())));
        assert_eq!(key(&[]), Ok(None));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "k".repeat(256);
        for text in ["", "\"\"", "a b", "\"a b\"", "\"a", "\"a\"b\"", r#""a\b""#, "é", &long] {
            assert_eq!(key(&[text]), Err(Kind::BadParameter), "{text}");
        }
        assert_eq!(key(&["a", "a"]), Err(Kind::BadParameter));
        assert!(key(&[&long[1..]]).is_ok());
    }

    #[test]
    fn a_key_flies_once_at_a_time() {
        let in_flight = InFlight::default();
        let key = Key("orders:a".to_owned());
        let first = in_flight.enter(&key).unwrap();
        assert_eq!(in_flight.enter(&key).unwrap_err().kind(), Kind::InFlight);
        drop(first);
        in_flight.enter(&key).unwrap();
    }
}
