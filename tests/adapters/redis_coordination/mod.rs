//! What becomes of coordination when Redis dies, hangs, forgets or lies.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use skald::coordination::redis::{Address, Redis};
use skald::ports::cache::{Cache, MAX_VALUE};
use skald::ports::locks::Locks;
use skald::ports::pokes::{Heard, Pokes};
use skald::saga::id::SagaId;
use uuid::Uuid;

use crate::coordination_conformance::{until, wait};
use crate::redis_server::{PASSWORD, PrivateRedis};

fn open(url: &str) -> Redis {
    Redis::open(Address::parse(url).unwrap(), Duration::from_millis(100)).unwrap()
}

fn connected(server: &PrivateRedis) -> Redis {
    let redis = open(&server.url());
    until("Redis is there", || redis.trouble().is_none());
    redis
}

/// Waits until somebody has told what is wrong, which no secret is part of.
fn until_trouble(redis: &Redis, text: &str) {
    until(text, || {
        let trouble = redis.trouble().unwrap_or_default();
        assert!(!trouble.contains(PASSWORD), "{trouble}");
        trouble.contains(text)
    });
}

fn tea(locks: &dyn Locks) -> bool {
    locks.hold(&["tea"].into()).is_held()
}

fn get(cache: &dyn Cache, key: &str) -> Option<Bytes> {
    wait(cache.get(key.to_owned()))
}

fn put(cache: &dyn Cache, key: &str, value: &'static [u8]) {
    until("it is found", || {
        cache.put(key.to_owned(), Bytes::from_static(value));
        get(cache, key).as_deref() == Some(value)
    });
}

#[test]
fn who_was_never_reached_holds_and_knows_nothing_and_keeps_nobody() {
    let mut server = PrivateRedis::start();
    let url = server.url();
    server.kill();
    let redis = open(&url);
    until_trouble(&redis, "refused");
    let (locks, cache, pokes) = (redis.locks(), redis.cache(), redis.pokes());
    assert!(!tea(&locks));
    cache.put("key".to_owned(), Bytes::from_static(b"value"));
    assert_eq!(get(&cache, "key"), None);
    let (mut listener, saga) = (pokes.listen(), SagaId(Uuid::now_v7()));
    pokes.tell(&mut [saga].into_iter());
    assert_eq!(wait(listener.hear()), Heard::Moved([saga].into()), "within this node");
    server.go_on();
    until("Redis is there", || redis.trouble().is_none());
    assert!(tea(&locks));
    put(&cache, "key", b"value");
}

#[test]
fn after_a_death_all_goes_on_with_an_empty_redis() {
    let mut server = PrivateRedis::start();
    let [one, other] = [connected(&server), connected(&server)];
    let (locks, cache) = (one.locks(), one.cache());
    put(&cache, "key", b"value");
    server.kill();
    until("the loss is noticed", || one.trouble().is_some() && other.trouble().is_some());
    assert!(!tea(&locks));
    assert_eq!(get(&cache, "key"), None);
    server.go_on();
    until("both are back", || one.trouble().is_none() && other.trouble().is_none());
    assert!(tea(&locks));
    assert_eq!(get(&cache, "key"), None);
    put(&cache, "key", b"value");
    // The subscription is made anew, too.
    let (mut listener, saga) = (other.pokes().listen(), SagaId(Uuid::now_v7()));
    one.pokes().tell(&mut [saga].into_iter());
    assert_eq!(wait(listener.hear()), Heard::Moved([saga].into()));
}

#[test]
fn a_redis_that_hangs_is_left_alone_until_it_answers() {
    let server = PrivateRedis::start();
    let redis = connected(&server);
    let (locks, cache) = (redis.locks(), redis.cache());
    put(&cache, "key", b"value");
    server.signal("STOP");
    // Each waits for its time-out until the breaker opens.
    until("nobody asks any more", || {
        assert_eq!(get(&cache, "key"), None);
        redis.trouble().is_some()
    });
    assert!(!tea(&locks));
    until_trouble(&redis, "no answer within 2 s");
    server.signal("CONT");
    until("it answers", || redis.trouble().is_none());
    assert_eq!(get(&cache, "key").as_deref(), Some(&b"value"[..]));
    assert!(tea(&locks));
}

#[test]
fn one_answer_that_came_too_late_is_soon_forgiven() {
    let server = PrivateRedis::start();
    let redis = connected(&server);
    let cache = redis.cache();
    put(&cache, "key", b"value");
    server.signal("STOP");
    assert_eq!(get(&cache, "key"), None);
    server.signal("CONT");
    until("it answers in time", || get(&cache, "key").is_some());
    until("nothing is held against it", || redis.trouble().is_none());
}

#[test]
fn what_is_flushed_is_free_and_forgotten() {
    let server = PrivateRedis::start();
    let redis = connected(&server);
    let (locks, cache) = (redis.locks(), redis.cache());
    put(&cache, "key", b"value");
    let held = locks.hold(&["tea"].into());
    assert!(held.is_held() && !tea(&locks));
    server.run::<String>(&["FLUSHALL"]);
    let next = locks.hold(&["tea"].into());
    assert!(next.is_held());
    assert_eq!(get(&cache, "key"), None);
    // Its token is another one, so the first holder takes nothing away.
    drop(held);
    assert!(!tea(&locks));
    drop(next);
    until("it is free", || tea(&locks));
}

#[test]
fn nonsense_under_our_keys_is_replaced_or_left_out() {
    let server = PrivateRedis::start();
    let redis = connected(&server);
    let (locks, cache) = (redis.locks(), redis.cache());
    drop(locks.hold(&["tea"].into()));
    put(&cache, "key", b"value");
    let [lock, kept] = ["skald:{lock}:tea", "skald:cache:key"];
    for nonsense in [
        &["SET", lock, "mine for ever"][..],
        &["SET", lock, "mine for long", "PX", "1000000"],
        &["RPUSH", lock, "a list"],
    ] {
        server.run::<redis::Value>(&["DEL", lock]);
        server.run::<redis::Value>(nonsense);
        assert!(tea(&locks), "{nonsense:?}");
    }
    server.run::<redis::Value>(&["DEL", kept]);
    server.run::<redis::Value>(&["HSET", kept, "a", "hash"]);
    assert_eq!(get(&cache, "key"), None);
    server.run::<redis::Value>(&["SET", kept, &"x".repeat(8 * MAX_VALUE)]);
    assert_eq!(get(&cache, "key"), None);
    put(&cache, "key", b"value");

    let mut listener = redis.pokes().listen();
    for nonsense in ["", "moved", r#"{"from":7}"#, &"[".repeat(100_000)] {
        server.run::<redis::Value>(&["PUBLISH", "skald:0:moved", nonsense]);
    }
    let saga = Uuid::now_v7();
    let told = format!(r#"{{"from":"{}","moved":["{saga}"]}}"#, Uuid::new_v4());
    server.run::<redis::Value>(&["PUBLISH", "skald:0:moved", &told]);
    assert_eq!(wait(listener.hear()), Heard::Moved([SagaId(saga)].into()));
    assert_eq!(redis.trouble(), None, "nonsense is no absence");
}

#[test]
fn what_is_remembered_and_locked_has_an_end() {
    let server = PrivateRedis::start();
    let redis = connected(&server);
    put(&redis.cache(), "key", b"value");
    let _held = redis.locks().hold(&["tea", "jam"].into());
    for (key, at_most) in
        [("skald:cache:key", 660_000), ("skald:{lock}:tea", 1_000), ("skald:{lock}:jam", 1_000)]
    {
        let left: i64 = server.run(&["PTTL", key]);
        assert!((1..=at_most).contains(&left), "{key}: {left}");
    }
}

#[test]
fn a_wrong_password_is_told_without_telling_it() {
    let server = PrivateRedis::start();
    let url = server.url().replace(PASSWORD, "guessed-by-somebody");
    let redis = open(&url);
    until("somebody was refused", || {
        let trouble = redis.trouble().unwrap_or_default();
        assert!(!trouble.contains("guessed-by-somebody"), "{trouble}");
        trouble.contains("WRONGPASS") || trouble.to_lowercase().contains("password")
    });
}

#[test]
fn installations_in_different_databases_do_not_hear_each_other() {
    let server = PrivateRedis::start();
    let [zero, three] = ["/0", "/3"].map(|number| {
        let redis = open(&format!("{}{number}", server.url()));
        until("Redis is there", || redis.trouble().is_none());
        redis
    });
    let (mut here, there) = (three.pokes().listen(), zero.pokes());
    there.tell(&mut [SagaId(Uuid::now_v7())].into_iter());
    let other = open(&format!("{}/3", server.url()));
    until("Redis is there", || other.trouble().is_none());
    let saga = SagaId(Uuid::now_v7());
    let pokes: Arc<dyn Pokes> = Arc::new(other.pokes());
    pokes.tell(&mut [saga].into_iter());
    assert_eq!(wait(here.hear()), Heard::Moved([saga].into()), "and nothing before");
}
