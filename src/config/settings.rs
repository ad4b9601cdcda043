//! How what was given is taken apart.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::catalogue::{Setting, catalogue, variable};
use super::given::{Fault, Given, Origin, Place, Value};

/// Whether a value may be shown.
#[derive(Clone, Copy)]
enum Show {
    Always,
    WithoutSecrets,
}

/// What was given, taken apart setting by setting.
///
/// Faults are gathered; [`Settings::finish`] tells them, and what nobody took.
#[derive(Debug)]
pub struct Settings {
    given: Vec<Given>,
    taken: Vec<Taken>,
    faults: Vec<Fault>,
}

/// A setting that somebody asked for, and what was given that counts.
#[derive(Debug)]
struct Taken {
    key: &'static str,
    given: Option<(Value, Place)>,
}

impl Settings {
    /// Takes apart `given`, of which the first counts where several give the same setting. Adds to
    /// the `faults` that were found in reading it.
    pub fn of(given: Vec<Given>, faults: Vec<Fault>) -> Self {
        Self { given, taken: Vec::new(), faults }
    }

    /// Takes a text that is read by `read`; `wanted` tells what would be right.
    pub fn text<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        self.take(key, wanted, |value| match value {
            Value::Plain(text) | Value::Text(text) => read(text),
            _ => None,
        })
    }

    /// Takes a text that no fault repeats.
    pub fn secret<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        self.take_as(key, wanted, Show::WithoutSecrets, |value| match value {
            Value::Plain(text) | Value::Text(text) => read(text),
            _ => None,
        })
    }

    /// Takes a list whose entries no fault repeats; a single text is a list, too, and separates its
    /// entries by commas.
    pub fn secrets<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.take_as(key, wanted, Show::WithoutSecrets, |value| match value {
            Value::Plain(text) | Value::Text(text) => {
                text.split(',').map(|entry| read(entry.trim())).collect()
            }
            Value::List(entries) => entries.iter().map(|entry| read(entry)).collect(),
            _ => None,
        })
    }

    /// Takes a path.
    pub fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let usable = |text: &str| !text.is_empty() && !text.contains('\0');
        self.text(key, "the path of a folder", |text| usable(text).then(|| PathBuf::from(text)))
    }

    /// Takes a whole number within `bounds`.
    pub fn whole_number<T: TryFrom<u64>>(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<u64>,
    ) -> Option<T> {
        let wanted = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        self.take(key, &wanted, |value| {
            let number = match value {
                Value::Plain(text) => text.parse().ok()?,
                Value::Integer(number) => u64::try_from(*number).ok()?,
                _ => return None,
            };
            Some(number).filter(|number| bounds.contains(number))?.try_into().ok()
        })
    }

    /// Takes a number from 0 to 1.
    pub fn fraction(&mut self, key: &'static str) -> Option<f64> {
        self.take(key, "a number from 0 to 1", |value| {
            let number: f64 = match value {
                Value::Plain(text) | Value::Decimal(text) => text.parse().ok()?,
                Value::Integer(number) => *number as f64,
                _ => return None,
            };
            Some(number).filter(|number| (0.0..=1.0).contains(number))
        })
    }

    /// Takes whether something is to be.
    pub fn switch(&mut self, key: &'static str) -> Option<bool> {
        self.take(key, "true or false", |value| match value {
            Value::Plain(text) => text.parse().ok(),
            Value::Boolean(value) => Some(*value),
            _ => None,
        })
    }

    /// Takes a list whose entries are read by `read`; in plain text they are separated by commas.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.take(key, wanted, |value| match value {
            Value::Plain(text) => text.split(',').map(|entry| read(entry.trim())).collect(),
            Value::List(entries) => entries.iter().map(|entry| read(entry)).collect(),
            _ => None,
        })
    }

    fn take<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        self.take_as(key, wanted, Show::Always, read)
    }

    fn take_as<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        show: Show,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let variable = variable(key);
        let is_it = |given: &mut Given| given.name == key || given.name == variable;
        let mut strongest = None;
        for Given { value, place, .. } in self.given.extract_if(.., is_it) {
            match read(&value) {
                Some(read) => strongest = strongest.or(Some((read, value, place))),
                None => {
                    let detail = match show {
                        Show::Always => format!("{key} must be {wanted}, not {value}"),
                        Show::WithoutSecrets => format!("{key} must be {wanted}"),
                    };
                    self.faults.push(Fault { place, detail });
                }
            }
        }
        let (read, given) = match strongest {
            Some((read, value, place)) => {
                let shown = match show {
                    Show::Always => value,
                    Show::WithoutSecrets => value.redacted(),
                };
                (Some(read), Some((shown, place)))
            }
            None => (None, None),
        };
        self.taken.push(Taken { key, given });
        read
    }

    /// The keys that somebody asked for.
    #[cfg(test)]
    pub fn keys(&self) -> Vec<&'static str> {
        self.taken.iter().map(|taken| taken.key).collect()
    }

    /// Ends the taking: every setting, in the catalogue's order, with where it comes from.
    ///
    /// # Errors
    /// When a setting was wrong, or is not known; all faults at once.
    pub fn finish(self) -> Result<Vec<Origin>, Vec<Fault>> {
        let Self { given, mut taken, mut faults } = self;
        // A table that only has a heading sets nothing, and is no fault where its name is right.
        let harmless = |given: &Given| {
            let inside = format!("{}.", given.name);
            given.value == Value::Other("table")
                && catalogue().any(|setting| setting.key.starts_with(&inside))
        };
        let unknown = given.into_iter().filter(|given| !harmless(given));
        faults.extend(unknown.map(|Given { name, place, .. }| {
            let known: Vec<String> = match place {
                Place::Variable(_) => catalogue().map(Setting::variable).collect(),
                _ => catalogue().map(|setting| setting.key.to_owned()).collect(),
            };
            let detail = format!("{name} is not a setting; known are {}", known.join(", "));
            Fault { place, detail }
        }));
        if !faults.is_empty() {
            return Err(faults);
        }
        let origin = |setting: &'static Setting| {
            let taken = taken.iter_mut().find(|taken| taken.key == setting.key);
            Origin { setting, given: taken.and_then(|taken| taken.given.take()) }
        };
        Ok(catalogue().map(origin).collect())
    }
}
