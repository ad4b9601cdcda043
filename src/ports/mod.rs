//! What the surroundings must offer: traits, and the plain values that go through them.
//!
//! Everything here that does I/O blocks, except bus, cache and pokes; callers on async threads go
//! through [`blocking`](crate::actors::blocking). Each trait has one conformance suite that every adapter
//! passes.

pub mod bus;
pub mod cache;
pub mod clock;
pub mod door;
pub mod error;
pub mod inventory;
pub mod leases;
pub mod ledger;
pub mod letters;
pub mod locks;
pub mod mail;
pub mod notification;
pub mod orchestrator;
pub mod pokes;
pub mod queries;
pub mod source;
pub mod spans;
pub mod work;

pub use clock::Clock;
pub use error::StoreError;
