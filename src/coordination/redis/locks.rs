//! Locks in Redis: one key each, which holds its holder's token and expires.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::Duration;

use redis::{Cmd, cmd};
use tokio::time::{Instant, sleep};

use super::link::Link;
use crate::ports::locks::{Held, LASTS, Locks, WAIT};

/// Locks all of `KEYS` or none, so that two who lock the same ones in part don't wait for each other.
/// What lasts longer than a lock can, or for ever, is none of ours, and is replaced.
const LOCK: &str = "
    for i, key in ipairs(KEYS) do
        local left = redis.call('PTTL', key)
        if left == -1 or left > tonumber(ARGV[2]) then redis.call('DEL', key) end
        if not redis.call('SET', key, ARGV[1], 'NX', 'PX', ARGV[2]) then
            for j = 1, i - 1 do redis.call('DEL', KEYS[j]) end
            return 0
        end
    end
    return 1";

/// Gives back those of `KEYS` that are still ours.
const UNLOCK: &str = "
    local mine = 0
    for _, key in ipairs(KEYS) do
        if redis.pcall('GET', key) == ARGV[1] then mine = mine + redis.call('DEL', key) end
    end
    return mine";

/// The first pause between two attempts: about a round trip and a short transaction.
const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// The longest pause; a lock that is free again is noticed as fast.
const LONGEST_PAUSE: Duration = Duration::from_millis(8);

/// Random bytes of a token: nobody guesses it, and no two are the same.
const TOKEN: usize = 20;

/// Locks that all processes share.
pub struct RedisLocks {
    link: Link,
    prefix: String,
}

impl RedisLocks {
    /// Locks whose keys begin with `prefix`. Its braces have a cluster keep all of them in one place.
    pub(super) fn new(link: Link, prefix: &str) -> Self {
        Self { link, prefix: format!("{prefix}{{lock}}:") }
    }
}

impl Locks for RedisLocks {
    fn hold(&self, names: &BTreeSet<&str>) -> Held {
        if names.is_empty() || !self.link.is_there() {
            return Held::nothing();
        }
        let mut token = [0; TOKEN];
        if let Err(error) = getrandom::fill(&mut token) {
            tracing::warn!(%error, "there is no randomness for a lock's token");
            return Held::nothing();
        }
        // In the order of the set: sorted.
        let keys = names.iter().map(|name| format!("{}{name}", self.prefix)).collect();
        let grip = Grip { link: self.link.clone(), keys, token };
        let (told, result) = mpsc::channel();
        self.link.spawn(async move {
            // Should nobody wait any more, it is given back at once.
            let _ = told.send(grip.take().await);
        });
        // The task ends by itself: after its wait and one time-out.
        result.recv().unwrap_or_else(|_| Held::nothing())
    }
}

/// Keys, and the token that makes them ours.
struct Grip {
    link: Link,
    keys: Vec<String>,
    token: [u8; TOKEN],
}

impl Grip {
    /// Takes hold, or gives up soon.
    async fn take(self) -> Held {
        let lock = self.command(LOCK).arg(LASTS.as_millis() as u64).clone();
        let patience = Instant::now() + WAIT;
        let mut pause = FIRST_PAUSE;
        loop {
            match self.link.call::<u8>("lock", &lock).await {
                Some(1) => return Held::until_dropped(move || self.let_go()),
                Some(_) if Instant::now() + pause < patience => {
                    sleep(pause.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Some(_) => return Held::nothing(),
                None => {
                    // It may be ours all the same, if only the answer is missing.
                    self.let_go();
                    return Held::nothing();
                }
            }
        }
    }

    fn let_go(self) {
        self.link.clone().spawn(async move {
            self.link.call::<u32>("unlock", &self.command(UNLOCK)).await;
        });
    }

    /// A script over the keys, with the token as its first argument.
    fn command(&self, script: &str) -> Cmd {
        let mut command = cmd("EVAL");
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.token[..]);
        command
    }
}
