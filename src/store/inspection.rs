//! What is found where somebody only looks at a store.

/// What is in a store's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Nothing yet.
    Missing,
    /// Something else, for this reason.
    Foreign(String),
    /// A store.
    Ours(Migrations),
}

/// How a store and this program go together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrations {
    /// The newest one that the store has.
    pub newest: String,
    /// Those that the program would add at a start.
    pub missing: Vec<String>,
    /// Those that the program does not know, of a later version.
    pub unknown: Vec<String>,
    /// The oldest one that a program must know and that this one does not.
    pub too_new: Option<String>,
}

impl Migrations {
    /// Compares what a store has with what the program knows, both in order. A program that lacks
    /// `needed` can't use the store.
    pub(super) fn compare(applied: &[String], known: &[String], needed: &str) -> Self {
        let without = |these: &[String], those: &[String]| {
            these.iter().filter(|it| !those.contains(it)).cloned().collect()
        };
        Self {
            newest: applied.last().cloned().unwrap_or_default(),
            missing: without(known, applied),
            unknown: without(applied, known),
            too_new: known.iter().all(|known| known != needed).then(|| needed.to_owned()),
        }
    }
}

/// How the sagas in a store get on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Shards of the installation.
    pub shards: u64,
    /// Shards that no living node owns.
    pub unowned: u64,
    /// Sagas that have not ended.
    pub unfinished: u64,
    /// Sagas that need attention.
    pub needing_attention: u64,
    /// Sagas for which something was due a minute ago, counted up to 10,000.
    pub overdue: u64,
    /// Dead letters that nobody has decided about, counted up to 10,000.
    pub open_letters: u64,
    /// Living nodes.
    pub nodes: Vec<LivingNode>,
}

/// A node whose lease holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivingNode {
    /// What people call it.
    pub name: String,
    /// Where its API is.
    pub url: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn an_older_store_lacks_what_the_program_adds() {
        let found = Migrations::compare(&names(&["1"]), &names(&["1", "2", "3"]), "1");
        assert_eq!(found.missing, ["2", "3"]);
        assert_eq!((found.newest.as_str(), found.too_new), ("1", None));
    }

    #[test]
    fn a_newer_store_can_be_used_as_long_as_it_needs_nothing_new() {
        let (applied, known) = (names(&["1", "2", "3"]), names(&["1", "2"]));
        let found = Migrations::compare(&applied, &known, "2");
        assert_eq!((found.unknown, found.too_new), (names(&["3"]), None));
        let found = Migrations::compare(&applied, &known, "3");
        assert_eq!(found.too_new.as_deref(), Some("3"));
    }
}
