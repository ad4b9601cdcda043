//! The real program: its arguments, its exit codes, what it prints where, and the demo.

mod arguments;
mod demo;
mod program;
mod sagas;
mod serving;
