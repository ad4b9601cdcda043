//! What a new owner does with the sagas it finds.

use std::sync::Arc;
use std::time::Duration;

use super::blocking::Blocking;
use super::house::House;
use super::publisher::AskAgain;
use crate::ports::StoreError;
use crate::ports::ledger::Ledger;
use crate::saga::effect::asked_before;
use crate::saga::id::{DefinitionRef, SagaId, Timestamp};
use crate::saga::state::Saga;

/// Sagas read at a time.
const PAGE: u32 = 500;

/// How long answers that are on their way are waited for before open steps are asked again.
const GRACE: Duration = Duration::from_secs(10);

/// The pause between two pages of re-asked steps: at most five thousand a second.
const PACE: Duration = Duration::from_millis(100);

/// Why a shard can't be taken over.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A saga runs something that this program does not know.
    #[error(
        "saga {saga} runs {definition}, which this program does not know; start a version that does, and keep it until the last of its sagas has ended"
    )]
    UnknownDefinition {
        /// The saga.
        saga: SagaId,
        /// What it runs.
        definition: DefinitionRef,
    },
}

/// Takes stock of the sagas that have not ended: each must be one that can be run, and its open
/// commands count as outstanding.
pub(super) async fn take_stock(
    house: &House,
    ledger: &Arc<dyn Ledger>,
) -> Result<u64, RecoveryError> {
    let mut found = 0;
    let mut after = None;
    loop {
        let sagas = page(house, ledger, after).await?;
        for saga in &sagas {
            let Some(runnable) = house.catalogue.get(&saga.birth.definition) else {
                let definition = saga.birth.definition.clone();
                return Err(RecoveryError::UnknownDefinition { saga: saga.id, definition });
            };
            house.outstanding.borrow_mut().moved(&runnable.definition, None, &saga.state);
        }
        found += sagas.len() as u64;
        match sagas.last() {
            Some(last) => after = Some(last.id),
            None => return Ok(found),
        }
    }
}

/// Asks the steps again that were asked before `since` and are still open, slowly, under their old
/// keys. Whatever lay beyond the marks was sent again by the publisher; this is for commands or
/// answers that the broker confirmed and lost.
pub(super) async fn ask_again(
    house: &House,
    ledger: &Arc<dyn Ledger>,
    since: Timestamp,
) -> Result<(), StoreError> {
    tokio::time::sleep(GRACE).await;
    let mut after = None;
    loop {
        let sagas = page(house, ledger, after).await?;
        let Some(last) = sagas.last() else { return Ok(()) };
        after = Some(last.id);
        for saga in sagas {
            for sequence in asked_before(&saga, since) {
                house.publisher.do_send(AskAgain { saga: saga.clone(), sequence });
            }
        }
        tokio::time::sleep(PACE).await;
    }
}

async fn page(
    house: &House,
    ledger: &Arc<dyn Ledger>,
    after: Option<SagaId>,
) -> Result<Vec<Saga>, StoreError> {
    let (ledger, shard) = (Arc::clone(ledger), house.shard);
    Blocking::new(1).run(move || ledger.unfinished(shard, after, PAGE)).await.map_err(|error| {
        StoreError::Unavailable { store: "orchestrator", cause: error.to_string() }
    })?
}
