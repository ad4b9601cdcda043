//! What goes over the wire: one JSON body that is at once a CloudEvents 1.0 structured event, a
//! NestJS microservice packet (`pattern`, `id`, `data`) and a typed message of the contract.
//!
//! | file | holds |
//! |---|---|
//! | `message` | a message around its body, and where it goes |
//! | `names` | message ids, contract names, queues |
//! | `envelope` | the common shape |
//! | `command` | commands, as the orchestrator writes and workers read them |
//! | `event` | domain events |
//! | `letter` | what is kept of a message that died, and how it is sent again |
//! | `poke` | what wakes the owner of a shard |
//! | `reply` | answers, as workers write and the orchestrator reads them |

pub mod command;
pub mod envelope;
pub mod event;
pub mod letter;
pub mod message;
pub mod names;
pub mod poke;
pub mod reply;
pub mod trace;
