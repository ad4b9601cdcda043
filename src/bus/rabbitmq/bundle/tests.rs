use proptest::prelude::*;
use tokio::sync::mpsc;

use super::*;
use crate::ports::bus::Settlement;

fn message(id: &str, kind: &str, body: &'static str) -> Message {
    Message {
        id: id.to_owned(),
        kind: kind.to_owned(),
        correlation_id: Some(format!("{id}\"?")),
        reply_to: None,
        traceparent: None,
        body: Bytes::from_static(body.as_bytes()),
        death: None,
    }
}

fn posting(exchange: Exchange, key: &str, id: &str) -> Posting {
    let (outlet, _) = mpsc::unbounded_channel();
    let (routing_key, message) = (key.to_owned(), message(id, key, "{\"a\":1}"));
    Posting {
        outgoing: Outgoing { exchange, routing_key, message },
        receipt: Receipt::new(outlet, 0),
        since: Instant::now(),
        together: true,
    }
}

fn bundling() -> Bundling {
    Bundling { services: vec!["inventory".to_owned()] }
}

fn arrived(outgoing: &Outgoing) -> Incoming {
    let Outgoing { routing_key, message, .. } = outgoing.clone();
    Incoming { message, routing_key, redeliveries: 1 }
}

/// The ids in each parcel.
fn packed(postings: Vec<Posting>) -> Vec<Vec<String>> {
    let parcels = pack(postings, &bundling());
    let ids = |parcel: &Parcel| match unpack(arrived(&parcel.outgoing)) {
        Ok(members) => members.into_iter().map(|member| member.message.id).collect(),
        Err(alone) => vec![alone.message.id],
    };
    for parcel in &parcels {
        assert_eq!(parcel.receipts.len(), ids(parcel).len());
    }
    parcels.iter().map(ids).collect()
}

#[test]
fn only_what_goes_to_the_same_place_and_is_read_by_a_skald_travels_together() {
    use Exchange::{Commands, Dead, Default, Events};
    let postings = [
        (Commands, "inventory.reserve", "1"),
        (Events, "order.created", "2"),
        (Commands, "notification.send", "3"),
        (Default, "skald.replies.0", "4"),
        (Commands, "inventory.release", "5"),
        (Commands, "notification.send", "6"),
        (Default, "skald.replies.1", "7"),
        (Events, "order.created", "8"),
        (Dead, "inventory.reserve", "9"),
        (Default, "skald.replies.0", "10"),
    ];
    let postings = postings.map(|(exchange, key, id)| posting(exchange, key, id));
    let expected: [&[&str]; 8] =
        [&["1", "5"], &["2"], &["3"], &["4", "10"], &["6"], &["7"], &["8"], &["9"]];
    assert_eq!(packed(postings.into()), expected);
}

#[test]
fn a_consumer_of_bundles_is_sent_fewer_ahead() {
    assert_eq!(bundling().window("inventory.commands", 1_000), 63);
    assert_eq!(bundling().window("inventory.commands", 1), 1);
    assert_eq!(bundling().window("notification.commands", 1_000), 1_000);
}

#[test]
fn what_is_to_go_alone_goes_alone() {
    let alone = |id| Posting { together: false, ..posting(Exchange::Default, "replies", id) };
    assert_eq!(packed(vec![alone("1"), alone("2")]), [["1"], ["2"]]);
}

#[test]
fn a_full_bundle_is_followed_by_another() {
    let postings = (0..MEMBERS + 2).map(|n| posting(Exchange::Default, "replies", &n.to_string()));
    let sizes: Vec<usize> = packed(postings.collect()).iter().map(Vec::len).collect();
    assert_eq!(sizes, [MEMBERS, 2]);
    let long = |id: &str| {
        let mut long = posting(Exchange::Default, "replies", id);
        long.outgoing.message.body = format!("\"{}\"", "x".repeat(BYTES / 2 - 2)).into();
        long
    };
    assert_eq!(packed(vec![long("1"), long("2"), long("3")]), [vec!["1", "2"], vec!["3"]]);
}

#[test]
fn a_message_that_goes_alone_is_no_bundle() {
    let parcels = pack(vec![posting(Exchange::Default, "replies", "1")], &bundling());
    assert_eq!(parcels[0].outgoing.message.kind, "replies");
}

#[test]
fn the_longest_bundle_is_taken_apart() {
    let around = r#"[{"id":"1","type":"t","body":""}]"#.len();
    let filler = "x".repeat(LONGEST - around);
    let body = format!(r#"[{{"id":"1","type":"t","body":"{filler}"}}]"#);
    let bundle = Message { body: body.into(), ..message("b", KIND, "") };
    let incoming = Incoming { message: bundle, routing_key: "q".to_owned(), redeliveries: 0 };
    assert_eq!(unpack(incoming).unwrap().len(), 1);
}

#[test]
fn what_is_no_json_goes_alone_and_so_do_those_with_it() {
    let mut odd = posting(Exchange::Default, "replies", "2");
    odd.outgoing.message.body = Bytes::from_static(b"{");
    let postings = vec![posting(Exchange::Default, "replies", "1"), odd];
    assert_eq!(packed(postings), [["1"], ["2"]]);
}

#[test]
fn everybody_hears_what_became_of_the_bundle() {
    let (outlet, mut heard) = mpsc::unbounded_channel();
    let postings = (0..3).map(|tag| Posting {
        receipt: Receipt::new(outlet.clone(), tag),
        ..posting(Exchange::Default, "replies", "1")
    });
    let parcels = pack(postings.collect(), &bundling());
    for parcel in parcels {
        parcel.receipts.into_iter().for_each(|receipt| receipt.settle(Settlement::Confirmed));
    }
    let tags: Vec<u64> = (0..3).map(|_| heard.try_recv().unwrap().0).collect();
    assert_eq!(tags, [0, 1, 2]);
}

#[test]
fn members_of_a_dead_bundle_died_each_under_its_own_key() {
    let postings =
        ["inventory.reserve", "inventory.release"].map(|key| posting(Exchange::Commands, key, key));
    let mut bundle = pack(postings.into(), &bundling()).remove(0).outgoing;
    assert_eq!(bundle.routing_key, "inventory.bundle");
    bundle.message.death = Some(Death {
        queue: "inventory.commands".to_owned(),
        routing_key: "inventory.bundle".to_owned(),
        reason: "delivery_limit".to_owned(),
    });
    for member in unpack(arrived(&bundle)).unwrap() {
        let Message { id, death, .. } = member.message;
        let death = death.unwrap();
        assert_eq!((&member.routing_key, &death.routing_key), (&id, &id));
        assert_eq!(death.reason, "delivery_limit");
    }
}

#[test]
fn what_only_says_that_it_is_a_bundle_is_a_message() {
    let many = format!("[{}]", vec![r#"{"id":"1","type":"t","body":1}"#; MEMBERS + 1].join(","));
    let long = format!(r#"[{{"id":"{}","type":"t","body":1}}]"#, "x".repeat(256));
    let huge = format!(r#"[{{"id":"1","type":"t","body":"{}"}}]"#, "x".repeat(LONGEST));
    let bodies = ["", "[]", "{}", "[1]", r#"[{"id":"1"}]"#, &many, &long, &huge];
    for body in bodies.map(str::to_owned) {
        let bundle = Message { body: body.clone().into(), ..message("b", KIND, "") };
        let incoming = Incoming { message: bundle, routing_key: "q".to_owned(), redeliveries: 0 };
        let alone = unpack(incoming).unwrap_err();
        assert_eq!(alone.message.body, body);
    }
}

proptest! {
    #[test]
    fn members_arrive_as_they_were_sent(
        texts in prop::collection::vec(("[^\u{0}]{0,40}", "\\PC{1,40}", prop::option::of("\\PC{0,40}"), any::<i64>()), 2..20),
    ) {
        let postings = texts.iter().map(|(id, kind, maybe, body)| {
            let message = Message {
                id: id.clone(),
                kind: kind.clone(),
                correlation_id: maybe.clone(),
                reply_to: maybe.clone().filter(|text| text.len() % 2 == 0),
                traceparent: maybe.clone(),
                body: format!(" {{\"data\": {body} }}").into(),
                death: None,
            };
            let mut posting = posting(Exchange::Default, "replies", "");
            posting.outgoing.message = message;
            posting
        });
        let postings: Vec<Posting> = postings.collect();
        let sent: Vec<Message> = postings.iter().map(|posting| posting.outgoing.message.clone()).collect();
        let parcels = pack(postings, &Bundling::default());
        prop_assert_eq!(parcels.len(), 1);
        let members = unpack(arrived(&parcels[0].outgoing)).map_err(|_| "no bundle").unwrap();
        for (member, sent) in members.into_iter().zip(sent) {
            prop_assert_eq!(member.redeliveries, 1);
            prop_assert_eq!(member.routing_key, "replies");
            // White space around a body is nobody's business.
            let body = Bytes::from(String::from_utf8_lossy(&sent.body).trim().to_owned());
            prop_assert_eq!(member.message, Message { body, ..sent });
        }
    }
}
