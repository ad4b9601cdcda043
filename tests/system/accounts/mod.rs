//! Whether everything adds up: what the databases say against what customers were told.
//!
//! | file | what must be true |
//! |---|---|
//! | `orders` | what was accepted is there once and as it was ordered; what was refused is not there; promises were kept |
//! | `sagas` | every saga has come to one end, by a history without gaps |
//! | `goods` | what is reserved is what confirmed orders hold, and never more than there is |
//! | `mails` | every customer was told the outcome: one record, one Message-ID |
//! | `messages` | every message was processed or is a dead letter, and nothing waits to be sent |
//!
//! Everything is read behind everybody's back ([`Books`]); the rules are functions of what was read, so
//! that a test can show that each of them notices what it is there for.

mod books;
mod goods;
mod mails;
mod messages;
mod orders;
mod sagas;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::path::Path;

use uuid::Uuid;

pub use books::{Books, Source};
pub use mails::{Mails, in_folder};
pub use messages::{Heard, expected, heard_in};

use crate::customer::Log;

/// What does not add up, in words.
#[derive(Default)]
pub struct Violations(pub Vec<String>);

impl Violations {
    /// Notes what is wrong with something.
    fn note(&mut self, what: impl Display, is_wrong: impl Display) {
        self.0.push(format!("{what}: {is_wrong}"));
    }

    /// Notes it where something is not as it must be.
    fn unless(&mut self, is_right: bool, what: impl Display, is_wrong: impl Display) {
        if !is_right {
            self.note(what, is_wrong);
        }
    }
}

/// What the world outside has seen.
pub struct Outside<'a> {
    /// What customers were told.
    pub log: &'a Log,
    /// The first submission that was not checked before, where the books begin later, too.
    pub first: usize,
    /// The mails that were taken.
    pub mails: Mails,
    /// The events that somebody listened to.
    pub heard: Option<Heard>,
}

/// Everything that does not add up once all is quiet.
pub fn check(books: &Books, outside: &Outside<'_>) -> Violations {
    let mut violations = Violations::default();
    orders::check(books, outside.log, outside.first, &mut violations);
    sagas::check(books, &mut violations);
    goods::check(books, &mut violations);
    mails::check(books, &outside.mails, &mut violations);
    messages::check(books, outside.heard.as_ref(), &mut violations);
    violations
}

/// Checks everything, and fails with what does not add up.
pub fn everything_adds_up(source: &Source, outside: &Outside<'_>) {
    books_add_up(&Books::read(source, None), outside);
}

/// The same for books that were read.
pub fn books_add_up(books: &Books, outside: &Outside<'_>) {
    let Violations(found) = check(books, outside);
    let shown = found.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(found.is_empty(), "{} violations, the first:\n{shown}", found.len());
    println!("{} orders, all accounted for", books.orders.len());
}

/// The same for mails in a folder and, if there is one, an event log.
pub fn all_is_well(source: &Source, log: &Log, mail: &Path, events: Option<&Path>) {
    let heard = events.map(heard_in);
    everything_adds_up(source, &Outside { log, first: 0, mails: in_folder(mail), heard });
}

/// The saga that a message or an idempotency key is about.
fn saga_of(text: &str) -> Option<Uuid> {
    text.split([':', '.']).next()?.parse().ok()
}
