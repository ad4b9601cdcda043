//! What the tests of several machines begin with.

use super::turn;
use crate::orders::definition::definition;
use crate::ports::StoreError;
use crate::ports::ledger::Entry;
use crate::ports::ledger::examples::order;
pub use crate::ports::ledger::examples::{NOW, entry};

/// An order's first entry: its saga has started, and its first step is asked.
pub fn birth() -> Entry {
    let (definition, order) = (definition().unwrap(), order());
    let saga = order.saga;
    let born = turn::birth(&definition, &order, None).unwrap();
    turn::begin(&definition, saga, born, (order, None), NOW).unwrap()
}

/// Of a store that can't be reached.
pub fn gone() -> StoreError {
    StoreError::Unavailable { store: "orchestrator", cause: "gone".to_owned() }
}
