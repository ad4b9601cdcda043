//! Messages that nobody can read, for every queue that somebody consumes.

use serde_json::{Value, json};

use super::raw::{FRAME_MAX, Parcel, Publisher, entry, nested, text};
use super::{Fate, Hostile};

/// The commands' queues, a few of the replies', each node owning some, and that of dead letters.
pub const QUEUES: [&str; 7] = [
    "inventory.commands",
    "notification.commands",
    "skald.replies.0",
    "skald.replies.21",
    "skald.replies.42",
    "skald.replies.63",
    "skald.dead-letters",
];

/// As much as a broker takes in one message, about.
pub const HUGE: usize = 16_000_000;

/// Deeper than any stack.
const DEEP: usize = 100_000;

/// As deep as a table of headers fits into a frame.
const DEEP_TABLE: u32 = 5_000;

/// As much as may be in the frame with a message's properties: the broker lets what is around it go by.
const LONGEST: usize = FRAME_MAX;

/// The same for the client library, which counts the eight bytes around it.
const FITTING: usize = FRAME_MAX - 8;

/// Where it waits for a worker. No order gets as far as to be there before there are any.
pub const UNATTENDED: &str = "notification.commands";

/// Where a message that was put into `queue` is said to have died.
fn died_in(queue: &'static str) -> Fate {
    Fate::Parked(if queue == "skald.dead-letters" { "" } else { queue })
}

fn to(queue: &'static str, kind: &str, body: impl Into<Vec<u8>>) -> Parcel {
    let (routing_key, kind) = (queue.as_bytes().to_vec(), Some(kind.as_bytes().to_vec()));
    Parcel { routing_key, kind, body: body.into(), ..Parcel::default() }
}

/// Everything.
pub fn all() -> Vec<Hostile> {
    let mut all = bodies();
    all.extend(wrong_types());
    all.extend(headers());
    all.extend(long_headers());
    all.extend(not_utf8());
    all.extend(bundles());
    all
}

fn bodies() -> Vec<Hostile> {
    let deep = |open: &str, close: &str| (open.repeat(DEEP) + &close.repeat(DEEP)).into_bytes();
    let every_byte: Vec<u8> = (0..=255).collect();
    let bodies: [(&str, Vec<u8>); 9] = [
        ("empty", Vec::new()),
        ("garbage", every_byte),
        ("cut-off", b"{\"data\":{\"commandType\":\"RESERVE_INVENTORY\",\"da".to_vec()),
        ("not-utf8", b"{\"data\":\"\xff\xfe\"}".to_vec()),
        ("null", b"null".to_vec()),
        ("number", b"1e999999".to_vec()),
        ("deep-lists", deep("[", "]")),
        ("deep-objects", deep("{\"data\":", "}")),
        ("surrogate", br#"{"data":{"commandType":"\ud800"}}"#.to_vec()),
    ];
    let each = QUEUES.iter().flat_map(|queue| {
        bodies.iter().map(move |(name, body)| {
            let parcel = to(queue, "inventory.reserve", body.clone());
            Hostile::new(format!("{name}-{queue}"), parcel, died_in(queue))
        })
    });
    let huge = ["inventory.commands", "skald.replies.0"].map(|queue| {
        let parcel = to(queue, "inventory.reserve", vec![b'['; HUGE]);
        Hostile::new(format!("huge-{queue}"), parcel, died_in(queue))
    });
    each.chain(huge).collect()
}

/// Commands in which one member is of another type.
fn wrong_types() -> Vec<Hostile> {
    let key = "019b7c9f-0e2e-7000-b000-000000000001:reserve-inventory:1:do";
    let command = |kind: &str, data: Value| json!({"data": {"commandType": kind, "data": data, "metadata": {"idempotencyKey": key}}});
    let items = json!([{"productId": "nobody sells it", "quantity": 1, "price": 1}]);
    let reserve = command("RESERVE_INVENTORY", json!({"items": items}));
    let send = json!({"template": "ORDER_CONFIRMED", "email": "a@example.org", "currency": "EUR", "totalAmount": 1,
        "orderId": "019b7c9f-0e2e-7000-a000-000000000001", "items": items});
    let send = command("SEND_NOTIFICATION", send);
    let common = [
        "",
        "/data",
        "/data/commandType",
        "/data/data",
        "/data/metadata",
        "/data/metadata/idempotencyKey",
    ];
    let items = [
        "/data/data/items",
        "/data/data/items/0",
        "/data/data/items/0/productId",
        "/data/data/items/0/quantity",
    ];
    let letter = [
        "/data/data/template",
        "/data/data/orderId",
        "/data/data/currency",
        "/data/data/items/0/price",
        "/data/data/totalAmount",
    ];
    let mut all = Vec::new();
    let mut break_each = |queue: &'static str, kind: &str, whole: &Value, places: Vec<&str>| {
        for place in places {
            for wrong in [json!(null), json!(true), json!(7), json!("x"), json!([]), json!({})] {
                let mut broken = whole.clone();
                let member = broken.pointer_mut(place).unwrap();
                if std::mem::discriminant(member) == std::mem::discriminant(&wrong) {
                    continue;
                }
                *member = wrong;
                let name = format!("wrong-type-{}-{kind}", all.len());
                let parcel = to(queue, kind, broken.to_string());
                all.push(Hostile::new(name, parcel, Fate::Parked(queue)));
            }
        }
    };
    break_each("inventory.commands", "inventory.reserve", &reserve, [&common[..], &items].concat());
    let places = [&common[..], &items, &letter].concat();
    break_each("notification.commands", "notification.send", &send, places);
    all
}

/// A value of each type that AMQP has.
fn every_type() -> Vec<Vec<u8>> {
    // Where all bits are set it is no number, and the broker itself takes none such.
    let wide = |kind: u8, width: usize| {
        let byte = if matches!(kind, b'f' | b'd') { 0x41 } else { 0xff };
        [&[kind][..], &vec![byte; width]].concat()
    };
    let numbers = [
        (b'b', 1),
        (b'B', 1),
        (b's', 2),
        (b'u', 2),
        (b'I', 4),
        (b'i', 4),
        (b'l', 8),
        (b'f', 4),
        (b'd', 8),
        (b'D', 5),
        (b'T', 8),
    ];
    let mut values: Vec<Vec<u8>> = numbers.map(|(kind, width)| wide(kind, width)).to_vec();
    values.extend([b"t\x01".to_vec(), b"V".to_vec(), text(b"a\0b"), text(b"\xff\xfe")]);
    values.extend([
        nested(b'x', b"\xff"),
        nested(b'A', b"VV"),
        nested(b'F', b""),
        nested(b'A', &nested(b'F', b"")),
    ]);
    values
}

fn headers() -> Vec<Hostile> {
    let known =
        ["traceparent", "skald-death-queue", "skald-death-reason", "x-death", "x-delivery-count"];
    let mut tables: Vec<(String, Vec<u8>)> = Vec::new();
    for (n, value) in every_type().iter().enumerate() {
        let table = known.iter().flat_map(|name| entry(name.as_bytes(), value)).collect();
        tables.push((format!("type-{n}"), table));
    }
    let many = every_type().into_iter().enumerate();
    tables.push((
        "many".to_owned(),
        many.flat_map(|(n, it)| entry(format!("h{n}").as_bytes(), &it)).collect(),
    ));
    tables.push(("name-not-utf8".to_owned(), entry(b"\xff\xfe", b"V")));
    // Each is all that is left inside of the one before.
    let inside = |left: u32| [&[0, b'F'][..], &(6 * left).to_be_bytes()].concat();
    let floorless = (0..DEEP_TABLE).rev().flat_map(inside).collect();
    tables.push(("deep".to_owned(), floorless));
    // No index entry is as long, and nothing makes it shorter.
    let mut seed = 7_u64;
    let long = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        b"0123456789abcdefghijklmnopqrstuv"[(seed >> 59) as usize]
    });
    let long: Vec<u8> = long.take(20_000).collect();
    let ours =
        [entry(b"skald-death-queue", &text(&long)), entry(b"skald-death-reason", &text(&long))];
    tables.push(("long-names".to_owned(), ours.concat()));
    let keys = nested(b'A', &text(&long));
    let death = [
        entry(b"queue", &text(&long)),
        entry(b"reason", &text(&long)),
        entry(b"routing-keys", &keys),
    ];
    let deaths = nested(b'A', &nested(b'F', &death.concat()));
    tables.push(("long-deaths".to_owned(), entry(b"x-death", &deaths)));
    tables
        .into_iter()
        .flat_map(|(name, table)| {
            let alive = to("notification.commands", "notification.send", "{}");
            let alive = Parcel { headers: Some(table.clone()), ..alive };
            let reply =
                Parcel { headers: Some(table.clone()), ..to("skald.replies.21", "x", "{}") };
            let dead = Parcel {
                exchange: "skald.dead",
                headers: Some(table),
                ..to("hostile.key", "x", "{}")
            };
            [
                Hostile::new(
                    format!("header-{name}-command"),
                    alive,
                    Fate::Parked("notification.commands"),
                ),
                Hostile::new(
                    format!("header-{name}-reply"),
                    reply,
                    Fate::Parked("skald.replies.21"),
                ),
                // Where it died is what its headers say, if they say anything.
                Hostile::new(format!("header-{name}-letter"), dead, Fate::ParkedSomewhere),
            ]
        })
        .collect()
}

/// The same with one more header, as long as it takes to have so much in the frame with the properties.
fn filled(mut hostile: Hostile, length: usize) -> Hostile {
    let given = hostile.parcel.headers.take().unwrap_or_default();
    let mut fill = |bytes: usize| {
        let filler = entry(b"filler", &text(&vec![b'x'; bytes]));
        hostile.parcel.headers = Some([&filler[..], &given].concat());
        hostile.parcel.header().len()
    };
    let missing = length - fill(0);
    assert_eq!(fill(missing), length);
    hostile
}

/// Headers as long as the broker takes them, and as long as the client library does, and one byte longer.
fn long_headers() -> Vec<Hostile> {
    let lengths = [LONGEST, FITTING + 1, FITTING];
    let each = QUEUES.iter().flat_map(|queue| {
        lengths.map(|length| {
            let parcel = to(queue, "inventory.reserve", "{}");
            let name = format!("filled-{length}-{queue}");
            filled(Hostile::new(name, parcel, died_in(queue)), length)
        })
    });
    // Beside all the others are those that say where it died.
    let letters = lengths.map(|length| {
        let told = [
            entry(b"skald-death-queue", &text(b"inventory.commands")),
            entry(b"skald-death-reason", &text(b"hostile")),
        ];
        let dead = to("hostile.key", "x", "{}");
        let dead = Parcel { exchange: "skald.dead", headers: Some(told.concat()), ..dead };
        let name = format!("filled-{length}-letter");
        filled(Hostile::new(name, dead, Fate::Parked("inventory.commands")), length)
    });
    each.chain(letters).collect()
}

/// Its headers are just short enough for the client library, until the broker adds how it died.
pub fn that_dies_at_once() -> Hostile {
    let parcel = to(UNATTENDED, "notification.send", "{}");
    let parcel = Parcel { expiration: Some(b"1".to_vec()), ..parcel };
    let hostile = Hostile::new("filled-dies".to_owned(), parcel, Fate::Parked(UNATTENDED));
    filled(hostile, FITTING)
}

/// Its headers are just short enough for the client library, until the broker adds how often it came.
pub fn that_comes_again() -> Hostile {
    let parcel = to(UNATTENDED, "notification.send", "{}");
    let hostile = Hostile::new("filled-comes-again".to_owned(), parcel, Fate::Parked(UNATTENDED));
    filled(hostile, FITTING)
}

/// Properties that are no text.
fn not_utf8() -> Vec<Hostile> {
    let broken = || Some(b"a\xff\xfe\0z".to_vec());
    QUEUES
        .iter()
        .flat_map(|queue| {
            let plain = || to(queue, "inventory.reserve", "{}");
            let fate = || died_in(queue);
            // The id by which it is kept is a text.
            let mut id = Hostile::new(format!("id-??-{queue}"), plain(), fate());
            id.parcel.message_id = Some([b"hostile-id-\xff\xfe-", queue.as_bytes()].concat());
            [
                id,
                Hostile::new(format!("kind-{queue}"), Parcel { kind: broken(), ..plain() }, fate()),
                Hostile::new(
                    format!("correlation-{queue}"),
                    Parcel { correlation_id: broken(), ..plain() },
                    fate(),
                ),
                Hostile::new(
                    format!("reply-to-{queue}"),
                    Parcel { reply_to: broken(), ..plain() },
                    fate(),
                ),
            ]
        })
        .chain([Hostile::new(
            "routing-key".to_owned(),
            Parcel {
                exchange: "skald.commands",
                routing_key: b"inventory.\xff\xfe".to_vec(),
                ..to("", "inventory.reserve", "{}")
            },
            Fate::Parked("inventory.commands"),
        )])
        .collect()
}

/// What says that it is many messages.
fn bundles() -> Vec<Hostile> {
    let bodies = [
        ("none", "[]"),
        ("no-json", "[{\"id\":"),
        ("wrong-types", r#"[{"id":1,"type":2,"body":3}]"#),
        ("twice", r#"[{"id":"a","id":"b","type":"c","body":{}}]"#),
        ("itself", r#"{"id":"a","type":"skald.bundle","body":[]}"#),
    ];
    QUEUES
        .iter()
        .flat_map(|queue| {
            bodies.map(|(name, body)| {
                let parcel = to(queue, "skald.bundle", body);
                Hostile::new(format!("bundle-{name}-{queue}"), parcel, died_in(queue))
            })
        })
        .collect()
}

/// What is no event, or none in one line.
pub fn to_the_event_log(url: &str) {
    let mut publisher = Publisher::connect(url);
    let bodies: [&[u8]; 6] = [
        b"",
        b"no json",
        b"\xff\xfe\n",
        b"{\"id\":\"hostile",
        b"{\n\"id\":\r\n\"hostile\"\n}",
        &[b'['; 200_000],
    ];
    for body in bodies {
        publisher.publish(&to("skald.event-log", "order.created", body));
        let event = to("order.created", "x", body);
        publisher.publish(&Parcel { exchange: "order-events", ..event });
    }
    let long = to("skald.event-log", "order.created", "no json");
    let long = Hostile::new("filled-event".to_owned(), long, Fate::Ignored);
    publisher.publish(&filled(long, LONGEST).parcel);
    publisher.finish();
}
