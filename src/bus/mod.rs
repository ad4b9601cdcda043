//! Adapters of the [`Bus`](crate::ports::bus::Bus) port.

pub mod in_process;
pub mod rabbitmq;
pub mod topology;
