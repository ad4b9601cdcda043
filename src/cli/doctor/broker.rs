//! RabbitMQ, as AMQP shows it: who answers, which exchanges and queues there are, who consumes them.

use super::finding::{Finding, some};
use crate::bus::rabbitmq::inspect::{Found, Inspection, QueueFound, inspect};
use crate::bus::rabbitmq::{Address, AddressError};
use crate::config::Config;
use crate::ports::bus::QueueSpec;

/// Looks for `queues` on each of the addresses in turn.
pub async fn findings(config: &Config, queues: &[QueueSpec]) -> Vec<Finding> {
    let addresses: Result<Vec<Address>, AddressError> =
        config.bus.addresses.iter().map(|url| Address::parse(url.reveal())).collect();
    let addresses = match addresses {
        Ok(addresses) => addresses,
        Err(error) => {
            return vec![Finding::fail("broker", error.to_string(), "repair bus.url")];
        }
    };
    let mut findings = Vec::new();
    let mut seen = None;
    for address in &addresses {
        match inspect(address, queues).await {
            Ok(inspection) => {
                findings.push(Finding::ok("broker", format!("RabbitMQ at {address} lets us in")));
                seen = seen.or(Some(inspection));
            }
            Err(cause) => {
                let fix = "check that RabbitMQ runs there, and the user, password and virtual host in bus.url";
                findings.push(Finding::fail("broker", format!("{address}: {cause}"), fix));
            }
        }
    }
    findings.extend(seen.iter().flat_map(judged));
    findings
}

/// What exchanges and queues say of an installation.
fn judged(Inspection { missing_exchanges, queues }: &Inspection) -> Vec<Finding> {
    let names = |is: fn(&Found) -> bool| -> Vec<&str> {
        let these = queues.iter().filter(|queue| is(&queue.found));
        these.map(|queue| queue.name.as_str()).collect()
    };
    let missing = names(|found| matches!(found, Found::Missing));
    let mut findings = vec![exchanges(missing_exchanges)];
    findings.push(match missing.len() {
        0 => Finding::ok("queues", format!("all {} are there", queues.len())),
        n if n == queues.len() => Finding::warn(
            "queues",
            "there is none yet",
            "start a node and the workers: each declares what it needs",
        ),
        n => Finding::fail(
            "queues",
            format!("{n} of {} are missing: {}", queues.len(), some(&missing)),
            "start a node and the workers, or restart them: each declares what it needs",
        ),
    });
    let silent = queues.iter().filter_map(|queue| match &queue.found {
        Found::Silent(cause) => Some(format!("{} ({cause})", queue.name)),
        _ => None,
    });
    let silent: Vec<String> = silent.collect();
    if !silent.is_empty() {
        findings.push(Finding::fail(
            "queues",
            format!("{} do not answer: {}", silent.len(), some(&silent)),
            "see whether most of their replicas are up (rabbitmq-queues quorum_status); a queue that lost its log must be deleted, and is declared again",
        ));
    }
    findings.extend(consumers(queues));
    findings
}

fn exchanges(missing: &[&str]) -> Finding {
    match missing {
        [] => Finding::ok("exchanges", "all are there"),
        missing => Finding::warn(
            "exchanges",
            format!("missing: {}", some(missing)),
            "start a node or a worker: each declares them",
        ),
    }
}

/// Whether somebody takes what comes.
fn consumers(queues: &[QueueFound]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut waiting: Vec<String> = Vec::new();
    for QueueFound { name, found } in queues {
        let Found::There { ready, consumers: 0 } = found else { continue };
        match name.strip_suffix(".commands") {
            Some(service) if *ready == 0 => findings.push(Finding::warn(
                "consumers",
                format!("nobody consumes {name}"),
                format!("start the worker: skald worker {service}, or your own"),
            )),
            _ if *ready == 0 => {}
            _ => waiting.push(format!("{name} ({ready})")),
        }
    }
    if !waiting.is_empty() {
        let told = format!("messages wait and nobody consumes them: {}", some(&waiting));
        let fix = "start the workers (….commands) or a node (skald.replies.N, skald.dead-letters); if they run, read their logs";
        findings.push(Finding::fail("consumers", told, fix));
    }
    if findings.is_empty() {
        findings.push(Finding::ok("consumers", "whatever waits has somebody who takes it"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Verdict;

    fn queue(name: &str, found: Found) -> QueueFound {
        QueueFound { name: name.to_owned(), found }
    }

    fn there(name: &str, ready: u32, consumers: u32) -> QueueFound {
        queue(name, Found::There { ready, consumers })
    }

    fn worst(queues: Vec<QueueFound>) -> Verdict {
        let inspection = Inspection { missing_exchanges: Vec::new(), queues };
        judged(&inspection).into_iter().map(|finding| finding.verdict).max().unwrap()
    }

    #[test]
    fn an_installation_that_works_is_well() {
        let queues = vec![
            there("inventory.commands", 5, 1),
            there("skald.replies.0", 0, 1),
            there("skald.dead-letters", 0, 0),
        ];
        assert_eq!(worst(queues), Verdict::Ok);
    }

    #[test]
    fn messages_that_nobody_takes_are_a_failure_and_a_worker_that_is_away_a_warning() {
        assert_eq!(worst(vec![there("inventory.commands", 0, 0)]), Verdict::Warn);
        assert_eq!(worst(vec![there("inventory.commands", 1, 0)]), Verdict::Fail);
        assert_eq!(worst(vec![there("skald.replies.7", 1, 0)]), Verdict::Fail);
    }

    #[test]
    fn some_queues_missing_is_worse_than_all() {
        let missing = |name| queue(name, Found::Missing);
        assert_eq!(
            worst(vec![missing("skald.replies.0"), missing("skald.replies.1")]),
            Verdict::Warn
        );
        assert_eq!(
            worst(vec![missing("skald.replies.0"), there("skald.replies.1", 0, 1)]),
            Verdict::Fail
        );
        let silent = queue("skald.replies.0", Found::Silent("no leader".to_owned()));
        assert_eq!(worst(vec![silent]), Verdict::Fail);
    }
}
