//! `skald doctor`: looks at everything that an installation stands on, and changes nothing.
//!
//! | file | holds |
//! |---|---|
//! | `finding` | what a check comes to |
//! | `database`, `files` | the stores: on PostgreSQL, or as files |
//! | `schema`, `work`, `clock` | what both are judged by |
//! | `nodes` | the other nodes |
//! | `broker`, `management` | RabbitMQ, as AMQP shows it and as its management API does |
//! | `redis` | Redis, which nothing depends on |
//! | `mail` | the mail server |

mod broker;
mod clock;
mod database;
mod files;
mod finding;
mod mail;
mod management;
mod nodes;
mod redis;
mod schema;
mod work;

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use actix_web::rt::System;
use clap::Args;
use url::Url;

use super::failure::{Exit, Failure};
use super::output::{Output, plain_table, print, printable, render};
use super::settings::Settings;
use crate::app::{self, stores};
use crate::bus::rabbitmq::Address;
use crate::bus::topology;
use crate::config::Config;
use crate::ports::bus::QueueSpec;
use crate::store::postgres;
use finding::{Finding, Verdict};

/// How long all of it may take. Each part has time-outs of its own, which are shorter; what hangs in
/// spite of them is told as such.
const WITHIN: Duration = Duration::from_secs(30);

/// Looks at everything that an installation stands on.
#[derive(Args, Debug)]
pub struct Doctor {
    #[command(flatten)]
    settings: Settings,
    /// RabbitMQ's management API, which shows what AMQP does not; without an account it is asked with
    /// that of bus.url
    #[arg(
        long,
        env = "SKALD_MANAGEMENT_URL",
        hide_env_values = true,
        value_name = "URL",
        value_parser = management_url
    )]
    management_url: Option<Url>,
    /// How the result is written
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

fn management_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.has_host());
    url.ok_or_else(|| "must be a URL such as http://127.0.0.1:15672".to_owned())
}

/// One thing to look at, and what it is called.
type Part = (&'static str, Box<dyn FnOnce() -> Vec<Finding> + Send>);

impl Doctor {
    /// Prints one line a check, and what to do where something is not well.
    ///
    /// # Errors
    /// When a check failed, or the configuration is wrong.
    pub fn run(self) -> Result<(), Failure> {
        let config = Arc::new(self.settings.sources().load()?);
        let findings = examine(parts(&config, self.management_url)?, WITHIN);
        match self.output {
            Output::Table => print(&table(&findings))?,
            Output::Json => print(&serde_json::json!(findings).to_string())?,
        }
        let failed = findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count();
        match failed {
            0 => Ok(()),
            failed => {
                let what = format!("{failed} of {} checks failed", findings.len());
                Err(Failure::new(Exit::Failed, "NOT_WELL", what))
            }
        }
    }
}

/// What this configuration stands on.
fn parts(config: &Arc<Config>, management: Option<Url>) -> anyhow::Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    let mut add = |name, look: Box<dyn FnOnce() -> Vec<Finding> + Send>| parts.push((name, look));
    let databases = stores::databases(config);
    if let Some(url) = databases.orchestrator {
        let look = move || {
            let inspected = postgres::inspect_orchestrator(url.reveal());
            let (mut findings, living) = database::findings("orchestrator", inspected);
            findings.extend(System::new().block_on(nodes::findings(&living)));
            findings
        };
        add("orchestrator database", Box::new(look));
    } else if databases.inventory.is_none() && databases.notification.is_none() {
        let config = Arc::clone(config);
        add("data folder", Box::new(move || files::findings(&config.data_dir)));
    }
    if let Some(url) = databases.inventory {
        let look = move || postgres::inspect_inventory(url.reveal());
        add("inventory database", Box::new(move || database::findings("inventory", look()).0));
    }
    if let Some(url) = databases.notification {
        let look = move || postgres::inspect_notification(url.reveal());
        add(
            "notification database",
            Box::new(move || database::findings("notification", look()).0),
        );
    }
    if !config.bus.addresses.is_empty() {
        let config = Arc::clone(config);
        let queues = topology::queues(&app::catalogue()?, postgres::SHARDS);
        let look = move || System::new().block_on(rabbitmq(&config, management, &queues));
        add("broker", Box::new(look));
    }
    let beside = Arc::clone(config);
    add("redis", Box::new(move || redis::findings(&beside)));
    let config = Arc::clone(config);
    add("mail server", Box::new(move || mail::findings(&config)));
    Ok(parts)
}

/// RabbitMQ, as far as it can be seen.
async fn rabbitmq(config: &Config, management: Option<Url>, queues: &[QueueSpec]) -> Vec<Finding> {
    let mut findings = broker::findings(config, queues).await;
    let mut addresses = config.bus.addresses.iter();
    let address = addresses.find_map(|url| Address::parse(url.reveal()).ok());
    match (management, address) {
        (Some(url), Some(address)) => {
            findings.extend(management::Api::of(&url, &address).findings(queues).await);
        }
        _ => findings.push(management::unknown()),
    }
    findings
}

/// Looks at all parts at the same time; their findings come in the order of the parts.
fn examine(parts: Vec<Part>, within: Duration) -> Vec<Finding> {
    let until = Instant::now() + within;
    let (tell, told) = channel();
    let mut findings: Vec<Vec<Finding>> = Vec::new();
    for (n, (name, look)) in parts.into_iter().enumerate() {
        let late = Finding::fail(
            name,
            format!("no answer within {} s", within.as_secs()),
            "whatever is there takes connections and says nothing: look at its own log",
        );
        findings.push(vec![late]);
        let tell = tell.clone();
        // It ends with the process, should it hang.
        thread::spawn(move || tell.send((n, look())));
    }
    drop(tell);
    loop {
        match told.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((n, found)) => findings[n] = found,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return findings.into_iter().flatten().collect();
            }
        }
    }
}

/// One line a check; what to do stands below it.
fn table(findings: &[Finding]) -> String {
    let mut lines = plain_table();
    for Finding { check, verdict, found, fix } in findings {
        lines.add_row([verdict.as_str(), &printable(check), &printable(found)]);
        if let Some(fix) = fix {
            lines.add_row(["", "", &format!("fix: {}", printable(fix))]);
        }
    }
    render(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_hangs_is_told_and_holds_up_nobody() {
        let (_hold, held) = channel::<()>();
        let hangs = move || {
            let _ = held.recv();
            Vec::new()
        };
        let well = || vec![Finding::ok("mail server", "well")];
        let parts: Vec<Part> = vec![("broker", Box::new(hangs)), ("mail", Box::new(well))];
        let findings = examine(parts, Duration::from_millis(50));
        assert_eq!(findings[0].verdict, Verdict::Fail);
        assert!(findings[0].found.contains("no answer"), "{findings:?}");
        assert_eq!(findings[1], Finding::ok("mail server", "well"));
    }

    #[test]
    fn each_check_is_a_line_and_what_to_do_stands_below() {
        let findings = [Finding::ok("a", "fine"), Finding::fail("longer", "broken", "mend it")];
        let expected = "ok    a       fine\nfail  longer  broken\n              fix: mend it";
        assert_eq!(table(&findings), expected);
    }
}
