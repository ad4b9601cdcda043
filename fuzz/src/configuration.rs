//! Settings, from variables and a file.

use std::ffi::OsString;
use std::fmt::Write;

use skald::bus::rabbitmq::Address;
use skald::config::{Config, ConfigError, Fault, Origin, Place, Sources, Value};
use skald::coordination::redis;
use skald::store::postgres;

const FILE: &str = "skald.toml";

/// A password, which nothing may show.
const PASSWORD: &str = "s3cret";

/// The settings that may hold one, with how they begin.
const SECRETS: [(&str, &str); 6] = [
    ("store.url", "postgres://ada"),
    ("store.inventory_url", "postgresql://ada"),
    ("store.notification_url", "postgres://ada"),
    ("bus.url", "amqp://ada"),
    ("redis.url", "redis://ada"),
    ("mail.url", "smtp://ada"),
];

type Resolved = Result<(Config, Vec<Origin>), ConfigError>;
type Variables = Vec<(OsString, OsString)>;

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (variables, file) = text.split_once("---\n").unwrap_or(("", text));
    let variables: Variables = variables
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    match resolve(&variables, file) {
        Ok((_, origins)) => means_the_same_as_variables(&variables, file, &origins),
        Err(ConfigError::Faults(faults)) => {
            assert!(!faults.is_empty());
            faults.iter().for_each(|fault| names_its_place(fault, &variables, file));
        }
        Err(error) => panic!("{error}"),
    }
    if !file.contains(PASSWORD) {
        keeps_passwords(file);
    }
}

fn resolve(variables: &Variables, file: &str) -> Resolved {
    Sources::default().resolve(variables.iter().cloned(), Some((FILE, file)))
}

fn names_its_place(fault: &Fault, variables: &Variables, file: &str) {
    assert!(!fault.detail.is_empty());
    match &fault.place {
        Place::File { path, line, column } => {
            assert_eq!(path, FILE);
            let lines: Vec<&str> = file.split('\n').collect();
            let there = lines.get(line - 1).map_or(0, |line| line.chars().count());
            assert!((1..=there + 1).contains(column), "{fault} in {file:?}");
        }
        Place::Variable(name) => {
            assert!(variables.iter().any(|(given, _)| given.to_str() == Some(name)), "{fault}");
        }
        Place::Flag(_) | Place::Command => panic!("{fault}"),
    }
    assert!(fault.to_string().starts_with(&fault.place.to_string()));
}

/// A setting of the file means the same as a variable.
fn means_the_same_as_variables(given: &Variables, file: &str, origins: &[Origin]) {
    let (config, _) = resolve(given, file).unwrap();
    let mut variables = given.clone();
    for Origin { setting, given } in origins {
        let Some((value, Place::File { .. })) = given else { continue };
        let text = match value {
            // What may hold a password is not told in full.
            Value::Text(_) if SECRETS.iter().any(|(key, _)| *key == setting.key) => continue,
            Value::Text(text) if !text.is_empty() => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Boolean(truth) => truth.to_string(),
            // A variable separates the entries of a list, and must not be empty.
            _ => continue,
        };
        variables.push((setting.variable().into(), text.into()));
    }
    let (again, _) = resolve(&variables, file).unwrap_or_else(|error| panic!("{error}"));
    // NaN is no ratio that is taken, so equal settings are equal.
    assert_eq!(again, config);
}

/// A password is not shown, whatever stands behind it and wherever it was given.
fn keeps_passwords(behind: &str) {
    let line = behind.lines().next().unwrap_or_default();
    for (key, start) in SECRETS {
        let url = format!("{start}:{PASSWORD}{line}");
        let variable = format!("SKALD_{}", key.replace('.', "_").to_uppercase());
        is_kept(&resolve(&vec![(variable.into(), url.clone().into())], ""));
        for file in [
            format!("{key} = '{url}'\n"),
            format!("{key} = ['{url}']\n"),
            format!("{key} = {url}\n"),
            format!("{key} = \"{start}:{PASSWORD}{behind}"),
        ] {
            is_kept(&resolve(&Variables::new(), &file));
        }
    }
    let behind = |start: &str| format!("{start}:{PASSWORD}{line}");
    let refused = [
        Address::parse(&behind("amqp://ada")).err().map(|error| error.to_string()),
        redis::Address::parse(&behind("redis://ada")).err().map(|error| error.to_string()),
        postgres::check_url(&behind("postgres://ada")).err().map(str::to_owned),
    ];
    refused.iter().flatten().for_each(|told| assert!(!told.contains(PASSWORD), "{told}"));
}

fn is_kept(resolved: &Resolved) {
    let shown = match resolved {
        Ok((config, origins)) => {
            let mut shown = format!("{config:?} {origins:?}");
            for (value, place) in origins.iter().filter_map(|origin| origin.given.as_ref()) {
                write!(shown, " {value} {place}").unwrap();
            }
            shown
        }
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(!shown.contains(PASSWORD), "{shown}");
}
