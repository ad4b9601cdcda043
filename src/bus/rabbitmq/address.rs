//! Where a broker is, and who asks.

use std::fmt;

use lapin::uri::AMQPUri;

/// How often each side of a connection lets itself be heard, in seconds. A connection is given up
/// after two such times of silence, so a broker that vanished is noticed within half a minute.
const HEARTBEAT: u16 = 15;

/// A broker's address with the account to use there. Shows neither the account nor its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(AMQPUri);

/// Why an address can't be used. Does not repeat it, for it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not such a URL.
    #[error(
        "the broker's address is no amqp://user:password@host:port/vhost or amqps://… URL; check it for characters that must be percent-encoded"
    )]
    Unreadable,
    /// `amqp://host/` names the virtual host with the empty name.
    #[error(
        "the broker's address ends in a slash and so names no virtual host; leave the slash away for the default one, or write /name"
    )]
    NoVirtualHost,
}

impl Address {
    /// Reads `amqp://user:password@host:port/vhost` or `amqps://…`. Without an account it is
    /// `guest`, without a port the scheme's, without a path the virtual host `/`.
    ///
    /// # Errors
    /// When it is no such URL.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let mut uri: AMQPUri = url.parse().map_err(|_| AddressError::Unreadable)?;
        if uri.vhost.is_empty() {
            return Err(AddressError::NoVirtualHost);
        }
        if let Some(host) = ipv6_host(url) {
            // Its parser takes any such address for localhost.
            uri.authority.host = host.to_owned();
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Ok(Self(uri))
    }

    /// The virtual host.
    pub fn vhost(&self) -> &str {
        &self.0.vhost
    }

    /// The user and the password, for whoever asks the same broker in another way.
    pub fn account(&self) -> (String, String) {
        let account = &self.0.authority.userinfo;
        (account.username.clone(), account.password.clone())
    }

    /// What the client library connects to; holds the password.
    pub(super) fn uri(&self) -> AMQPUri {
        self.0.clone()
    }
}

/// The host, where it is an IPv6 address in brackets.
fn ipv6_host(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split(['/', '?']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some(host.strip_prefix('[')?.split_once(']')?.0)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (authority, scheme) = (&self.0.authority, &self.0.scheme);
        write!(f, "{scheme}://{}:{}", authority.host, authority.port)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_never_shows_its_account() {
        let address = Address::parse("amqps://ann:s3cret@rabbit.example:5999/prod").unwrap();
        for shown in [address.to_string(), format!("{address:?}")] {
            assert_eq!(shown, "amqps://rabbit.example:5999");
        }
        let error = Address::parse("amqp://ann:s3cret@:x/%zz").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }

    #[test]
    fn what_is_left_out_has_the_usual_meaning() {
        let uri = Address::parse("amqp://localhost").unwrap().uri();
        assert_eq!((uri.authority.port, uri.vhost.as_str()), (5672, "/"));
        assert_eq!(uri.query.heartbeat, Some(HEARTBEAT));
        let uri = Address::parse("amqps://localhost/%2fshop?heartbeat=20").unwrap().uri();
        assert_eq!((uri.authority.port, uri.vhost.as_str()), (5671, "/shop"));
        assert_eq!(uri.query.heartbeat, Some(20));
    }

    #[test]
    fn an_empty_virtual_host_is_refused() {
        assert_eq!(Address::parse("amqp://localhost/"), Err(AddressError::NoVirtualHost));
    }

    #[test]
    fn an_ipv6_address_is_not_taken_for_localhost() {
        for url in ["amqp://[2001:db8::1]:5672", "amqp://u:p@[2001:db8::1]/v?heartbeat=20"] {
            assert_eq!(Address::parse(url).unwrap().uri().authority.host, "2001:db8::1", "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for url in ["", "localhost", "http://localhost", "amqp:x", "amqp://localhost:70000"] {
            assert_eq!(Address::parse(url), Err(AddressError::Unreadable), "{url}");
        }
    }
}
