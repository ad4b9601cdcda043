//! The shipped saga: an order.
//!
//! ```text
//! 1 reserve-inventory   compensatable   inventory.reserve ⇄ inventory.release
//! 2 confirm-order       pivot, local    order PENDING → CONFIRMED
//! 3 send-confirmation   retriable       notification.send
//! rolled back: order → CANCELLED;  after_rollback: send-cancellation (retriable)
//! ```

pub mod definition;
pub mod money;
pub mod notification;
pub mod order;
pub mod outcome;
pub mod script;
pub mod submission;

pub use order::{Item, Order, OrderId, OrderStatus, ProductId};
