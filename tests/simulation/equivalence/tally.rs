//! How often each kind of outcome occurred, over all scripts: a test of what never happens shows nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Tally(RefCell<BTreeMap<String, u64>>);

impl Tally {
    pub fn note(&self, kind: impl Into<String>) {
        *self.0.borrow_mut().entry(kind.into()).or_default() += 1;
    }

    pub fn print(&self) {
        println!("{:?}", self.0.borrow());
    }

    /// Makes sure that each of these occurred.
    pub fn must_have(&self, kinds: &[&str]) {
        let counts = self.0.borrow();
        let never: Vec<_> = kinds.iter().filter(|kind| !counts.contains_key(**kind)).collect();
        assert!(never.is_empty(), "never happened: {never:?}");
    }
}
