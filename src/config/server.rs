//! Listening for requests.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::thread::available_parallelism;

use super::catalogue::Setting;
use super::settings::Settings;

/// More threads than any machine that this makes sense on has cores.
const MAX_WORKERS: u64 = 256;

/// The settings of this file.
pub(super) const SETTINGS: [Setting; 3] = [
    Setting::new(
        "server.listen",
        r#""127.0.0.1:7070""#,
        "address and port; port 0 takes any that is free",
    ),
    Setting::open(
        "server.workers",
        "the number of cores",
        "4",
        "threads that handle requests, 1 to 256",
    ),
    Setting::open(
        "server.allowed_hosts",
        "none",
        r#"["skald.example.com"]"#,
        "names under which the server may be reached, loopback names aside; a list, or in a variable separated by commas",
    ),
];

/// Listening for requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Address and port.
    pub listen: SocketAddr,
    /// Threads that handle requests.
    pub workers: usize,
    /// Names under which the server may be reached, loopback names aside; without a port.
    pub allowed_hosts: Vec<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7070)),
            workers: available_parallelism().map_or(1, NonZero::get),
            allowed_hosts: Vec::new(),
        }
    }
}

impl Server {
    pub(super) fn take(settings: &mut Settings) -> Self {
        let default = Self::default();
        let listen = settings.text(
            "server.listen",
            "an IP address and a port such as 127.0.0.1:7070",
            |text| text.parse().ok(),
        );
        let workers = settings.whole_number("server.workers", 1..=MAX_WORKERS);
        let allowed_hosts = settings.list(
            "server.allowed_hosts",
            "names without scheme and port such as skald.example.com",
            |name| is_host_name(name).then(|| name.to_owned()),
        );
        Self {
            listen: listen.unwrap_or(default.listen),
            workers: workers.unwrap_or(default.workers),
            allowed_hosts: allowed_hosts.unwrap_or(default.allowed_hosts),
        }
    }
}

fn is_host_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.bytes().all(plain),
    }
}
