//! Where Redis is, and who asks.

use std::fmt;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError, cmd};
use url::Url;

/// What was sent must be acknowledged by the other machine within this time, or the connection is lost.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(5);

/// How long somebody who looks waits for each answer.
const LOOK_WITHIN: Duration = Duration::from_secs(3);

/// Redis' address with the account to use there. Shows neither the account nor its password.
#[derive(Clone)]
pub struct Address {
    info: ConnectionInfo,
    shown: String,
}

/// Why an address can't be used. Does not repeat it, for it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not such a URL.
    #[error(
        "it is no redis://user:password@host:port/database or rediss://… URL; check it for characters that must be percent-encoded"
    )]
    Unreadable,
    /// Databases have numbers.
    #[error("what follows the slash must be the number of a database, such as /0")]
    Database,
    /// What follows a question mark or a number sign would be ignored, or make TLS useless.
    #[error("nothing may follow the number of the database, no ? and no #")]
    Extra,
}

impl Address {
    /// Reads `redis://user:password@host:port/database` or `rediss://…` (TLS). Without a port it is
    /// 6379, without a path the database 0.
    ///
    /// # Errors
    /// When it is no such URL.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|_| AddressError::Unreadable)?;
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        if !["redis", "rediss"].contains(&url.scheme()) || !has_host {
            return Err(AddressError::Unreadable);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Extra);
        }
        let database = url.path().trim_start_matches('/');
        if !database.is_empty() && database.parse::<u16>().is_err() {
            return Err(AddressError::Database);
        }
        let info = text.into_connection_info().map_err(|_| AddressError::Unreadable)?;
        let shown = format!("{}://{}", url.scheme(), info.addr());
        // Pushed messages and answers share one connection only in this version.
        let account = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let tcp = TcpSettings::default().set_nodelay(true);
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(ACKNOWLEDGED_WITHIN);
        Ok(Self { info: info.set_redis_settings(account).set_tcp_settings(tcp), shown })
    }

    /// Whether it is there and lets us in. Blocks.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn look(&self) -> Result<(), String> {
        let look = || {
            let client = Client::open(self.info())?;
            let mut connection = client.get_connection_with_timeout(LOOK_WITHIN)?;
            connection.set_read_timeout(Some(LOOK_WITHIN))?;
            cmd("PING").query::<String>(&mut connection)
        };
        look().map(drop).map_err(|error: RedisError| error.to_string())
    }

    /// What the client library connects to; holds the password.
    pub(super) fn info(&self) -> ConnectionInfo {
        self.info.clone()
    }

    /// The number of the database.
    pub(super) fn database(&self) -> i64 {
        self.info.redis_settings().db()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_never_shows_its_account() {
        for (url, shown) in [
            ("redis://ann:s3cret@cache.example:6380/3", "redis://cache.example:6380"),
            ("rediss://:s3cret@cache.example", "rediss://cache.example:6379"),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!((address.to_string(), format!("{address:?}")), (shown.into(), shown.into()));
        }
    }

    #[test]
    fn what_is_left_out_has_the_usual_meaning() {
        let address = Address::parse("redis://:p%40ss@localhost").unwrap();
        let settings = address.info().redis_settings().clone();
        assert_eq!((settings.db(), settings.password()), (0, Some("p@ss")));
        assert_eq!(Address::parse("redis://localhost/7").unwrap().database(), 7);
    }

    #[test]
    fn other_urls_are_refused_without_repeating_them() {
        for (url, error) in [
            ("", AddressError::Unreadable),
            ("localhost:6379", AddressError::Unreadable),
            ("http://localhost", AddressError::Unreadable),
            ("redis+unix:///run/redis.sock", AddressError::Unreadable),
            ("redis://", AddressError::Unreadable),
            ("redis://localhost:70000", AddressError::Unreadable),
            ("redis://:s3cret@localhost/shop", AddressError::Database),
            ("redis://:s3cret@localhost/-1", AddressError::Database),
            ("rediss://:s3cret@localhost/#insecure", AddressError::Extra),
            ("redis://:s3cret@localhost/?protocol=resp2", AddressError::Extra),
        ] {
            let found = Address::parse(url).unwrap_err();
            assert_eq!(found, error, "{url}");
            assert!(!format!("{found} {found:?}").contains("s3cret"));
        }
    }
}
