//! Many messages at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use skald::ports::bus::{Bus, Outgoing, QueueSpec, Receipt, Settlement};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{PATIENCE, command, connect, consume_until, queue};
use crate::rabbitmq::shared;

#[tokio::test]
async fn each_message_hears_its_own_outcome_among_many() {
    const MESSAGES: u64 = 12_000;
    let bus = connect(&shared()).await.unwrap();
    let work = QueueSpec { max_length: 500, ..queue("work") };
    bus.declare(&work).await.unwrap();
    let (outlet, mut settlements) = mpsc::unbounded_channel();
    for tag in 0..MESSAGES {
        // Ids repeat, so that the key and the exchange have to tell them apart.
        let id = (tag / 3).to_string();
        let key = if tag % 3 == 1 { "nowhere" } else { work.name.as_str() };
        bus.publish(command(key, &id), Receipt::new(outlet.clone(), tag));
    }
    let mut counted = BTreeMap::new();
    for _ in 0..MESSAGES {
        let (tag, settlement) = timeout(PATIENCE, settlements.recv()).await.unwrap().unwrap();
        let routed = tag % 3 != 1;
        assert_eq!(routed, settlement != Settlement::Unroutable, "{tag} is {settlement:?}");
        *counted.entry(format!("{settlement:?}")).or_insert(0) += 1;
    }
    assert_eq!(counted["Unroutable"], MESSAGES / 3);
    assert!(counted["Confirmed"] >= 500 && counted["Rejected"] > 500, "{counted:?}");
    assert!(!counted.contains_key("Unknown"), "{counted:?}");
}

/// `cargo test --release --test adapters -- --ignored --nocapture throughput`
#[tokio::test]
#[ignore = "measures"]
async fn throughput_of_publish_confirm_consume_acknowledge() {
    const MESSAGES: usize = 200_000;
    let bus: Arc<dyn Bus> = Arc::new(connect(&shared()).await.unwrap());
    for _ in 0..3 {
        let work = queue("work");
        bus.declare(&work).await.unwrap();
        let (began, used) = (Instant::now(), processor_time());
        let consuming = tokio::spawn(consume_until(bus.clone(), work.clone(), MESSAGES));
        let (outlet, mut settlements) = mpsc::unbounded_channel();
        let (mut sent, mut confirmed) = (0, 0);
        let mut batch = Vec::new();
        let body = Bytes::from(vec![b'x'; 500]);
        while confirmed < MESSAGES {
            while sent < MESSAGES && sent - confirmed < 500 {
                let mut outgoing: Outgoing = command(work.name.as_str(), &sent.to_string());
                outgoing.message.body = body.clone();
                bus.publish(outgoing, Receipt::new(outlet.clone(), 0));
                sent += 1;
            }
            confirmed += settlements.recv_many(&mut batch, 500).await;
            assert!(batch.drain(..).all(|(_, settlement)| settlement == Settlement::Confirmed));
        }
        consuming.await.unwrap();
        let (took, used) = (began.elapsed(), processor_time() - used);
        println!(
            "{:.0} messages/s, {:.1} µs of this process's CPU a message",
            MESSAGES as f64 / took.as_secs_f64(),
            used * 1e6 / MESSAGES as f64
        );
    }
}

/// Seconds that this process was on a processor.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks / 100.0
}
