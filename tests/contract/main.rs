//! What goes over the wire.
//!
//! | module | shows |
//! |---|---|
//! | `golden` | that every message is byte for byte what it was (`golden/`), written as in `messages` by a `story` with the shipped workers at a `desk` |
//! | `cloudevents` | that every message is a CloudEvent, a NestJS packet, and carries what the contract names |
//! | `replies` | what is made of each form of answer |
//! | `answered_twice` | that a second answer to one command harms nothing |
//! | `poison` | that no body, however broken, breaks its reader |
//! | `corpus` | the same of all that is read, with what the fuzzer in `fuzz/` kept |

// A test that can't go on says so by panicking.
#![allow(clippy::expect_used, clippy::panic, clippy::unimplemented, clippy::unwrap_used)]

mod desk;
mod messages;
mod story;

mod answered_twice;
mod cloudevents;
mod corpus;
mod golden;
mod poison;
mod replies;
