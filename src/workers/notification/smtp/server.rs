//! Where a mail server is, how the way there is protected, and who asks. Pure.

use std::fmt;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::Auth;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// A mail server with the account to use there. Shows neither the account nor its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// A name or an IP address; an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How the way there is protected.
    pub protection: Protection,
    /// The account; none where the server knows us by our address.
    pub account: Option<Account>,
}

/// How the way to a server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// By TLS, after the server was asked for it in plain text; without it nothing is sent.
    StartTls,
    /// By TLS from the start.
    Tls,
    /// Not at all.
    None,
}

/// A user and the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    user: String,
    password: String,
}

/// Why an address can't be used. Does not repeat it, for it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Not such a URL.
    #[error(
        "it is no smtp://user:password@host:port, smtps://… or smtp+insecure://… URL; check it for characters that must be percent-encoded (@ is %40, / is %2F, # is %23)"
    )]
    Unreadable,
    /// There is something behind the port.
    #[error(
        "nothing may follow its host and port; if a password is meant, its special characters must be percent-encoded (/ is %2F, ? is %3F, # is %23)"
    )]
    Excess,
    /// A user without a password, or the reverse.
    #[error("it names only one of user and password; give both, or neither")]
    HalfAccount,
    /// A password would be readable on its way.
    #[error(
        "smtp+insecure:// sends everything in plain text and therefore takes no password; use smtp:// or smtps://"
    )]
    PasswordInTheClear,
}

impl Server {
    /// Reads `smtp://user:password@host:port` (port 587 unless it says otherwise), `smtps://…` (465)
    /// or `smtp+insecure://host:port` (25).
    ///
    /// # Errors
    /// When it is no such URL.
    pub fn parse(url: &str) -> Result<Self, ServerError> {
        let url = Url::parse(url).map_err(|_| ServerError::Unreadable)?;
        let (protection, port) = match url.scheme() {
            "smtp" => (Protection::StartTls, 587),
            "smtps" => (Protection::Tls, 465),
            "smtp+insecure" => (Protection::None, 25),
            _ => return Err(ServerError::Unreadable),
        };
        let host = match url.host().ok_or(ServerError::Unreadable)? {
            Host::Domain(name) if is_host_name(name) => name.to_owned(),
            Host::Domain(_) => return Err(ServerError::Unreadable),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(ServerError::Excess);
        }
        let account = account(&url)?;
        if protection == Protection::None && account.is_some() {
            return Err(ServerError::PasswordInTheClear);
        }
        Ok(Self { host, port: url.port().unwrap_or(port), protection, account })
    }

    /// `text` without the account's password, however a server may have repeated it.
    pub fn redact(&self, text: &str) -> String {
        let secrets = self.account.iter().flat_map(Account::secrets);
        secrets.fold(text.to_owned(), |text, secret| text.replace(&secret, "***"))
    }
}

fn account(url: &Url) -> Result<Option<Account>, ServerError> {
    let decoded = |text| {
        let text = percent_decode_str(text).decode_utf8();
        text.map(|text| text.into_owned()).map_err(|_| ServerError::Unreadable)
    };
    let user = decoded(url.username())?;
    let password = decoded(url.password().unwrap_or_default())?;
    match (user.is_empty(), password.is_empty()) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some(Account { user, password })),
        _ => Err(ServerError::HalfAccount),
    }
}

fn is_host_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

impl Account {
    /// What the client library lets itself in by.
    pub fn credentials(&self) -> Credentials {
        Credentials::new(self.user.clone(), self.password.clone())
    }

    /// The password, and what is sent of it.
    fn secrets(&self) -> Vec<String> {
        let sent = |mechanism, challenge| {
            let command = Auth::new(mechanism, self.credentials(), challenge).ok()?.to_string();
            command.split_whitespace().last().map(str::to_owned)
        };
        let plain = sent(Mechanism::Plain, None);
        let login = sent(Mechanism::Login, Some("Password:".to_owned()));
        [Some(self.password.clone()), plain, login].into_iter().flatten().collect()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Server {
        Server::parse(url).unwrap()
    }

    #[test]
    fn what_is_left_out_has_the_usual_meaning() {
        for (url, shown, protection) in [
            ("smtp://mail.example.org", "mail.example.org:587", Protection::StartTls),
            ("smtps://mail.example.org/", "mail.example.org:465", Protection::Tls),
            ("smtp+insecure://127.0.0.1", "127.0.0.1:25", Protection::None),
            ("smtp+insecure://mailpit:1025", "mailpit:1025", Protection::None),
            ("smtp://[2001:db8::1]:2525", "[2001:db8::1]:2525", Protection::StartTls),
        ] {
            let server = parse(url);
            assert_eq!((server.to_string(), server.protection), (shown.to_owned(), protection));
            assert!(server.account.is_none());
        }
        assert_eq!(parse("smtps://[2001:db8::1]").host, "2001:db8::1");
    }

    #[test]
    fn a_server_never_shows_its_account() {
        let server = parse("smtp://ann%40example.org:s3cr%2Fet@mail.example.org");
        let account = server.account.as_ref().unwrap();
        assert_eq!(
            account.credentials(),
            Credentials::new("ann@example.org".into(), "s3cr/et".into())
        );
        assert_eq!(format!("{server} {server:?}"), "mail.example.org:587 mail.example.org:587");
    }

    #[test]
    fn an_answer_loses_every_form_of_the_password() {
        let server = parse("smtp://ann:s3cret@mail.example.org");
        // What AUTH PLAIN and AUTH LOGIN send.
        let repeated = "no s3cret, no AGFubgBzM2NyZXQ=, no czNjcmV0";
        assert_eq!(server.redact(repeated), "no ***, no ***, no ***");
    }

    #[test]
    fn no_password_goes_over_a_way_that_is_not_protected() {
        let refused = Server::parse("smtp+insecure://ann:s3cret@127.0.0.1");
        assert_eq!(refused, Err(ServerError::PasswordInTheClear));
    }

    #[test]
    fn other_urls_are_refused_without_being_repeated() {
        for (url, error) in [
            ("", ServerError::Unreadable),
            ("mail.example.org", ServerError::Unreadable),
            ("http://mail.example.org", ServerError::Unreadable),
            ("smtp://", ServerError::Unreadable),
            ("smtp:mail.example.org", ServerError::Unreadable),
            ("smtp://bücher.example", ServerError::Unreadable),
            ("smtp://mail.example.org:70000", ServerError::Unreadable),
            ("smtp://ann:s3#cret@mail.example.org", ServerError::Unreadable),
            ("smtp://ann:3/cret@mail.example.org", ServerError::Excess),
            ("smtp://ann:3?cret@mail.example.org", ServerError::Excess),
            ("smtp://ann:3#cret@mail.example.org", ServerError::Excess),
            ("smtp://ann@mail.example.org", ServerError::HalfAccount),
            ("smtp://:s3cret@mail.example.org", ServerError::HalfAccount),
        ] {
            assert_eq!(Server::parse(url), Err(error), "{url}");
            assert!(!error.to_string().contains("cret@"), "{error}");
        }
    }
}
