//! The REST API and the dashboard, over TCP, with ports in memory.

mod bodies;
mod cancel;
mod client;
mod doors;
mod fakes;
mod idempotency;
mod inventory;
mod logs;
mod machines;
mod orders;
mod pages;
mod retry_form;
mod sagas;
mod submit;
mod world;
