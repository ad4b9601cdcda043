//! The pure machines around the store's writer: what a batch holds, and how far the broker has
//! confirmed the history. The actors drive them; so does the simulator.

pub mod batcher;
pub mod feed;
pub mod marks;
