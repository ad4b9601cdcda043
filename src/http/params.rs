//! Parameters of the path and the query.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::web::Query;
use uuid::Uuid;

use super::page::{DEFAULT_LIMIT, MAX_LIMIT, PageOf};
use super::problem::{Fault, Place, Problem};

/// Longer than any id or business key that could be looked for.
const MAX_TEXT: usize = 128;

/// The most parameters that are told to be wrong because nobody knows them. An answer should not be much
/// longer than its question.
const MOST_UNKNOWN: usize = 20;

/// The query of a request, taken apart parameter by parameter.
///
/// An empty parameter counts as not given. Faults are gathered; [`Params::finish`] tells them, and
/// what nobody took.
#[derive(Debug)]
pub struct Params {
    given: Vec<(String, String)>,
    faults: Vec<Fault>,
}

impl Params {
    /// Takes a query apart.
    pub fn of(query: &str) -> Self {
        match Query::<Vec<(String, String)>>::from_query(query) {
            Ok(given) => Self { given: given.into_inner(), faults: Vec::new() },
            Err(_) => {
                let fault = Fault::at(Place::Parameter("?".into()), "the query can't be read");
                Self { given: Vec::new(), faults: vec![fault] }
            }
        }
    }

    /// Takes a parameter that is read by `read`; `wanted` tells what would be right.
    pub fn read<T>(
        &mut self,
        name: &'static str,
        wanted: impl Into<Cow<'static, str>>,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.take(name)?;
        let value = read(&text);
        if value.is_none() {
            self.faults.push(Fault::at(Place::Parameter(name.into()), wanted));
        }
        value
    }

    /// Takes a free text without control characters.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        let wanted = format!("must be at most {MAX_TEXT} bytes without control characters");
        self.read(name, wanted, |text| {
            let fits = text.len() <= MAX_TEXT && !text.chars().any(char::is_control);
            fits.then(|| text.to_owned())
        })
    }

    /// Takes one of a closed set of names.
    pub fn one_of<T>(
        &mut self,
        name: &'static str,
        all: &[&str],
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.read(name, format!("must be one of {}", all.join(", ")), read)
    }

    /// Takes `limit` and `cursor`.
    pub fn page<C: FromStr + Display>(&mut self) -> PageOf<C> {
        let limit = self.read("limit", format!("must be from 1 to {MAX_LIMIT}"), |text| {
            text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit))
        });
        let after = self.read("cursor", "must be the nextCursor of the page before", as_given);
        PageOf { limit: limit.unwrap_or(DEFAULT_LIMIT), after }
    }

    /// Ends the taking.
    ///
    /// # Errors
    /// When a parameter was wrong, given twice, or is not known here.
    pub fn finish(mut self) -> Result<(), Problem> {
        let unknown = self.given.into_iter().take(MOST_UNKNOWN).map(|(name, _)| {
            let plain = name.chars().filter(|c| !c.is_control());
            let name: String = plain.take(MAX_TEXT).collect();
            Fault::at(Place::Parameter(name.into()), "is not known here, or is given twice")
        });
        self.faults.extend(unknown);
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::bad_parameters(self.faults)) }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let place = self.given.iter().position(|(given, _)| given == name)?;
        Some(self.given.remove(place).1).filter(|text| !text.is_empty())
    }
}

/// Reads what the API gave out: each thing has one spelling, and what somebody made of it by hand is
/// none of it.
pub fn as_given<T: FromStr + Display>(text: &str) -> Option<T> {
    text.parse().ok().filter(|read: &T| read.to_string() == text)
}

/// Reads an id from the path.
///
/// # Errors
/// [`Kind::BadParameter`](super::problem::Kind::BadParameter) if it is not a UUID.
pub fn path_id(request: &HttpRequest) -> Result<Uuid, Problem> {
    let text = request.match_info().get("id").unwrap_or_default();
    // The parser also takes other spellings of a UUID; each thing has one URL only.
    Uuid::parse_str(text)
        .ok()
        .filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH)
        .ok_or_else(|| Problem::parameter("id", "must be a UUID such as the API gives out"))
}
