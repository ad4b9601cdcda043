//! Settings from a TOML file.

use std::borrow::Cow;

use toml::de::{DeTable, DeValue, Error};

use super::given::{Fault, Given, Place, Value};

/// The settings in `text`, which came from the file at `path`.
///
/// # Errors
/// When it is not TOML: each line that is not, by its first mistake. What could be read beside them is
/// left alone, for nobody knows which table it belongs to.
pub fn given(path: &str, text: &str) -> Result<Vec<Given>, Vec<Fault>> {
    let mut file = File { path, text, given: Vec::new() };
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        file.flatten(None, table.get_ref());
        return Ok(file.given);
    }
    let fault = |error: &Error| Fault {
        place: file.place(error.span().map_or(0, |span| span.start)),
        detail: error.message().to_owned(),
    };
    let mut faults: Vec<Fault> = errors.iter().map(fault).collect();
    faults.dedup_by_key(|fault| match fault.place {
        Place::File { line, .. } => line,
        _ => 0,
    });
    Err(faults)
}

struct File<'a> {
    path: &'a str,
    text: &'a str,
    given: Vec<Given>,
}

impl File<'_> {
    /// Tables become the first parts of keys. An empty one stays, so that its name is checked.
    fn flatten(&mut self, parent: Option<&str>, table: &DeTable<'_>) {
        for (key, value) in table.iter() {
            let name = match parent {
                Some(parent) => format!("{parent}.{}", key.get_ref()),
                None => key.get_ref().to_string(),
            };
            match value.get_ref() {
                DeValue::Table(table) if !table.is_empty() => self.flatten(Some(&name), table),
                value => {
                    let place = self.place(key.span().start);
                    self.given.push(Given { name: Cow::Owned(name), value: read(value), place });
                }
            }
        }
    }

    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place::File {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.chars().count()
                - before.get(..line_start).unwrap_or_default().chars().count()
                + 1,
        }
    }
}

fn read(value: &DeValue<'_>) -> Value {
    let other = Value::Other(value.type_str());
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(other, Value::Integer)
        }
        DeValue::Float(number) => Value::Decimal(number.as_str().to_owned()),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Array(entries) => {
            let entries: Option<Vec<String>> =
                entries.iter().map(|entry| entry.get_ref().as_str().map(str::to_owned)).collect();
            entries.map_or(other, Value::List)
        }
        _ => other,
    }
}
