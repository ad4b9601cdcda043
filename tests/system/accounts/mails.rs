//! Every customer is told the outcome: one record for each order, one Message-ID for each record.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::books::{Books, Notification};
use super::{Violations, saga_of};

/// How often each Message-ID was taken.
pub type Mails = BTreeMap<String, usize>;

pub fn check(books: &Books, mails: &Mails, violations: &mut Violations) {
    let mut by_order: BTreeMap<&str, Vec<&Notification>> = BTreeMap::new();
    for notification in &books.notifications {
        by_order.entry(&notification.order_id).or_default().push(notification);
    }
    let mut recorded = BTreeMap::new();
    for (id, order) in &books.orders {
        let told = by_order.remove(id.to_string().as_str()).unwrap_or_default();
        violations.unless(told.len() == 1, id, format!("{} records: {told:?}", told.len()));
        for told in told {
            let (saga, user) = (saga_of(&told.key), &order.user);
            let fits = told.template == format!("ORDER_{}", order.status)
                && told.outcome == "SENT"
                && saga == Some(order.saga)
                && told.recipient.as_deref() == Some(&format!("{user}@example.org"));
            violations.unless(fits, id, format!("{order:?} was told {told:?}"));
            recorded.insert(told.key.replace(':', "."), id);
        }
    }
    for (order, told) in by_order {
        violations.note(order, format!("no order, but {told:?}"));
    }
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    for id in mails.keys().filter(|id| saga_of(id) > books.since) {
        let (part, _) = id.split_once('@').unwrap_or((id, ""));
        violations.unless(recorded.contains_key(part), id, "a mail that no record knows");
        *taken.entry(part).or_default() += 1;
    }
    for (part, order) in &recorded {
        let ids = taken.get(part.as_str()).copied().unwrap_or(0);
        violations.unless(ids == 1, order, format!("{ids} Message-IDs of {part}"));
    }
}

/// The mails in a folder.
pub fn in_folder(folder: &Path) -> Mails {
    let mut found = Mails::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(in_folder(&path));
        } else if path.extension().is_some_and(|extension| extension == "eml") {
            let text = fs::read_to_string(&path).unwrap();
            let header = text.lines().find_map(|line| line.strip_prefix("Message-ID: <"));
            let id = header.and_then(|rest| rest.strip_suffix('>')).unwrap();
            *found.entry(id.to_owned()).or_default() += 1;
        }
    }
    found
}
