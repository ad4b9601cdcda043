pub mod contract;
pub mod journal;
pub mod http;
pub mod orders;
pub mod ports;
pub mod saga;
