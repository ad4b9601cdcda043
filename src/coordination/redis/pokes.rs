//! Pokes over Redis: each node publishes what moved there, a few times a second, and hears the others.
//! What moved at this node is told to its own listeners directly, with or without Redis.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::cmd;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::sleep;
use uuid::Uuid;

use super::super::in_process::{InProcessPokes, NAMED};
use super::link::{Caller, Ear, Link};
use crate::ports::pokes::{Heard, Listener, Pokes};
use crate::saga::id::SagaId;

/// The pause between two messages of one node: people don't notice it, and it makes ten messages a
/// second of ten thousand moves.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest message that is read; one of ours is at most two thirds of it.
const MAX_MESSAGE: usize = 64 * 1024;

/// Pokes that all nodes hear.
pub struct RedisPokes {
    local: Arc<InProcessPokes>,
    outbox: Arc<Outbox>,
    link: Link,
}

/// What nodes publish. Anybody may publish anything, so it is no more than a hint.
#[derive(Serialize, Deserialize)]
struct Message {
    /// Whose it is: nodes leave out their own.
    from: Uuid,
    /// The sagas that moved; none where they are too many to be named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moved: Option<BTreeSet<SagaId>>,
}

/// What this node has not published yet.
#[derive(Default)]
struct Outbox {
    moved: Mutex<BTreeSet<SagaId>>,
    is_filled: Notify,
}

impl Outbox {
    fn fill(&self, sagas: &[SagaId]) {
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        let room = (NAMED + 1).saturating_sub(moved.len());
        moved.extend(sagas.iter().take(room));
        drop(moved);
        self.is_filled.notify_one();
    }

    fn empty(&self) -> BTreeSet<SagaId> {
        std::mem::take(&mut *self.moved.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Who passes on what other nodes publish to the listeners of this one, which is `own`.
pub(super) fn ear(own: Uuid, local: Arc<InProcessPokes>) -> Ear {
    Arc::new(move |payload| {
        if let Some(heard) = read(payload, own) {
            local.pass_on(heard);
        }
    })
}

/// What a message tells a node; none where it is its own, or nonsense.
fn read(payload: &[u8], own: Uuid) -> Option<Heard> {
    if payload.len() > MAX_MESSAGE {
        return None;
    }
    let Message { from, moved } = serde_json::from_slice(payload).ok()?;
    if from == own {
        return None;
    }
    Some(match moved {
        Some(moved) => Heard::Moved(moved.into_iter().collect()),
        None => Heard::Anything,
    })
}

impl RedisPokes {
    /// Publishes on `channel` what moves at the node `own`, and tells `local` listeners directly.
    pub(super) fn new(link: Link, channel: String, own: Uuid, local: Arc<InProcessPokes>) -> Self {
        let outbox = Arc::new(Outbox::default());
        link.spawn(publish(Arc::clone(&outbox), link.caller(), channel, own));
        Self { local, outbox, link }
    }
}

/// Publishes what the outbox holds, for as long as the link's thread runs.
async fn publish(outbox: Arc<Outbox>, redis: Caller, channel: String, own: Uuid) {
    loop {
        outbox.is_filled.notified().await;
        let moved = outbox.empty();
        if moved.is_empty() {
            continue;
        }
        let message = Message { from: own, moved: Some(moved).filter(|all| all.len() <= NAMED) };
        if let Ok(json) = serde_json::to_vec(&message) {
            let mut publish = cmd("PUBLISH");
            redis.call::<u64>("publish", publish.arg(&channel).arg(json)).await;
        }
        sleep(PAUSE).await;
    }
}

impl Pokes for RedisPokes {
    fn tell(&self, moved: &mut dyn Iterator<Item = SagaId>) {
        let goes_out = self.link.is_there();
        if !goes_out && !self.local.is_heard() {
            return;
        }
        let moved: Vec<SagaId> = moved.collect();
        self.local.tell(&mut moved.iter().copied());
        if goes_out {
            self.outbox.fill(&moved);
        }
    }

    fn listen(&self) -> Listener {
        self.local.listen()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Uuid = Uuid::from_u128(1);

    fn saga(n: u128) -> SagaId {
        SagaId(Uuid::from_u128(n))
    }

    fn message(from: u128, moved: Option<&[u128]>) -> Vec<u8> {
        let moved = moved.map(|sagas| sagas.iter().map(|n| saga(*n)).collect());
        serde_json::to_vec(&Message { from: Uuid::from_u128(from), moved }).unwrap()
    }

    #[test]
    fn a_node_hears_others_and_not_itself() {
        assert_eq!(read(&message(1, Some(&[7])), OWN), None);
        let heard = read(&message(2, Some(&[8, 7, 8])), OWN);
        assert_eq!(heard, Some(Heard::Moved([saga(7), saga(8)].into())));
        assert_eq!(read(&message(2, None), OWN), Some(Heard::Anything));
    }

    #[test]
    fn nonsense_is_not_passed_on() {
        let long = [&message(2, None)[..], &vec![b' '; MAX_MESSAGE]].concat();
        let nonsense: [&[u8]; 6] =
            [b"", b"moved", b"{}", b"\xff\xfe", br#"{"from":7,"moved":["x"]}"#, &long];
        for payload in nonsense {
            assert_eq!(read(payload, OWN), None, "{payload:?}");
        }
    }

    #[test]
    fn what_is_too_much_to_be_named_is_told_as_anything() {
        let outbox = Outbox::default();
        let many: Vec<SagaId> = (0..5 * NAMED as u128).map(saga).collect();
        outbox.fill(&many);
        outbox.fill(&many);
        assert_eq!(outbox.empty().len(), NAMED + 1);
        outbox.fill(&many[..NAMED]);
        let largest = Message { from: OWN, moved: Some(outbox.empty()) };
        assert!(serde_json::to_vec(&largest).unwrap().len() < MAX_MESSAGE);
        assert!(outbox.empty().is_empty());
    }
}
