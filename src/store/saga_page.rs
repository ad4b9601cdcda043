//! Which sagas a page of the list may hold.

use uuid::Uuid;

use super::prefix;
use crate::saga::id::SagaId;

/// The most sagas with a matching business key that are gathered and sorted. Beyond that many, the
/// newest of them are found by walking down from the newest saga, or from the newest that was born when
/// such keys were made: where matches are that frequent, a page is soon full.
pub(super) const FEW: i64 = 1_000;

/// Which ids a page may hold, from `first` and before `end`, and how many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub first: Uuid,
    pub end: Uuid,
    pub limit: u32,
}

impl Page {
    /// Sagas older than `before`, if one is named.
    pub fn before(before: Option<SagaId>, limit: u32) -> Self {
        Self { first: Uuid::nil(), end: before.map_or(Uuid::max(), |id| id.0), limit }
    }

    /// The part of it whose own ids begin with `text`; none where no id can.
    pub fn with_ids(self, text: &str) -> Option<Self> {
        let (first, last) = prefix::id_range(text)?;
        let beyond = Uuid::from_u128(last.as_u128().saturating_add(1));
        Some(Self { first: self.first.max(first), end: self.end.min(beyond), ..self })
    }

    /// Where text is that of ids, the part of it in which sagas were born when such ids were made: an
    /// order gets its id together with its saga.
    pub fn born_with(self, text: &str) -> Self {
        let Some((first, end)) = prefix::born_range(text) else { return self };
        Self { first: self.first.max(first), end: self.end.min(end), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_ids_begin_with_narrows_a_page_and_never_widens_it() {
        let text = "019b7c9f-0e2e";
        let all = Page::before(None, 10);
        let (born, own) = (all.born_with(text), all.with_ids(text).unwrap());
        assert!(all.first < born.first && born.first < own.first);
        assert!(own.end < born.end && born.end < all.end);
        let older = Page::before(Some(SagaId(own.first)), 10);
        assert_eq!(older.born_with(text).end, own.first);
        assert_eq!(older.with_ids(text).unwrap().end, own.first);
        assert_eq!((all.born_with("order-1"), all.with_ids("order-1")), (all, None));
    }
}
