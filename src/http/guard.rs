//! Who may talk to this server: no foreign name that was made to point here (DNS rebinding), and no
//! foreign page that posts in its visitor's name (cross-site request forgery).

use std::net::IpAddr;

use actix_web::http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use actix_web::http::{Method, Uri};

use super::problem::{Kind, Problem};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What probes and scrapers ask for. They go by address, and a page can't be served from an address
/// that it does not own, so no rebinding is possible with one.
const BY_ADDRESS: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Knows the names under which this server may be reached.
#[derive(Debug, Default)]
pub struct Guard {
    names: Vec<String>,
}

/// A host and the port it names, if it names one.
#[derive(Clone, Copy, Debug)]
struct Authority<'a> {
    host: &'a str,
    port: Option<u16>,
}

impl Guard {
    /// Lets in requests for loopback names and for `names`, on any port.
    pub fn new(names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self { names: names.into_iter().map(|name| name.as_ref().to_ascii_lowercase()).collect() }
    }

    /// Checks where a request was sent to and where it comes from.
    ///
    /// # Errors
    /// A problem that says which header refuses it; the request must not be carried out.
    pub fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let host = asked_host(uri, headers)?;
        let by_address = BY_ADDRESS.contains(&uri.path()) && address(host.host).is_some();
        if !by_address && !self.knows(host.host) {
            return Err(Problem::new(
                Kind::WrongHost,
                "the Host header is neither a loopback name nor a configured one",
            ));
        }
        if method.is_safe() { Ok(()) } else { self.check_source(host, headers) }
    }

    /// Programs send neither header; browsers send them with everything that can change something.
    fn check_source(&self, host: Authority<'_>, headers: &HeaderMap) -> Result<(), Problem> {
        if headers.get(&SEC_FETCH_SITE).is_some_and(|site| site == "cross-site") {
            return Err(Problem::new(
                Kind::CrossSite,
                "the browser says that a page of another site sent this",
            ));
        }
        let fits = |origin: &HeaderValue| {
            origin.to_str().is_ok_and(|origin| self.is_own_origin(origin, host))
        };
        if headers.get_all(ORIGIN).all(fits) {
            Ok(())
        } else {
            Err(Problem::new(
                Kind::CrossSite,
                "the Origin header is neither this server nor a configured name",
            ))
        }
    }

    fn is_own_origin(&self, origin: &str, host: Authority<'_>) -> bool {
        let Some((scheme, rest)) = origin.split_once("://") else { return false };
        let default_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return false,
        };
        let Some(origin) = Authority::parse(rest) else { return false };
        let same_port = origin.port.unwrap_or(default_port) == host.port.unwrap_or(default_port);
        let same = origin.host.eq_ignore_ascii_case(host.host) && same_port;
        same || self.is_configured(origin.host)
    }

    fn knows(&self, host: &str) -> bool {
        host.eq_ignore_ascii_case("localhost")
            || address(host).is_some_and(|address| address.is_loopback())
            || self.is_configured(host)
    }

    fn is_configured(&self, host: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }
}

/// The host that a request is meant for.
///
/// Never taken from `Forwarded` and its kin: anybody can write these.
fn asked_host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<Authority<'a>, Problem> {
    let mut hosts = headers.get_all(HOST);
    let named = hosts.next().map(HeaderValue::to_str);
    let in_uri = uri.authority().map(actix_web::http::uri::Authority::as_str);
    let text = match (named, in_uri, hosts.next()) {
        (Some(Ok(named)), None, None) => named,
        (None, Some(in_uri), None) => in_uri,
        (Some(Ok(named)), Some(in_uri), None) if named.eq_ignore_ascii_case(in_uri) => named,
        _ => return Err(Problem::header("Host", "must be given once, and once only")),
    };
    Authority::parse(text).ok_or_else(|| Problem::header("Host", "must be a name and maybe a port"))
}

impl<'a> Authority<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let host_ends = match text.strip_prefix('[') {
            Some(rest) => rest.find(']')? + 2,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, rest) = text.split_at_checked(host_ends)?;
        let port = match rest.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
            None if rest.is_empty() => None,
            None => return None,
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b);
        (!host.is_empty() && host.bytes().all(plain)).then_some(Self { host, port })
    }
}

fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Option<Kind> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        let guard = Guard::new(["Skald.Example"]);
        let uri = path.parse().unwrap();
        guard.check(&method, &uri, &map).err().map(|problem| problem.kind())
    }

    #[test]
    fn only_loopback_and_configured_names_are_let_in() {
        let known = [
            "localhost",
            "LOCALHOST:7070",
            "127.0.0.1",
            "127.8.0.9:1",
            "[::1]",
            "[::1]:7070",
            "skald.example:443",
        ];
        for host in known {
            assert_eq!(check(Method::GET, "/", &[(HOST, host)]), None, "{host}");
        }
        let foreign = [
            "evil.example",
            "localhost.evil.example",
            "evil.example:7070",
            "127.0.0.1.evil.example",
            "10.0.0.7:7070",
            "[2001:db8::1]",
            "localhost.",
            "2130706433",
        ];
        for host in foreign {
            let found = check(Method::GET, "/v1/orders", &[(HOST, host)]);
            assert_eq!(found, Some(Kind::WrongHost), "{host}");
        }
        for host in [
            "",
            ":7070",
            "localhost:http",
            "localhost:+80",
            "localhost:99999",
            "a@localhost",
            "[::1",
            "[::1]x",
        ] {
            let found = check(Method::GET, "/", &[(HOST, host)]);
            assert_eq!(found, Some(Kind::BadParameter), "{host}");
        }
    }

    #[test]
    fn a_host_is_given_once_and_once_only() {
        assert_eq!(check(Method::GET, "/", &[]), Some(Kind::BadParameter));
        let twice = [(HOST, "localhost"), (HOST, "evil.example")];
        assert_eq!(check(Method::GET, "/", &twice), Some(Kind::BadParameter));
        let other = check(Method::GET, "http://evil.example/", &[(HOST, "localhost")]);
        assert_eq!(other, Some(Kind::BadParameter));
        assert_eq!(check(Method::GET, "http://localhost/", &[(HOST, "localhost")]), None);
        assert_eq!(check(Method::GET, "http://evil.example/", &[]), Some(Kind::WrongHost));
    }

    #[test]
    fn probes_may_go_by_address_but_not_by_a_foreign_name() {
        for path in BY_ADDRESS {
            assert_eq!(check(Method::GET, path, &[(HOST, "10.0.0.7:7070")]), None);
            assert_eq!(check(Method::GET, path, &[(HOST, "evil.example")]), Some(Kind::WrongHost));
        }
    }

    #[test]
    fn what_changes_something_must_come_from_here() {
        let from = |origin| check(Method::POST, "/", &[(HOST, "localhost:7070"), (ORIGIN, origin)]);
        for own in ["http://localhost:7070", "https://skald.example", "https://skald.example:8443"]
        {
            assert_eq!(from(own), None, "{own}");
        }
        let foreign = [
            "null",
            "http://localhost",
            "http://localhost:3000",
            "http://127.0.0.1:7070",
            "https://evil.example",
            "http://localhost:7070.evil.example",
            "ftp://localhost:7070",
            "",
        ];
        for origin in foreign {
            assert_eq!(from(origin), Some(Kind::CrossSite), "{origin}");
        }
        let read = [(HOST, "localhost:7070"), (ORIGIN, "https://evil.example")];
        assert_eq!(check(Method::GET, "/", &read), None);
    }

    #[test]
    fn the_default_port_may_be_left_out_on_either_side() {
        let both = |host, origin| check(Method::PUT, "/", &[(HOST, host), (ORIGIN, origin)]);
        assert_eq!(both("localhost", "http://localhost:80"), None);
        assert_eq!(both("localhost:443", "https://localhost"), None);
        assert_eq!(both("localhost:443", "http://localhost"), Some(Kind::CrossSite));
    }

    #[test]
    fn a_cross_site_request_is_refused_even_without_an_origin() {
        let with = |site| check(Method::POST, "/", &[(HOST, "localhost"), (SEC_FETCH_SITE, site)]);
        assert_eq!(with("cross-site"), Some(Kind::CrossSite));
        assert_eq!(with("same-origin"), None);
        assert_eq!(with("none"), None);
    }
}
