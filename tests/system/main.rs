//! The real program in processes of its own, killed at random moments.

mod accounts;
mod customer;
mod kill;
mod server;
