//! One bad row must not take others with it.

use crate::ports::StoreError;

/// Commits a batch in one transaction. Where the store refuses it, commits its halves, and so on
/// until only the bad items are left. Tells for each item, in order, what was committed for it or
/// why nothing was.
///
/// A store that is not available is not asked again for the items it was not available for. An item
/// for which `commit` returns nothing is missing from the outcome.
pub fn bisect<T, R, F>(items: &[T], commit: &mut F) -> Vec<Result<R, StoreError>>
where
    F: FnMut(&[T]) -> Result<Vec<R>, StoreError>,
{
    if items.is_empty() {
        return Vec::new();
    }
    match commit(items) {
        Ok(committed) => committed.into_iter().map(Ok).collect(),
        Err(error) if items.len() == 1 || !is_about_a_row(&error) => {
            tracing::warn!(%error, commands = items.len(), "a batch was not committed");
            items.iter().map(|_| Err(error.clone())).collect()
        }
        Err(_) => {
            let (first, second) = items.split_at(items.len() / 2);
            let mut outcome = bisect(first, commit);
            outcome.extend(bisect(second, commit));
            outcome
        }
    }
}

fn is_about_a_row(error: &StoreError) -> bool {
    matches!(error, StoreError::Refused { .. } | StoreError::Corrupt { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: &str = "test";

    fn refused() -> StoreError {
        StoreError::Refused { store: STORE, cause: "a check".to_owned() }
    }

    #[test]
    fn bad_items_are_found_and_the_others_committed_in_order() {
        let mut committed: Vec<i32> = Vec::new();
        let outcome = bisect(&[1, 2, -3, 4, 5, -6, 7], &mut |items| {
            if items.iter().any(|item| *item < 0) {
                return Err(refused());
            }
            committed.extend(items);
            Ok(items.iter().map(|item| item * 10).collect())
        });
        let expected = [Ok(10), Ok(20), Err(refused()), Ok(40), Ok(50), Err(refused()), Ok(70)];
        assert_eq!(outcome, expected);
        assert_eq!(committed, [1, 2, 4, 5, 7]);
    }

    #[test]
    fn a_store_that_is_not_available_is_asked_once() {
        let unavailable = StoreError::Unavailable { store: STORE, cause: "gone".to_owned() };
        let mut calls = 0;
        let outcome: Vec<Result<(), _>> = bisect(&[1, 2, 3], &mut |_| {
            calls += 1;
            Err(unavailable.clone())
        });
        assert_eq!((outcome.len(), calls), (3, 1));
    }

    #[test]
    fn an_empty_batch_needs_no_transaction() {
        assert!(bisect(&[0; 0], &mut |_| Ok(vec![()])).is_empty());
    }
}
