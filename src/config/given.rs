//! What was given, and where.

use std::borrow::Cow;
use std::fmt;

use super::catalogue::Setting;
use super::secret;

/// Where a setting was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// By a flag.
    Flag(&'static str),
    /// By an environment variable.
    Variable(String),
    /// In a file; line and column count from 1.
    File {
        /// The file.
        path: String,
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
    /// By the command itself.
    Command,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::File { path, line, column } => write!(f, "{path}:{line}:{column}"),
            Self::Command => f.write_str("the command's own settings"),
        }
    }
}

/// What is wrong with a setting, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What is wrong, and what would be right.
    pub detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.detail)
    }
}

/// A value as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// By a flag or a variable, which know only text.
    Plain(String),
    /// A string in a file.
    Text(String),
    /// A whole number in a file.
    Integer(i64),
    /// A number with a fraction in a file, as it is written there.
    Decimal(String),
    /// A truth value in a file.
    Boolean(bool),
    /// A list of strings in a file.
    List(Vec<String>),
    /// Something else in a file, by the name of its type.
    Other(&'static str),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) | Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Decimal(number) => f.write_str(number),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::List(entries) => write!(f, "{entries:?}"),
            Self::Other(kind) => write!(f, "a value of type {kind}"),
        }
    }
}

/// A setting as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Its key, such as `server.listen`; or its variable, if it was given by one.
    pub name: Cow<'static, str>,
    /// Its value.
    pub value: Value,
    /// Where.
    pub place: Place,
}

impl Value {
    /// The same without what must not be shown.
    pub(super) fn redacted(self) -> Self {
        match self {
            Self::Plain(text) => Self::Plain(secret::redacted_list(&text)),
            Self::Text(text) => Self::Text(secret::redacted_list(&text)),
            Self::List(entries) => {
                Self::List(entries.iter().map(|entry| secret::redacted(entry)).collect())
            }
            other => other,
        }
    }
}

/// A setting with what it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Which setting.
    pub setting: &'static Setting,
    /// The value that counts, without secrets, and where it was given; none for the default.
    pub given: Option<(Value, Place)>,
}
