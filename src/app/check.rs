//! What can be known to be wrong with a configuration before anything is reached for.

use super::mail::mail_server;
use crate::bus::rabbitmq::Address;
use crate::config::{Config, Secret, StorePlace};
use crate::coordination::redis;
use crate::store::postgres;

/// What stands in the way of any start, each with the key of the setting at fault. What a process needs
/// of the stores and the broker differs, so what is missing is no fault here.
pub fn check(config: &Config) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    let mut database = |key: &'static str, url: &Secret| {
        if let Err(cause) = postgres::check_url(url.reveal()) {
            faults.push((key, format!("{key} can't be used: {cause}")));
        }
    };
    if let Some(url) = &config.store.orchestrator {
        database("store.url", url);
    }
    let workers = [
        ("store.inventory_url", &config.store.inventory),
        ("store.notification_url", &config.store.notification),
    ];
    for (key, place) in workers {
        if let StorePlace::Own(url) = place {
            database(key, url);
        }
    }
    for url in &config.bus.addresses {
        if let Err(cause) = Address::parse(url.reveal()) {
            faults.push(("bus.url", format!("bus.url can't be used: {cause}")));
        }
    }
    if let Some(url) = &config.redis.url
        && let Err(cause) = redis::Address::parse(url.reveal())
    {
        faults.push(("redis.url", format!("redis.url can't be used: {cause}")));
    }
    if let Err(error) = mail_server(config) {
        // Whichever setting of the mail it is about, this one makes it count.
        faults.push(("mail.url", format!("{error:#}")));
    }
    faults
}
