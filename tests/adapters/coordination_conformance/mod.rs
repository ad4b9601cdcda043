//! What every adapter of the ports `Locks`, `Cache` and `Pokes` must do.
//!
//! A backend joins by one line: `coordination_conformance!(name, its_backend())`.

pub mod cache;
pub mod locks;
pub mod pokes;

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use skald::coordination::in_process::{InProcessCache, InProcessLocks, InProcessPokes};
use skald::coordination::redis::{Address, Redis};
use skald::ports::cache::Cache;
use skald::ports::locks::Locks;
use skald::ports::pokes::Pokes;

use crate::stack;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Parties that coordinate, each as far from the others as the adapter bears.
pub trait Backend {
    /// The locks of another party.
    fn locks(&self) -> Arc<dyn Locks>;

    /// The cache of another party.
    fn cache(&self) -> Arc<dyn Cache>;

    /// The pokes of another party.
    fn pokes(&self) -> Arc<dyn Pokes>;
}

/// Runs the suite against a backend.
macro_rules! coordination_conformance {
    ($name:ident, $backend:expr) => {
        coordination_conformance! { $name, $backend,
            locks {
                what_is_free_is_held
                what_somebody_holds_nobody_else_does
                what_was_given_back_can_be_held_again
                different_names_do_not_meet
                all_names_are_held_or_none
                of_no_names_nothing_is_held
                names_are_taken_literally
                a_lock_whose_holder_vanished_ends_by_itself
                who_gives_back_late_takes_nothing_from_the_next_holder
                of_many_who_want_the_same_one_holds_it
            }
            cache {
                what_was_put_is_found_by_all
                what_was_never_put_is_missed
                the_newest_value_counts
                keys_and_values_are_taken_literally
                what_is_empty_or_too_long_is_left_out
            }
            pokes {
                all_who_listen_hear_what_moved
                whoever_tells_hears_itself
                what_is_told_in_quick_succession_is_heard_in_full
                too_much_to_be_named_is_heard_as_anything
                nothing_is_told_of_no_moves
            }
        }
    };
    ($name:ident, $backend:expr, $($group:ident { $($case:ident)* })*) => {
        mod $name {
            use super::*;
            $($(#[test]
            fn $case() {
                $group::$case(&$backend);
            })*)*
        }
    };
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "still waiting until {what}");
        sleep(Duration::from_millis(5));
    }
}

/// Waits for what must come.
pub fn wait<T>(coming: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, coming).await.unwrap() })
}

/// A name that no other test uses.
pub fn unique(what: &str) -> String {
    format!("{what}-{}", uuid::Uuid::new_v4())
}

/// Threads of one process.
#[derive(Default)]
struct Threads {
    locks: Arc<InProcessLocks>,
    cache: Arc<InProcessCache>,
    pokes: Arc<InProcessPokes>,
}

impl Backend for Threads {
    fn locks(&self) -> Arc<dyn Locks> {
        self.locks.clone()
    }

    fn cache(&self) -> Arc<dyn Cache> {
        self.cache.clone()
    }

    fn pokes(&self) -> Arc<dyn Pokes> {
        self.pokes.clone()
    }
}

coordination_conformance!(in_process, Threads::default());

/// A Redis, to which each party has a connection of its own.
pub struct Server(pub String);

impl Server {
    /// A party that is connected.
    pub fn connected(&self) -> Redis {
        let redis = Redis::open(Address::parse(&self.0).unwrap(), Duration::from_secs(1)).unwrap();
        until("Redis is there", || redis.trouble().is_none());
        redis
    }
}

impl Backend for Server {
    fn locks(&self) -> Arc<dyn Locks> {
        Arc::new(self.connected().locks())
    }

    fn cache(&self) -> Arc<dyn Cache> {
        Arc::new(self.connected().cache())
    }

    fn pokes(&self) -> Arc<dyn Pokes> {
        Arc::new(self.connected().pokes())
    }
}

coordination_conformance!(redis, Server(stack::redis()));
