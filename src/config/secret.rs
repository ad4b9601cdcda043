//! What must not be shown.

use std::fmt;

use url::Url;

/// What stands for what is not shown.
const HIDDEN: &str = "***";

/// A text that no log, error or `Debug` shows, such as a URL with a password in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` to itself from now on.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever needs it to let itself in.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A URL without its account and its options. What can't be taken apart for certain is not shown at all:
/// a password with a special character may end anywhere.
pub(super) fn redacted(text: &str) -> String {
    let (Ok(url), Some((scheme, _))) = (Url::parse(text), text.split_once("://")) else {
        return if text == "none" { text.to_owned() } else { HIDDEN.to_owned() };
    };
    let beyond = [Some(url.path()), url.query(), url.fragment()];
    if beyond.iter().flatten().any(|part| part.contains('@')) {
        return format!("{scheme}://{HIDDEN}");
    }
    let account = if url.username().is_empty() && url.password().is_none() { "" } else { "***@" };
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let options = if url.query().or(url.fragment()).is_some() { "?***" } else { "" };
    format!("{scheme}://{account}{host}{port}{}{options}", url.path())
}

/// URLs separated by commas, each [`redacted`]. One with several hosts has commas of its own.
pub(super) fn redacted_list(text: &str) -> String {
    let entries: Vec<&str> = text.split(',').map(str::trim).collect();
    match entries.iter().all(|entry| entry.contains("://")) {
        true => entries.into_iter().map(redacted).collect::<Vec<_>>().join(", "),
        false => redacted(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_account_and_its_options() {
        for (text, shown) in [
            ("postgres://ada:s3cret@db:5433/shop", "postgres://***@db:5433/shop"),
            ("postgres://db/shop?password=s3cret", "postgres://db/shop?***"),
            ("postgresql://ada:s3cret@a,b:7/shop", "postgresql://***@a,b:7/shop"),
            ("amqps://s3cret@[::1]", "amqps://***@[::1]"),
            ("smtp://mail.example.com:587", "smtp://mail.example.com:587"),
            ("none", "none"),
        ] {
            assert_eq!(redacted(text), shown);
        }
        let two = "amqp://a:s3cret@one, amqp://a:s3cret@two/v";
        assert_eq!(redacted_list(two), "amqp://***@one, amqp://***@two/v");
    }

    #[test]
    fn a_password_with_special_characters_is_not_shown_in_part() {
        for text in [
            "postgres://ada:s3cret/@db/shop",
            "postgres://ada:1/s3cret@db/shop",
            "postgres://ada:1?s3cret@db/shop",
            "postgres://ada:1#s3cret@db/shop",
            "postgres://ada:x,s3cret@db/shop",
            "postgres:///shop?password=x@s3cret",
            "ada:s3cret@db",
            "s3cret",
        ] {
            assert!(!redacted_list(text).contains("s3cret"), "{text}: {}", redacted_list(text));
        }
    }
}
