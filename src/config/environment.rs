//! Settings from environment variables.

use std::borrow::Cow;
use std::ffi::OsString;

use super::given::{Fault, Given, Place, Value};

/// What all our variables begin with.
const PREFIX: &str = "SKALD_";

/// Variables that are read elsewhere: the file's name, and the servers that commands talk to.
pub const CONFIG: &str = "SKALD_CONFIG";
const ELSEWHERE: [&str; 3] = [CONFIG, "SKALD_URL", "SKALD_MANAGEMENT_URL"];

/// What other programs call settings of ours. Our own name beats it.
const ALIASES: [(&str, &str); 1] = [("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_url")];

/// What Kubernetes sets in every container beside a service called `skald`, and what `scripts/stack` tells the tests.
const FOREIGN: [&str; 3] = ["SKALD_PORT", "SKALD_SERVICE_", "SKALD_TEST_"];

/// The settings among `variables`, and a fault for each that is not UTF-8. An empty variable counts as
/// not given.
pub fn given(variables: impl Iterator<Item = (OsString, OsString)>) -> (Vec<Given>, Vec<Fault>) {
    let mut given = Vec::new();
    let mut under_aliases = Vec::new();
    let mut faults = Vec::new();
    for (name, value) in variables {
        let name = name.to_string_lossy().into_owned();
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        if !(is_setting(&name) || alias.is_some()) || value.is_empty() {
            continue;
        }
        let place = Place::Variable(name.clone());
        let value = match value.into_string() {
            Ok(text) => Value::Plain(text),
            Err(_) => {
                faults.push(Fault { place, detail: "must be UTF-8".to_owned() });
                continue;
            }
        };
        match alias {
            Some((_, key)) => under_aliases.push(Given { name: Cow::Borrowed(key), value, place }),
            None => given.push(Given { name: Cow::Owned(name), value, place }),
        }
    }
    given.extend(under_aliases);
    (given, faults)
}

fn is_setting(name: &str) -> bool {
    name.starts_with(PREFIX)
        && !ELSEWHERE.contains(&name)
        && !FOREIGN.iter().any(|foreign| name.starts_with(foreign))
}
