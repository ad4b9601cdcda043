//! Many messages in one. Pure.
//!
//! What a message costs the broker and its clients hardly depends on its length. So messages that go
//! to the same place at the same time, and that a Skald reads there, travel as one: a JSON array of
//! the messages, each with those of its properties that are not the array's. Only the two ends know;
//! everybody else sees messages.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::publisher::Posting;
use super::wire::{self, Incoming};
use crate::ports::bus::{Death, Exchange, Message, Outgoing, Receipt};

/// The type of a bundle.
pub const KIND: &str = "skald.bundle";

/// What is in it.
pub const CONTENT_TYPE: &str = "application/vnd.skald.bundle+json";

/// The most messages in one. More would save little, and be more to do over when one of them comes
/// back.
const MEMBERS: usize = 64;

/// The most bytes of messages in one, which bounds what a full prefetch of bundles takes.
const BYTES: usize = 64 * 1024;

/// The longest bundle that is read: what we write, with room for the properties of each member.
const LONGEST: usize = 4 * BYTES;

/// What AMQP allows a property, in bytes.
const LONGEST_PROPERTY: usize = 255;

/// Which messages may travel together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundling {
    /// The services whose commands do, e.g. `inventory`. Only Skald's own workers may consume them.
    pub services: Vec<String>,
}

/// How many messages a bundle holds when there is much to do.
const USUAL: usize = 16;

impl Bundling {
    /// How many deliveries the consumer of a service's queue should be sent ahead so that it has
    /// about `prefetch` messages: what it has no use for yet, another one could be doing.
    pub fn window(&self, queue: &str, prefetch: usize) -> usize {
        let service = queue.strip_suffix(".commands").unwrap_or(queue);
        match self.services.iter().any(|known| known == service) {
            true => prefetch.div_ceil(USUAL),
            false => prefetch,
        }
    }

    /// Where a message goes together with others, if it may: messages to the same place share it.
    /// Replies may, as only orchestrators consume them. Events never do: anybody may listen.
    fn place<'a>(&self, outgoing: &'a Outgoing) -> Option<&'a str> {
        match outgoing.exchange {
            Exchange::Default => Some(&outgoing.routing_key),
            Exchange::Commands => {
                let (service, _) = outgoing.routing_key.split_once('.')?;
                self.services.iter().any(|known| known == service).then_some(service)
            }
            Exchange::Events | Exchange::Dead => None,
        }
    }
}

/// What goes to the broker as one message, and those who wait to hear what became of it.
pub struct Parcel {
    /// The message, or the bundle.
    pub outgoing: Outgoing,
    /// One for each message in it.
    pub receipts: Vec<Receipt>,
    /// Since when the longest of them wait.
    pub since: Instant,
}

/// Packs messages into as few parcels as may be, in the order of the first message in each.
pub fn pack(postings: Vec<Posting>, bundling: &Bundling) -> Vec<Parcel> {
    let mut groups: Vec<Group> = Vec::with_capacity(postings.len());
    // The last group for each place. There are few places.
    let mut last: Vec<usize> = Vec::new();
    for posting in postings {
        let place = posting.together.then(|| bundling.place(&posting.outgoing)).flatten();
        let Some(place) = place else {
            groups.push(Group::of(posting));
            continue;
        };
        let same = |at: &&mut usize| {
            let first = &groups[**at].postings[0].outgoing;
            first.exchange == posting.outgoing.exchange && bundling.place(first) == Some(place)
        };
        match last.iter_mut().find(same) {
            Some(at) if groups[*at].has_room(&posting) => groups[*at].add(posting),
            found => {
                let next = groups.len();
                match found {
                    Some(at) => *at = next,
                    None => last.push(next),
                }
                groups.push(Group::of(posting));
            }
        }
    }
    groups.into_iter().flat_map(Group::into_parcels).collect()
}

/// Messages to one place.
struct Group {
    postings: Vec<Posting>,
    bytes: usize,
}

impl Group {
    fn of(posting: Posting) -> Self {
        Self { bytes: posting.outgoing.message.body.len(), postings: vec![posting] }
    }

    fn has_room(&self, posting: &Posting) -> bool {
        let bytes = self.bytes + posting.outgoing.message.body.len();
        self.postings.len() < MEMBERS && bytes <= BYTES
    }

    fn add(&mut self, posting: Posting) {
        self.bytes += posting.outgoing.message.body.len();
        self.postings.push(posting);
    }

    /// One parcel, unless a message is no JSON and can't be in a bundle.
    fn into_parcels(self) -> Vec<Parcel> {
        let bundle = (self.postings.len() > 1).then(|| write(&self.postings)).flatten();
        let Some(outgoing) = bundle else {
            return self.postings.into_iter().map(Parcel::alone).collect();
        };
        let since = self.postings.iter().map(|posting| posting.since).min();
        let receipts = self.postings.into_iter().map(|posting| posting.receipt).collect();
        vec![Parcel { outgoing, receipts, since: since.unwrap_or_else(Instant::now) }]
    }
}

impl Parcel {
    fn alone(Posting { outgoing, receipt, since, .. }: Posting) -> Self {
        Self { outgoing, receipts: vec![receipt], since }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<Cow<'a, str>>,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// Writes messages that go to one place as one; none if one of them is no JSON.
fn write(postings: &[Posting]) -> Option<Outgoing> {
    let members = postings.iter().map(|posting| {
        let Message { id, kind, correlation_id, reply_to, traceparent, body, .. } =
            &posting.outgoing.message;
        Some(Member {
            id: id.into(),
            kind: kind.into(),
            correlation_id: correlation_id.as_deref().map(Cow::from),
            reply_to: reply_to.as_deref().map(Cow::from),
            traceparent: traceparent.as_deref().map(Cow::from),
            body: serde_json::from_slice(body).ok()?,
        })
    });
    let body = serde_json::to_vec(&members.collect::<Option<Vec<_>>>()?).ok()?;
    let Outgoing { exchange, routing_key, message: first } = &postings.first()?.outgoing;
    let routing_key = match (exchange, routing_key.split_once('.')) {
        (Exchange::Commands, Some((service, _))) => format!("{service}.bundle"),
        _ => routing_key.clone(),
    };
    let message = Message {
        id: first.id.clone(),
        kind: KIND.to_owned(),
        correlation_id: None,
        reply_to: None,
        traceparent: None,
        body: Bytes::from(body),
        death: None,
    };
    Some(Outgoing { exchange: *exchange, routing_key, message })
}

/// Takes a bundle apart; gives back what is none, or not one of ours.
pub fn unpack(incoming: Incoming) -> Result<Vec<Incoming>, Box<Incoming>> {
    if incoming.message.kind != KIND {
        return Err(Box::new(incoming));
    }
    match read(&incoming) {
        Some(members) => Ok(members),
        None => {
            tracing::warn!(id = %incoming.message.id, "a message says that it is a bundle, and is none");
            Err(Box::new(incoming))
        }
    }
}

fn read(
    Incoming { message: bundle, routing_key, redeliveries }: &Incoming,
) -> Option<Vec<Incoming>> {
    if bundle.body.len() > LONGEST {
        return None;
    }
    let members: Vec<Member<'_>> = serde_json::from_slice(&bundle.body).ok()?;
    if members.is_empty() || members.len() > MEMBERS {
        return None;
    }
    let members = members.into_iter().map(|member| {
        let kind = text(member.kind)?;
        // As if it had come alone: to workers by its type, to a queue by the queue's name.
        let own_key = |key: &str| if is_to_workers(key) { kind.clone() } else { key.to_owned() };
        let death = bundle
            .death
            .as_ref()
            .map(|death| Death { routing_key: own_key(&death.routing_key), ..death.clone() });
        let routing_key = own_key(routing_key);
        let message = Message {
            id: text(member.id)?,
            correlation_id: maybe_text(member.correlation_id)?,
            reply_to: maybe_text(member.reply_to)?,
            traceparent: maybe_text(member.traceparent)?,
            body: bundle.body.slice_ref(member.body.get().as_bytes()),
            kind,
            death,
        };
        Some(Incoming { message, routing_key, redeliveries: *redeliveries })
    });
    members.collect()
}

/// A property of a member; none if it could not be one of a message that goes alone.
fn text(text: Cow<'_, str>) -> Option<String> {
    (text.len() <= LONGEST_PROPERTY).then(|| wire::clean(&text))
}

fn maybe_text(property: Option<Cow<'_, str>>) -> Option<Option<String>> {
    property.map(text).map_or(Some(None), |text| text.map(Some))
}

fn is_to_workers(routing_key: &str) -> bool {
    routing_key.split_once('.').is_some_and(|(_, name)| name == "bundle")
}

#[cfg(test)]
mod tests;
