//! What a frame holds, made harmless, if it can be in place. Pure.

use std::ops::Range;

/// How deeply the tables of a message may be nested. The broker's own, which tell of deaths, are nested
/// three deep.
const MAX_DEPTH: usize = 16;

/// A table and a list, and what is as long but is not looked into: bytes.
const TABLE: u8 = b'F';
const LIST: u8 = b'A';
const BYTES: u8 = b'x';

/// The class of all methods that bring messages, and those of them that come from the broker.
const BASIC: u16 = 60;
const RETURN: u16 = 50;
const DELIVER: u16 = 60;

/// The headers that are read here, in `wire`. They stay where all would be too long: a dead letter has to say
/// where it died, and what comes again and again how often it came.
const READ: [&[u8]; 5] =
    [b"traceparent", b"skald-death-queue", b"skald-death-reason", b"x-death", b"x-delivery-count"];

/// The longest of them that stays, in bytes. What we write is shorter, and so is what the broker writes of
/// some deaths. All of them have room then, however long somebody makes one of them.
const LONGEST_READ: usize = 8 * 1024;

/// The class and the weight, the length of the body, and the bits that say which properties there are.
const FIXED: usize = 14;

/// The bits of the properties before the headers, and that of the headers.
const BEFORE_HEADERS: [u16; 2] = [1 << 15, 1 << 14];
const HEADERS: u16 = 1 << 13;

/// The length of a table or a list.
pub const LENGTH: usize = 4;

/// In so many bytes the headers have begun, if there are any.
pub const BEGUN: usize = FIXED + BEFORE_HEADERS.len() * (1 + 255) + LENGTH;

/// A property of a message.
#[derive(Clone, Copy)]
enum Property {
    Text,
    Table,
    Byte,
    Moment,
}

/// The properties by the bits that say that they are there, from the highest on.
const PROPERTIES: [Property; 14] = {
    use Property::{Byte, Moment, Table, Text};
    [Text, Text, Table, Byte, Byte, Text, Text, Text, Text, Moment, Text, Text, Text, Text]
};

/// Makes the inside of a method's frame harmless.
pub fn tame_method(payload: &mut [u8]) {
    // What ends too soon is left to the library, which says so.
    let _ = Walk(payload).method();
}

/// Makes the inside of a frame with properties harmless.
pub fn tame_header(payload: &mut [u8]) {
    let _ = Walk(payload).header();
}

/// The longest frame that the broker wants, in bytes, if this method tells of it. 0 is no limit.
pub fn frame_max(method: &[u8]) -> Option<u32> {
    // `connection.tune`; in front of it is the highest number of a channel.
    let [0, 10, 0, 30, _, _, a, b, c, d, ..] = *method else { return None };
    Some(u32::from_be_bytes([a, b, c, d]))
}

/// Where the headers are in a frame with properties, without their length. The end of the frame need not be
/// there.
pub fn headers(payload: &mut [u8]) -> Option<Range<usize>> {
    let whole = payload.len();
    let mut ahead = Walk(payload);
    ahead.take(FIXED - 2)?;
    let given = ahead.number()?;
    for bit in BEFORE_HEADERS {
        if given & bit != 0 {
            ahead.text()?;
        }
    }
    if given & HEADERS == 0 {
        return None;
    }
    let length = ahead.length()?;
    let start = whole - ahead.0.len();
    Some(start..start.checked_add(length)?)
}

/// The inside of a frame with properties, with no other headers than those that are read here, and with
/// those only as far as all together has no more than `longest` bytes. None if it has no headers.
pub fn shortened(payload: &mut [u8], longest: usize) -> Option<Vec<u8>> {
    let Range { start, end } = headers(payload)?;
    let (to_headers, after) = payload.split_at_mut_checked(end)?;
    let (before, headers) = to_headers.split_at_mut_checked(start)?;
    let kept = kept(headers, longest.saturating_sub(before.len() + after.len()));
    let length = (kept.len() as u32).to_be_bytes();
    Some([&before[..start - LENGTH], &length, &kept, after].concat())
}

/// The entries that are read here, as far as there is room for them.
fn kept(mut table: &mut [u8], room: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    while let Some(length) = entry_length(table) {
        let (entry, rest) = std::mem::take(&mut table).split_at_mut(length);
        let (name, _) = entry[1..].split_at(entry[0].into());
        if READ.contains(&name) && length <= LONGEST_READ.min(room - kept.len()) {
            kept.extend_from_slice(entry);
        }
        table = rest;
    }
    kept
}

/// The length of the entry with which a table begins; none if there is none, or none that can be read.
fn entry_length(table: &mut [u8]) -> Option<usize> {
    let whole = table.len();
    let mut ahead = Walk(table);
    ahead.text()?;
    ahead.value(0)?;
    Some(whole - ahead.0.len())
}

/// What lies ahead.
struct Walk<'a>(&'a mut [u8]);

impl<'a> Walk<'a> {
    fn method(&mut self) -> Option<()> {
        match (self.number()?, self.number()?) {
            (BASIC, DELIVER) => {
                self.text()?;
                // The tag, and whether it came before.
                self.take(9)?;
                self.text()?;
                self.text()
            }
            (BASIC, RETURN) => {
                self.number()?;
                self.text()?;
                self.text()?;
                self.text()
            }
            _ => None,
        }
    }

    fn header(&mut self) -> Option<()> {
        self.take(FIXED - 2)?;
        let given = self.number()?;
        for (bit, property) in (0..16).rev().zip(PROPERTIES) {
            if given & 1 << bit == 0 {
                continue;
            }
            match property {
                Property::Text => self.text()?,
                Property::Table => self.table(0)?,
                Property::Byte => drop(self.take(1)?),
                Property::Moment => drop(self.take(8)?),
            }
        }
        Some(())
    }

    /// The next bytes; none if there are not so many.
    fn take(&mut self, length: usize) -> Option<&'a mut [u8]> {
        let (taken, rest) = std::mem::take(&mut self.0).split_at_mut_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn length(&mut self) -> Option<usize> {
        let bytes = self.take(4)?;
        usize::try_from(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).ok()
    }

    /// A short text, which has to be UTF-8.
    fn text(&mut self) -> Option<()> {
        let length = self.byte()?;
        tame_text(self.take(length.into())?);
        Some(())
    }

    fn table(&mut self, depth: usize) -> Option<()> {
        let length = self.length()?;
        let mut inside = Walk(self.take(length)?);
        while !inside.0.is_empty() {
            inside.text()?;
            inside.value(depth)?;
        }
        Some(())
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        let length = self.length()?;
        let mut inside = Walk(self.take(length)?);
        while !inside.0.is_empty() {
            inside.value(depth)?;
        }
        Some(())
    }

    /// A value with its type in front. One that is nested too deeply becomes bytes, which have the same
    /// form on the wire.
    fn value(&mut self, depth: usize) -> Option<()> {
        let kind = self.take(1)?;
        if depth >= MAX_DEPTH && matches!(kind[0], TABLE | LIST) {
            kind[0] = BYTES;
        }
        match kind[0] {
            TABLE => self.table(depth + 1),
            LIST => self.list(depth + 1),
            b'S' | BYTES => {
                let length = self.length()?;
                self.take(length).map(drop)
            }
            b'V' => Some(()),
            b't' | b'b' | b'B' => self.take(1).map(drop),
            b's' | b'U' | b'u' => self.take(2).map(drop),
            b'I' | b'i' | b'f' => self.take(4).map(drop),
            b'D' => self.take(5).map(drop),
            b'l' | b'L' | b'd' | b'T' => self.take(8).map(drop),
            _ => None,
        }
    }
}

/// Puts a question mark in the place of each byte that is no part of a character.
fn tame_text(mut text: &mut [u8]) {
    while let Err(error) = std::str::from_utf8(text) {
        let (_, rest) = text.split_at_mut(error.valid_up_to());
        let length = error.error_len().unwrap_or(rest.len());
        let (broken, rest) = rest.split_at_mut(length);
        broken.fill(b'?');
        text = rest;
    }
}

#[cfg(test)]
mod tests {
    use lapin::message::Delivery;
    use lapin::protocol::basic::parse_properties;
    use lapin::types::parsing::parse_field_table;
    use proptest::prelude::*;

    use super::*;
    use crate::bus::rabbitmq::wire;

    fn tamed(text: &[u8]) -> String {
        let mut text = text.to_vec();
        tame_text(&mut text);
        String::from_utf8(text).unwrap()
    }

    fn long(inside: &[u8]) -> Vec<u8> {
        [&u32::try_from(inside.len()).unwrap().to_be_bytes()[..], inside].concat()
    }

    /// A table in a table in a table.
    fn nested(depth: usize) -> Vec<u8> {
        long(&(0..depth).fold(Vec::new(), |inside, _| [&b"\x01aF"[..], &long(&inside)].concat()))
    }

    fn tame_table(table: &[u8]) -> Vec<u8> {
        let mut table = table.to_vec();
        let _ = Walk(&mut table).table(0);
        table
    }

    #[test]
    fn what_is_no_character_becomes_question_marks() {
        assert_eq!(tamed(b"a\xff\xfe\xc3(z\xe2\x82"), "a???(z??");
        assert_eq!(tamed("Größe €".as_bytes()), "Größe €");
        assert_eq!(tamed(b""), "");
    }

    #[test]
    fn tables_are_as_deep_as_is_of_use_and_no_deeper() {
        assert_eq!(tame_table(&nested(MAX_DEPTH)), nested(MAX_DEPTH));
        let deep = nested(20_000);
        let tamed = tame_table(&deep);
        assert_eq!(tamed.len(), deep.len());
        // Without this the library would need more stack than a thread has.
        assert!(parse_field_table(&tamed[..]).is_ok());
    }

    #[test]
    fn lists_are_no_deeper_than_tables() {
        let nested = |depth| {
            let list =
                (0..depth).fold(Vec::new(), |inside, _| [&b"A"[..], &long(&inside)].concat());
            long(&[&b"\x01a"[..], &list].concat())
        };
        assert_eq!(tame_table(&nested(MAX_DEPTH)), nested(MAX_DEPTH));
        assert_ne!(tame_table(&nested(MAX_DEPTH + 1)), nested(MAX_DEPTH + 1));
        assert!(parse_field_table(&tame_table(&nested(20_000))[..]).is_ok());
    }

    #[test]
    fn every_kind_of_value_is_got_past_to_what_is_behind_it() {
        let kinds: [(&[u8], usize); 6] =
            [(b"V", 0), (b"tbB", 1), (b"sUu", 2), (b"Iif", 4), (b"D", 5), (b"lLdT", 8)];
        for (kind, length) in
            kinds.into_iter().flat_map(|(kinds, n)| kinds.iter().map(move |k| (*k, n)))
        {
            let value = [&[kind][..], &vec![0xff; length]].concat();
            let with = |name: &[u8]| {
                let entry = [&b"\x01a"[..], &value, b"\x01", name, b"V"].concat();
                let list = [&value[..], b"F", &long(&[b"\x01", name, b"V"].concat())].concat();
                long(&[&entry[..], b"\x01bA", &long(&list)].concat())
            };
            assert_eq!(tame_table(&with(b"\xfe")), with(b"?"), "{}", char::from(kind));
        }
    }

    #[test]
    fn every_property_is_passed_and_every_text_in_them_tamed() {
        let mut header = [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0xff, 0xfc][..]].concat();
        for property in PROPERTIES {
            match property {
                Property::Text => header.extend(b"\x02\xffa"),
                Property::Table => header.extend(long(b"\x01\xfeS\0\0\0\x01\xff")),
                Property::Byte => header.push(0xff),
                Property::Moment => header.extend([0xff; 8]),
            }
        }
        let before = header.clone();
        tame_header(&mut header);
        let changed = before.iter().zip(&header).filter(|(before, after)| before != after);
        // Ten texts and the name of an entry; a long text may hold any bytes.
        assert_eq!(changed.map(|(_, after)| *after).collect::<Vec<_>>(), [b'?'; 11]);
    }

    #[test]
    fn a_delivery_has_names_that_are_texts() {
        let deliver =
            [&[0, 60, 0, 60, 1, b'c'][..], &[0xff; 9], b"\x01\xfe", b"\x03a.\xff"].concat();
        let mut tamed = deliver.clone();
        tame_method(&mut tamed);
        assert!(tamed.ends_with(b"\x01?\x03a.?") && tamed[6..15] == [0xff; 9], "{tamed:?}");
        let names = [&[0, 60, 0, 50, 1, 0x38][..], b"\x01\xfe\x02a\xff\x01\xfd"].concat();
        let mut returned = names.clone();
        tame_method(&mut returned);
        assert_eq!(returned[..6], names[..6]);
        assert!(returned.ends_with(b"\x01?\x02a?\x01?"), "{returned:?}");
        // Of other methods nothing is known.
        let mut ack = vec![0, 60, 0, 80, 1, 0xff];
        tame_method(&mut ack);
        assert_eq!(ack, [0, 60, 0, 80, 1, 0xff]);
    }

    fn text_entry(name: &str, text: &str) -> Vec<u8> {
        let name = [&[u8::try_from(name.len()).unwrap()][..], name.as_bytes()].concat();
        [&name[..], b"S", &long(text.as_bytes())].concat()
    }

    /// A death in a queue, as the broker tells of it.
    fn death(queue: &str) -> Vec<u8> {
        let told = [text_entry("queue", queue), text_entry("reason", "expired")].concat();
        [b"\x07x-deathA", &long(&[b"F", &long(&told)[..]].concat())[..]].concat()
    }

    const COUNT: &[u8] = b"\x10x-delivery-countl\0\0\0\0\0\0\0\x07";

    /// A frame's inside with these headers, a type of the content before and an id behind.
    fn header_with(table: &[u8]) -> Vec<u8> {
        let fixed = [&[0, 60, 0, 0][..], &[0; 8], &[0xa0, 0x80]].concat();
        [&fixed, &b"\x04json"[..], &long(table), b"\x02id"].concat()
    }

    fn kept_of(entries: &[&[u8]], longest: usize) -> Vec<u8> {
        shortened(&mut header_with(&entries.concat()), longest).unwrap()
    }

    #[test]
    fn of_headers_that_are_too_long_those_that_are_read_here_stay() {
        let filler = text_entry("filler", &"x".repeat(130_000));
        let trace = text_entry("traceparent", "00-1-2-01");
        let queue = text_entry("skald-death-queue", "inventory.commands");
        let reason = text_entry("skald-death-reason", &"ß".repeat(1_000));
        let read = |table: &[&[u8]]| {
            let short = kept_of(&[&[&filler[..]], table, &[&filler]].concat(), 131_064);
            assert_eq!(short, header_with(&table.concat()));
            // The library reads it, and what is read here is still there.
            let (rest, properties) = parse_properties(&short[FIXED - 2..]).unwrap();
            assert!(rest.is_empty(), "{rest:?}");
            let mut delivery = Delivery::mock(1, "skald.dead".into(), "a".into(), true, Vec::new());
            delivery.properties = properties;
            wire::incoming(delivery)
        };
        let ours = read(&[&trace, &queue, &reason, COUNT]);
        let died = ours.message.death.unwrap();
        assert_eq!((ours.message.id.as_str(), ours.redeliveries), ("id", 7));
        assert_eq!(ours.message.traceparent.unwrap(), "00-1-2-01");
        assert_eq!((died.queue.as_str(), died.reason.len()), ("inventory.commands", 2_000));
        let brokers = read(&[&death("notification.commands"), COUNT]);
        let died = brokers.message.death.unwrap();
        assert_eq!(
            (died.queue.as_str(), died.reason.as_str()),
            ("notification.commands", "expired")
        );
    }

    #[test]
    fn a_header_that_is_read_here_goes_as_well_where_it_is_long_itself_or_there_is_no_room() {
        let around = "\x0btraceparentS\0\0\0\0".len();
        let longest = text_entry("traceparent", &"x".repeat(LONGEST_READ - around));
        let too_long = text_entry("traceparent", &"x".repeat(LONGEST_READ - around + 1));
        assert_eq!(kept_of(&[&longest, COUNT], 100_000), header_with(&[&longest, COUNT].concat()));
        assert_eq!(kept_of(&[&too_long, COUNT], 100_000), header_with(COUNT));
        let (bare, none) = (header_with(b"").len(), header_with(b""));
        assert_eq!(kept_of(&[COUNT, COUNT], bare + 2 * COUNT.len() - 1), header_with(COUNT));
        assert_eq!(kept_of(&[COUNT, COUNT], bare + COUNT.len() - 1), none);
        assert_eq!(kept_of(&[COUNT, COUNT], 0), none);
    }

    #[test]
    fn what_is_behind_a_header_that_nobody_can_read_goes_with_it() {
        assert_eq!(kept_of(&[COUNT, b"\x01a?", COUNT], 100_000), header_with(COUNT));
    }

    #[test]
    fn where_no_headers_are_or_they_do_not_end_nothing_is_left_out() {
        let mut without = header_with(b"");
        without[FIXED - 2] = 0x80;
        assert_eq!(shortened(&mut without, 0), None);
        let mut endless = header_with(COUNT);
        endless.truncate(FIXED + 20);
        assert_eq!(shortened(&mut endless, 0), None);
        assert_eq!(headers(&mut endless), Some(FIXED + 9..FIXED + 9 + COUNT.len()));
    }

    #[test]
    fn headers_have_begun_where_they_have_to_at_the_latest() {
        let text = [&[255][..], &[b'x'; 255]].concat();
        let latest = [&[0; 12][..], &[0xe0, 0], &text, &text, &long(COUNT)].concat();
        assert_eq!(headers(&mut latest[..BEGUN].to_vec()), Some(BEGUN..BEGUN + COUNT.len()));
        assert_eq!(headers(&mut latest[..BEGUN - 1].to_vec()), None);
    }

    #[test]
    fn only_a_tune_tells_of_the_longest_frame() {
        assert_eq!(frame_max(&[0, 10, 0, 30, 7, 255, 0, 2, 0, 0, 0, 60]), Some(131_072));
        assert_eq!(frame_max(&[0, 10, 0, 31, 7, 255, 0, 2, 0, 0, 0, 60]), None);
        assert_eq!(frame_max(&[0, 10, 0, 30, 7, 255, 0, 2, 0]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_passed(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            tame_header(&mut bytes);
            tame_method(&mut bytes);
            let _ = Walk(&mut bytes).table(0);
            let _ = (shortened(&mut bytes, 100), frame_max(&bytes));
        }

        #[test]
        fn whatever_is_in_the_headers_the_frame_gets_as_short_as_it_has_to(
            table in prop::collection::vec(any::<u8>(), 0..200),
            entries in 0..9_usize,
            longest in 0..300_usize,
        ) {
            let table = [&COUNT.repeat(entries), &table[..]].concat();
            let short = shortened(&mut header_with(&table), longest).unwrap();
            prop_assert!(short.len() <= longest.max(header_with(b"").len()));
        }
    }
}
