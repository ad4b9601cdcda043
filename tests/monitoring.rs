//! Who watches the metrics keeps up with the program: the catalogue, the operations page, the dashboard
//! and the alerts know the same ones.

// A test that can't go on says so by panicking.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use skald::telemetry::catalogue::{CATALOGUE, Kind, Metric};

fn path(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

fn read(below: &str) -> String {
    fs::read_to_string(path(below)).unwrap()
}

/// All files below a folder, as texts.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| match path.is_dir() {
        true => files(&path),
        false => vec![fs::read_to_string(&path).unwrap()],
    });
    texts.flatten().collect()
}

/// The metrics that the code records, with their kinds.
fn recorded() -> BTreeSet<(String, &'static str)> {
    let macros = [("counter!(", "counter"), ("gauge!(", "gauge"), ("histogram!(", "histogram")];
    let mut recorded = BTreeSet::new();
    for code in files(&path("src")) {
        for (call, kind) in macros {
            let names = code.split(call).skip(1).filter_map(|rest| {
                rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next())
            });
            recorded.extend(names.map(|name| (name.to_owned(), kind)));
        }
    }
    recorded
}

fn kind(metric: &Metric) -> &'static str {
    match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

/// The names in a text that begin like ours.
fn named(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_part(c)).filter(|word| word.starts_with("skald_")).collect()
}

/// Whether `name` is a series of a metric that there is.
fn exists(name: &str) -> bool {
    CATALOGUE.iter().any(|metric| match (name.strip_prefix(metric.name), metric.kind) {
        (Some("_bucket" | "_sum" | "_count"), Kind::Histogram) => true,
        (Some(""), kind) => kind != Kind::Histogram,
        _ => false,
    })
}

#[test]
fn the_catalogue_holds_the_metrics_that_the_code_records_and_no_others() {
    let known: BTreeSet<_> =
        CATALOGUE.iter().map(|metric| (metric.name.to_owned(), kind(metric))).collect();
    assert_eq!(recorded(), known);
    assert_eq!(known.len(), CATALOGUE.len(), "each is there once");
}

#[test]
fn names_follow_the_conventions() {
    for Metric { name, kind, help, zeros } in CATALOGUE {
        assert!(name.starts_with("skald_"), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        let is_base = !["_ms", "_millis", "_micros", "_minutes", "_kb", "_mb"]
            .iter()
            .any(|unit| name.ends_with(unit));
        assert!(is_base, "{name}: seconds and bytes are the units");
        assert!(help.ends_with('.') && help.len() > 10, "{name}: {help}");
        assert!(zeros.is_empty() || *kind == Kind::Counter, "{name}");
    }
}

#[test]
fn every_metric_is_in_the_operations_page_and_nothing_else_is() {
    let page = read("docs/operations.md");
    let section =
        page.split("## Health and figures").nth(1).unwrap().split("\n## ").next().unwrap();
    for metric in CATALOGUE {
        assert!(section.contains(&format!("`{}`", metric.name)), "{} is missing", metric.name);
    }
    let told = named(section)
        .into_iter()
        .filter(|name| !exists(name) && !CATALOGUE.iter().any(|metric| metric.name == *name));
    assert_eq!(told.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_metrics_that_there_are() {
    for (file, at_least) in [
        ("docker/grafana/dashboards/skald.json", 25),
        ("docker/prometheus/alerts.yml", 10),
        ("docker/prometheus/alerts_test.yml", 8),
    ] {
        let text = read(file);
        let names = named(&text);
        assert!(names.len() >= at_least, "{file}: not all found: {names:?}");
        let missing: Vec<_> = names.into_iter().filter(|name| !exists(name)).collect();
        assert!(missing.is_empty(), "{file}: {missing:?}");
    }
}

/// A heading's address on its page, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

#[test]
fn every_alert_says_what_is_wrong_and_leads_to_what_to_do() {
    let page = read("docs/operations.md");
    let headings = page.lines().filter_map(|line| line.strip_prefix('#'));
    let anchors: BTreeSet<_> = headings.map(|line| anchor(line.trim_start_matches('#'))).collect();
    let rules = read("docker/prometheus/alerts.yml");
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() >= 12, "not all found: {}", alerts.len());
    let tested = read("docker/prometheus/alerts_test.yml");
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        let value = |key: &str| {
            let line = alert.lines().find_map(|line| line.trim().strip_prefix(key));
            line.unwrap_or_else(|| panic!("{name}: no {key}")).trim().to_owned()
        };
        assert!(["page", "ticket"].contains(&value("severity:").as_str()), "{name}");
        assert!(value("summary:").len() > 10 && value("description:").len() > 20, "{name}");
        let link = value("runbook_url:");
        let (file, heading) = link.split_once('#').unwrap();
        assert!(file.ends_with("docs/operations.md"), "{name}: {link}");
        assert!(anchors.contains(heading), "{name}: there is no heading #{heading}");
        assert!(tested.contains(&format!("alertname: {name}\n")), "{name} is not tested");
    }
}
