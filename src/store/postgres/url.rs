//! Where a database is: the URL, without its secrets, and what every connection is told by it. Pure.

use std::fmt;

/// What every connection is told unless the URL says otherwise (libpq takes the last one of a name).
///
/// A server that does not answer a new connection is given up after 5 s. One that has gone silent is
/// noticed after 15 s: idle connections are probed after 5 s and then three times, and what was sent
/// must be acknowledged within 15 s. Of several hosts the one that can be written to is found, also
/// after another has taken over.
const DEFAULTS: &str = "application_name=skald&connect_timeout=5&keepalives=1&keepalives_idle=5\
                        &keepalives_interval=3&keepalives_count=3&tcp_user_timeout=15000\
                        &target_session_attrs=primary";

/// Options whose values are secrets.
const SECRET_OPTIONS: [&str; 3] = ["password", "sslpassword", "oauth_client_secret"];

/// A place to connect to. Neither its `Display` nor its `Debug` tells a secret.
#[derive(Clone)]
pub(super) struct Url {
    full: String,
    shown: String,
    secrets: Vec<String>,
}

impl Url {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it, without repeating it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = ["postgres://", "postgresql://"]
            .iter()
            .find_map(|scheme| Some((*scheme, text.strip_prefix(scheme)?)))
            .ok_or("it must begin with postgres:// or postgresql://")?;
        if text.contains('\0') {
            return Err("it must not hold a zero character");
        }
        // As libpq reads it: a user ends at the first @, if that comes before any slash.
        let (user, rest) = match rest.find(['@', '/']) {
            Some(end) if rest[end..].starts_with('@') => (&rest[..end], &rest[end + 1..]),
            _ => ("", rest),
        };
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        if place.contains('@') {
            return Err("a character of its user, password or database must be written as a \
                        percent code: @ is %40, / is %2F, : is %3A");
        }
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        let at = if user.is_empty() { "" } else { "@" };
        let shown = format!("{scheme}{name}{at}{place}");
        let mut secrets = vec![password.to_owned(), decoded(password)];
        for (option, value) in options.split('&').filter_map(|option| option.split_once('=')) {
            if SECRET_OPTIONS.contains(&option) {
                secrets.extend([value.to_owned(), decoded(value)]);
            }
        }
        secrets.retain(|secret| !secret.is_empty());
        let and = if options.is_empty() { "" } else { "&" };
        let full = format!("{scheme}{user}{at}{place}?{DEFAULTS}{and}{options}");
        Ok(Self { full, shown, secrets })
    }

    /// What libpq is given. Holds the password: never to be shown.
    pub fn full(&self) -> &str {
        &self.full
    }

    /// `text` without any secret of this URL.
    pub fn redact(&self, text: &str) -> String {
        let text = text.trim_end().replace(&self.full, &self.shown);
        self.secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), "***"))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Replaces percent codes by what they stand for; leaves what is none.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        for (text, shown) in [
            ("postgres://ada:s3cret@db:5432/shop", "postgres://ada@db:5432/shop"),
            ("postgresql://db/shop?password=s3cret", "postgresql://db/shop"),
            ("postgres://ada:s3cret@a,b:7/shop?sslmode=require", "postgres://ada@a,b:7/shop"),
            ("postgres:///shop?host=/run/pg", "postgres:///shop"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.to_string(), format!("{url:?}")), (shown.into(), shown.into()));
        }
    }

    #[test]
    fn messages_lose_what_is_secret() {
        let url = Url::parse("postgres://ada:p%40ss@db/shop?sslpassword=key").unwrap();
        let message = format!("in \"{}\": p@ss or p%40ss, key\n", url.full());
        assert_eq!(url.redact(&message), "in \"postgres://ada@db/shop\": *** or ***, ***");
    }

    #[test]
    fn what_the_url_says_beats_what_every_connection_is_told() {
        let url = Url::parse("postgres://db/shop?connect_timeout=60").unwrap();
        assert!(url.full().ends_with("&connect_timeout=60"), "{}", url.full());
        assert!(url.full().starts_with("postgres://db/shop?application_name=skald&"));
    }

    #[test]
    fn what_libpq_would_read_otherwise_than_meant_is_refused() {
        for text in [
            "db/shop",
            "host=db dbname=shop",
            "sqlite:data",
            "postgres://ada:p@ss@db/shop",
            "postgres://ada:p/ss@db/shop",
        ] {
            let fault = Url::parse(text).unwrap_err();
            assert!(!fault.contains("ss@"), "{fault}");
        }
    }
}
