//! The pure core, through its public surface.
//!
//! | modules | what they show |
//! |---|---|
//! | `*_scenarios` | what happens to a saga, told in the language of `scenario` and `expect` |
//! | `definition_checks` | what a definition is checked for |
//! | `golden` | that stored states and events stay readable |
//! | `properties` | what holds for any definition (`blueprint`) in any `world`, however bad: after each decision (`invariants`) and in the end (`outcome`) |
//! | `garbage` | that nothing breaks on inputs and histories that make no sense |

// A test that can't go on says so by panicking.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unimplemented,
    clippy::unwrap_used
)]

mod definitions;
mod expect;
mod scenario;
mod sending;

mod attention_scenarios;
mod catalogue;
mod command_scenarios;
mod deadline_scenarios;
mod forward_scenarios;
mod history_scenarios;
mod late_reply_scenarios;
mod pivot_scenarios;
mod queue_scenarios;
mod request_scenarios;
mod retry_scenarios;
mod rollback_scenarios;

mod definition_checks;
mod golden;

mod blueprint;
mod invariants;

mod outcome;
mod simulated_worker;
mod values;
mod world;

mod garbage;
mod properties;
