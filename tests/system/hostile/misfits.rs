//! Replies that can be read and fit nothing.

use uuid::Uuid;

use super::raw::Parcel;
use super::{Fate, Hostile, SHARDS};

/// A saga of which the test knows more than a worker should.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub id: Uuid,
    pub shard: u16,
}

const SUCCESS: &str =
    r#"{"eventType":"INVENTORY_RESERVED","data":{"reserved":{"products":9,"pieces":9}}}"#;
const REFUSAL: &str = r#"{"eventType":"INVENTORY_RESERVATION_FAILED","data":{"reason":{"code":"INSUFFICIENT_STOCK"}}}"#;
const LATER: &str = r#"{"eventType":"INVENTORY_RETRYABLE","data":{"retryable":true}}"#;

/// The event that asks for the goods of an order.
pub const ASKED: u64 = 2;

fn reply(shard: u16, correlation_id: String, body: impl Into<Vec<u8>>) -> Parcel {
    Parcel {
        routing_key: format!("skald.replies.{shard}").into_bytes(),
        correlation_id: Some(correlation_id.into_bytes()),
        kind: Some(b"inventory.reserved".to_vec()),
        body: body.into(),
        ..Parcel::default()
    }
}

/// What contradicts the answer of a saga that has ended, or answers what it never asked.
pub fn to_one_that_ended(saga: Known) -> Vec<Hostile> {
    let Known { id, shard } = saga;
    let bodies: [(&str, Vec<u8>); 10] = [
        ("success", SUCCESS.into()),
        ("refusal", REFUSAL.into()),
        ("later", LATER.into()),
        ("error", br#"{"err":"INSUFFICIENT_STOCK"}"#.to_vec()),
        ("nothing", Vec::new()),
        ("no-json", b"\xff\xfeOK".to_vec()),
        (
            "wrong-types",
            br#"{"eventType":7,"data":{"eventType":[],"data":{"reason":"x"}},"err":{"code":{}}}"#
                .to_vec(),
        ),
        ("twice", br#"{"eventType":"A","eventType":"B","data":1}"#.to_vec()),
        ("deep", "[".repeat(100_000).into_bytes()),
        ("long", vec![b' '; 2 << 20]),
    ];
    let contradictions = bodies.into_iter().map(|(name, body)| {
        let parcel = reply(shard, format!("{id}:{ASKED}"), body);
        Hostile::new(format!("contradiction-{name}-{id}"), parcel, Fate::Ignored)
    });
    let sequences = [0, 1, ASKED + 1, 4, 5, 6, 999_999, u64::MAX];
    let never_asked = sequences.into_iter().map(|sequence| {
        let parcel = reply(shard, format!("{id}:{sequence}"), REFUSAL);
        Hostile::new(format!("never-asked-{sequence}-{id}"), parcel, Fate::Ignored)
    });
    contradictions.chain(never_asked).collect()
}

/// What would be the answer, were it not in the queue of somebody else's shard.
pub fn to_the_wrong_shard(saga: Known) -> Vec<Hostile> {
    let others = [1, 13, 32].map(|distance| (saga.shard + distance) % SHARDS);
    let sent = others.into_iter().flat_map(|shard| {
        [("success", SUCCESS), ("refusal", REFUSAL), ("later", LATER)].map(|(name, body)| {
            let parcel = reply(shard, format!("{}:{ASKED}", saga.id), body);
            let queue = super::REPLY_QUEUES[usize::from(shard)].as_str();
            Hostile::new(
                format!("wrong-shard-{name}-{shard}-{}", saga.id),
                parcel,
                Fate::Parked(queue),
            )
        })
    });
    sent.collect()
}

/// What answers a saga that there is not, or names one in a way that nobody does.
pub fn to_nobody(saga: Known) -> Vec<Hostile> {
    let names = [
        ("unknown", format!("{}:{ASKED}", Uuid::now_v7())),
        ("nil", format!("{}:{ASKED}", Uuid::nil())),
        ("no-sequence", saga.id.to_string()),
        ("negative", format!("{}:-2", saga.id)),
        ("signed", format!("{}:+{ASKED}", saga.id)),
        ("too-large", format!("{}:18446744073709551616", saga.id)),
        ("other-spelling", format!("{}:{ASKED}", saga.id.simple())),
        ("nonsense", "\u{1f525}".repeat(60)),
    ];
    let sent = names.into_iter().map(|(name, correlation_id)| {
        let queue = super::REPLY_QUEUES[usize::from(saga.shard)].as_str();
        let parcel = reply(saga.shard, correlation_id, SUCCESS);
        Hostile::new(format!("nobody-{name}"), parcel, Fate::Parked(queue))
    });
    sent.collect()
}
