//! The pure machines around the store's writer. The actors drive them; so does the simulator.
//!
//! | file | decides |
//! |---|---|
//! | `turn` | what an input makes of a saga in memory, ready to be written, and what follows |
//! | `writer` | which transaction comes next, and what its outcome means |
//! | `batcher` | what a transaction holds |
//! | `outbox` | which messages go out when |
//! | `render` | what they say |
//! | `timers` | when each saga in memory is due |
//! | `horizon` | how far the sagas that are due in the store were handed over |
//! | `feed`, `marks` | how far the broker has confirmed one kind of messages |
//! | `pause` | when those that failed are sent again |

pub mod batcher;
#[cfg(test)]
mod examples;
pub mod feed;
pub mod horizon;
pub mod marks;
pub mod outbox;
mod pause;
mod render;
pub mod timers;
pub mod turn;
pub mod writer;
