//! What a frame holds, made harmless in place. Pure.

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
        // The class, the weight and the length of the body.
        self.take(12)?;
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
    use lapin::types::parsing::parse_field_table;
    use proptest::prelude::*;

    use super::*;

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
        // Of other methods nothing is known.
        let mut ack = vec![0, 60, 0, 80, 1, 0xff];
        tame_method(&mut ack);
        assert_eq!(ack, [0, 60, 0, 80, 1, 0xff]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_passed(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            tame_header(&mut bytes);
            tame_method(&mut bytes);
            let _ = Walk(&mut bytes).table(0);
        }
    }
}
