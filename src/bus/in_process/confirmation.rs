//! When a published message counts as confirmed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::ports::bus::{Receipt, Settlement};

/// The confirmation of one published message, shared by its copies in all queues.
///
/// This bus dies with its process, so having a message in a queue proves nothing: it is confirmed
/// once every copy is acknowledged. If the bus ends before, the receipt is dropped and tells
/// [`Settlement::Unknown`].
#[derive(Debug)]
pub struct Confirmation {
    unacknowledged: AtomicUsize,
    receipt: Mutex<Option<Receipt>>,
}

impl Confirmation {
    /// A confirmation for `copies` copies, at least one.
    pub fn new(receipt: Receipt, copies: usize) -> Self {
        Self { unacknowledged: AtomicUsize::new(copies), receipt: Mutex::new(Some(receipt)) }
    }

    /// Another `copies` copies have to be acknowledged. To be called on behalf of a copy that is
    /// not acknowledged yet.
    pub fn wait_for_more(&self, copies: usize) {
        self.unacknowledged.fetch_add(copies, Ordering::Relaxed);
    }

    /// A copy was acknowledged.
    pub fn acknowledged(&self) {
        if self.unacknowledged.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.settle(Settlement::Confirmed);
        }
    }

    /// A copy found its queue full. The publisher is told at once, and what becomes of the other
    /// copies is of no interest any more: it will publish the message again.
    pub fn rejected(&self) {
        self.settle(Settlement::Rejected);
    }

    fn settle(&self, settlement: Settlement) {
        let receipt = self.receipt.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(receipt) = receipt {
            receipt.settle(settlement);
        }
    }
}
