pub mod contract;
pub mod orders;
pub mod ports;
pub mod saga;
