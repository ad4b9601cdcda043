//! Adapters against the suites that their ports demand.

mod bus_conformance;
mod in_process_bus;
mod store_conformance;
mod store_sqlite;
mod worker_runtime;
