//! Workers on their queues, with the embedded bus and stores in memory.

mod answering;
mod failing;
mod mailing;
mod rig;
mod stopping;
mod stores;
