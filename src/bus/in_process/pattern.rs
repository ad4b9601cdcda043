//! Topic patterns: words between dots, `*` for one word, `#` for any number of them.

use std::str::Split;

/// A pattern, taken apart once so that matching allocates nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Word>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    This(Box<str>),
    AnyOne,
    AnyNumber,
}

impl Pattern {
    /// Takes a pattern apart.
    pub fn of(text: &str) -> Self {
        let word = |word: &str| match word {
            "*" => Word::AnyOne,
            "#" => Word::AnyNumber,
            this => Word::This(this.into()),
        };
        Self(split(text).map(word).collect())
    }

    /// Whether `key` has the shape of the pattern.
    ///
    /// Goes through the key once and, at a mismatch, back to the newest `#`, which then takes one
    /// word more. Going back to an older one could not help.
    pub fn matches(&self, key: &str) -> bool {
        let mut key = split(key);
        let mut pattern = self.0.as_slice();
        let mut retry = None;
        loop {
            let mut rest = key.clone();
            let matched = match (pattern.split_first(), rest.next()) {
                (None, None) => return true,
                (Some((Word::AnyNumber, tail)), _) => {
                    retry = Some((tail, key.clone()));
                    pattern = tail;
                    continue;
                }
                (Some((Word::AnyOne, tail)), Some(_)) => Some(tail),
                (Some((Word::This(this), tail)), Some(word)) if **this == *word => Some(tail),
                _ => None,
            };
            match (matched, &mut retry) {
                (Some(tail), _) => (pattern, key) = (tail, rest),
                (None, Some((tail, from))) => {
                    if from.next().is_none() {
                        return false;
                    }
                    (pattern, key) = (*tail, from.clone());
                }
                (None, None) => return false,
            }
        }
    }
}

/// The words of a key or a pattern; an empty one has none.
fn split(text: &str) -> Split<'_, char> {
    let mut words = text.split('.');
    if text.is_empty() {
        words.next();
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assert_matches(pattern: &str, matching: &[&str], other: &[&str]) {
        let pattern = Pattern::of(pattern);
        for key in matching {
            assert!(pattern.matches(key), "{pattern:?} should match {key:?}");
        }
        for key in other {
            assert!(!pattern.matches(key), "{pattern:?} should not match {key:?}");
        }
    }

    #[test]
    fn a_plain_pattern_matches_itself_only() {
        assert_matches("a.b", &["a.b"], &["a", "a.b.c", "b.a", "", "a.", "A.b"]);
    }

    #[test]
    fn a_star_takes_exactly_one_word() {
        assert_matches("*", &["a", "b"], &["", "a.b"]);
        assert_matches("order.*", &["order.created"], &["order", "order.created.twice"]);
        assert_matches("*.b.*", &["a.b.c"], &["b", "a.b", "b.c", "a.b.c.d"]);
    }

    #[test]
    fn a_hash_takes_any_number_of_words() {
        assert_matches("#", &["", "a", "a.b.c"], &[]);
        assert_matches("a.#", &["a", "a.b", "a.b.c"], &["", "b.a"]);
        assert_matches("#.z", &["z", "a.z", "z.z.z"], &["", "z.a"]);
        assert_matches("#.b.#", &["b", "a.b", "b.c", "a.b.c.b"], &["", "a.c"]);
        assert_matches("a.#.*.z", &["a.b.z", "a.z.z", "a.b.c.z"], &["a.z", "a.b.c"]);
    }

    /// The definition of a match, straight and slow.
    fn matches_by_definition(pattern: &[&str], key: &[&str]) -> bool {
        match (pattern, key) {
            ([], key) => key.is_empty(),
            (["#", rest @ ..], key) => {
                (0..=key.len()).any(|n| matches_by_definition(rest, &key[n..]))
            }
            (["*", rest @ ..], [_, key @ ..]) => matches_by_definition(rest, key),
            ([this, rest @ ..], [word, key @ ..]) => {
                this == word && matches_by_definition(rest, key)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_its_definition(
            pattern in prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "#"]), 0..7),
            key in prop::collection::vec(prop::sample::select(vec!["a", "b"]), 0..7),
        ) {
            let found = Pattern::of(&pattern.join(".")).matches(&key.join("."));
            prop_assert_eq!(found, matches_by_definition(&pattern, &key));
        }
    }
}
