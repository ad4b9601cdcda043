//! The pure core: what a saga is and what happens to it.
//!
//! [`decide`] turns an input into events, [`evolve`] turns an event into the next state, and
//! [`effect`] says what has to be sent because of an event. Nothing here does I/O, reads a clock,
//! draws a random number or waits; the actors, the simulator and the tests all run these functions.
//!
//! ```text
//!  definition ─┐
//!  saga ───────┼─▶ decide ─▶ events ─▶ (committed) ─▶ effect ─▶ commands
//!  input, now ─┘              │
//!                             └─▶ evolve ─▶ the saga after them
//! ```
//!
//! To change a retry rule: its arithmetic is `retry`, what a setback comes to is `decide/answer`,
//! and the shipped figures are in the definition (`orders::definition`).

pub mod catalogue;
pub mod cause;
pub mod check;
pub mod decide;
pub mod definition;
pub mod effect;
pub mod event;
pub mod evolve;
pub mod id;
pub mod input;
pub mod json;
pub mod outage;
pub mod retry;
pub mod state;
