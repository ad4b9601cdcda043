//! The same asked of several stores.

use std::fmt::Debug;

use proptest::test_runner::TestCaseError;
use skald::ports::StoreError;

/// A store with a name.
pub trait Named {
    fn name(&self) -> &'static str;
}

/// What all of them answer; an error where one answers something else than the first.
pub fn same<S: Named, T: PartialEq + Debug>(
    stores: &[S],
    what: impl Debug,
    ask: impl Fn(&S) -> T,
) -> Result<T, TestCaseError> {
    let (first, others) = stores.split_first().unwrap();
    let answer = ask(first);
    for other in others {
        let differs = ask(other);
        if differs != answer {
            let (one, two) = (first.name(), other.name());
            let (answer, differs) = different_lines(&answer, &differs);
            return Err(TestCaseError::fail(format!(
                "{what:?}\n{one}:\n{answer}\n{two}:\n{differs}\n"
            )));
        }
    }
    Ok(answer)
}

/// Two texts without the lines that both begin with, but for a few, and those that both end with.
fn different_lines(one: &impl Debug, two: &impl Debug) -> (String, String) {
    const CONTEXT: usize = 6;
    let (one, two) = (format!("{one:#?}"), format!("{two:#?}"));
    let (one, two): (Vec<&str>, Vec<&str>) = (one.lines().collect(), two.lines().collect());
    let both = one.len().min(two.len());
    let same = (0..both).take_while(|n| one[*n] == two[*n]).count();
    let ends = |n: &usize| one[one.len() - 1 - n] == two[two.len() - 1 - n];
    let after = (0..both - same).take_while(ends).count();
    let part = |lines: &[&str]| lines[same.saturating_sub(CONTEXT)..lines.len() - after].join("\n");
    (part(&one), part(&two))
}

/// An error without the text of its cause, which each database words in its own way.
pub fn plain(error: StoreError) -> StoreError {
    match error {
        StoreError::Refused { store, .. } => StoreError::Refused { store, cause: String::new() },
        other => other,
    }
}
