//! Frame by frame. Pure.

use std::ops::Range;

use super::content::{BEGUN, LENGTH, frame_max, headers, shortened, tame_header, tame_method};

/// Kinds of frames that are looked into, by their first byte.
const METHOD: u8 = 1;
const HEADER: u8 = 2;

/// Others that there are: a piece of a body, a sign of life.
const PASSED: [u8; 2] = [3, 8];

/// The kind, the channel and the length.
const HEAD: usize = 7;
/// The same with the byte at its end.
const AROUND: usize = HEAD + 1;

/// What is in a longer frame is not held back. No method is as long. Headers may be where the broker takes
/// longer frames than is usual, or where they did not come to it in a frame; those are left out.
const LONGEST: usize = 1024 * 1024;

/// So much that was handed out may be kept, so that not every piece moves what lies behind it.
const SPENT: usize = 64 * 1024;

/// Bytes on their way in: frames are held back until they are whole and tame.
#[derive(Debug)]
pub struct Inflow {
    /// The longest frame that the client takes, in bytes; 0 if it takes any.
    frame_max: u32,
    bytes: Vec<u8>,
    /// Those before are handed out.
    handed_out: usize,
    /// Those before are tame; here begins a frame, or what is passed of one.
    tame: usize,
    /// How much that is still to come is passed as it is.
    passed: usize,
    /// What is still to be left out of the frame that begins at `tame`, counted from there.
    left_out: Range<usize>,
}

impl Inflow {
    /// For a client that wants no longer frames than this, whatever the broker offers; 0 is no limit.
    pub fn new(frame_max: u32) -> Self {
        Self { frame_max, bytes: Vec::new(), handed_out: 0, tame: 0, passed: 0, left_out: 0..0 }
    }

    /// Takes in what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.handed_out >= SPENT || self.handed_out == self.bytes.len() {
            self.bytes.drain(..self.handed_out);
            self.tame -= self.handed_out;
            self.handed_out = 0;
        }
        self.bytes.extend_from_slice(bytes);
        while self.advance().is_some() {}
    }

    /// Hands out what is tame, and tells how much that is.
    pub fn take(&mut self, out: &mut [u8]) -> usize {
        let count = out.len().min(self.tame - self.handed_out);
        let end = self.handed_out + count;
        out[..count].copy_from_slice(&self.bytes[self.handed_out..end]);
        self.handed_out = end;
        count
    }

    /// Gets past the next frame, or past as much of it as is there; none if there is not enough.
    fn advance(&mut self) -> Option<()> {
        self.leave_out()?;
        let ahead = self.bytes.get(self.tame..)?;
        if self.passed == 0 {
            let kind = *ahead.first()?;
            let head = ahead.get(..HEAD)?;
            let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
            let length = usize::try_from(length).ok()?;
            match kind {
                METHOD if length <= LONGEST => return self.method(length),
                HEADER if length <= LONGEST => return self.header(length),
                HEADER => return self.endless_header(length),
                METHOD => self.passed = length + AROUND,
                kind if PASSED.contains(&kind) => self.passed = length + AROUND,
                // No AMQP, or of another version: nothing is known of what follows.
                _ => self.passed = usize::MAX,
            }
        }
        let count = self.passed.min(ahead.len());
        self.passed -= count;
        self.tame += count;
        (count > 0).then_some(())
    }

    /// Gets past a method, if all of it is there.
    fn method(&mut self, length: usize) -> Option<()> {
        let frame = self.bytes.get_mut(self.tame..self.tame + length + AROUND)?;
        let payload = &mut frame[HEAD..HEAD + length];
        tame_method(payload);
        if let Some(offered) = frame_max(payload) {
            self.frame_max = lower(self.frame_max, offered);
        }
        self.tame += length + AROUND;
        Some(())
    }

    /// Gets past the properties of a message, if all of them are there.
    fn header(&mut self, length: usize) -> Option<()> {
        let frame = self.bytes.get_mut(self.tame..self.tame + length + AROUND)?;
        tame_header(&mut frame[HEAD..HEAD + length]);
        self.tame += self.shorten(length).unwrap_or(length) + AROUND;
        Some(())
    }

    /// Leaves out headers of the frame ahead if it is too long for the client, and tells how much is left.
    /// The broker takes such frames, and makes others longer when it adds headers of its own.
    fn shorten(&mut self, length: usize) -> Option<usize> {
        let longest = longest_payload(self.frame_max);
        if length <= longest {
            return None;
        }
        let payload = self.tame + HEAD..self.tame + HEAD + length;
        let short = shortened(&mut self.bytes[payload.clone()], longest)?;
        let length = short.len();
        set_length(&mut self.bytes[self.tame..], length);
        self.bytes.splice(payload, short);
        Some(length)
    }

    /// Begins to leave out the headers where they are too long to be held back. The frame without them is
    /// short, and next.
    fn endless_header(&mut self, length: usize) -> Option<()> {
        let frame = self.bytes.get_mut(self.tame..)?;
        match headers(frame.get_mut(HEAD..HEAD + BEGUN)?) {
            Some(Range { start, end }) if start < end && end <= length => {
                set_length(frame, length - (end - start));
                frame[HEAD + start - LENGTH..HEAD + start].fill(0);
                self.left_out = HEAD + start..HEAD + end;
            }
            // No broker sends this.
            _ => self.passed = length + AROUND,
        }
        Some(())
    }

    /// Leaves out what is there of what is to be left out; none if there is more to come.
    fn leave_out(&mut self) -> Option<()> {
        if self.left_out.is_empty() {
            return Some(());
        }
        let start = self.tame + self.left_out.start;
        let count = self.left_out.len().min(self.bytes.len() - start);
        self.bytes.drain(start..start + count);
        self.left_out.end -= count;
        self.left_out.is_empty().then_some(())
    }
}

/// What two sides agree on of which 0 means that any will do.
fn lower(one: u32, other: u32) -> u32 {
    match (one, other) {
        (0, only) | (only, 0) => only,
        _ => one.min(other),
    }
}

/// How much may be in a frame so that the client takes it. The client counts what is around, too; the broker
/// does not when it takes one.
fn longest_payload(frame_max: u32) -> usize {
    match frame_max {
        0 => usize::MAX,
        frame_max => (frame_max as usize).saturating_sub(AROUND),
    }
}

/// Writes another length into the head of a frame.
fn set_length(frame: &mut [u8], length: usize) {
    frame[3..HEAD].copy_from_slice(&(length as u32).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[kind, 0, 1], &length[..], payload, &[0xce]].concat()
    }

    /// A message as it comes, with texts that are none, and how it has to arrive.
    fn message() -> (Vec<u8>, Vec<u8>) {
        let with = |byte: u8| {
            let deliver = [&[0, 60, 0, 60, 1, b'c'][..], &[0; 9], &[0, 1, byte]].concat();
            let header = [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0x80][..], &[1, byte]].concat();
            let body = frame(3, b"\xff\x01\x02body");
            [frame(METHOD, &deliver), frame(HEADER, &header), body, frame(8, b"")].concat()
        };
        (with(0xff), with(b'?'))
    }

    #[test]
    fn a_frame_is_held_back_until_it_is_whole() {
        let (raw, tame) = message();
        let mut inflow = Inflow::new(0);
        let mut out = [0; 1_000];
        inflow.push(&raw[..20]);
        assert_eq!(inflow.take(&mut out), 0);
        inflow.push(&raw[20..]);
        let count = inflow.take(&mut out);
        assert_eq!(out[..count], tame);
    }

    #[test]
    fn a_body_is_passed_as_it_comes() {
        let mut inflow = Inflow::new(0);
        let mut out = [0; 1_000];
        inflow.push(&frame(3, &[7; 500])[..100]);
        assert_eq!(inflow.take(&mut out), 100);
    }

    #[test]
    fn a_method_that_is_too_long_to_be_held_back_is_passed_as_it_comes() {
        let (raw, tame) = message();
        let long = frame(METHOD, &vec![7; LONGEST + 1]);
        let mut inflow = Inflow::new(0);
        inflow.push(&long[..500]);
        assert_eq!(take_all(&mut inflow), long[..500]);
        inflow.push(&[&long[500..], &raw].concat());
        assert_eq!(take_all(&mut inflow), [&long[500..], &tame].concat());
    }

    #[test]
    fn behind_what_is_no_frame_nothing_is_looked_at() {
        let (raw, _) = message();
        let mut inflow = Inflow::new(0);
        let bytes = [&frame(9, b"x")[..], &raw].concat();
        inflow.push(&bytes);
        assert_eq!(take_all(&mut inflow), bytes);
    }

    #[test]
    fn what_was_handed_out_is_not_kept() {
        let mut inflow = Inflow::new(0);
        let mut out = [0; 1_000];
        inflow.push(&[7; 10]);
        for _ in 0..500 {
            inflow.push(&frame(3, &[7; 992]));
            assert_eq!(inflow.take(&mut out), 1_000);
            assert!(inflow.bytes.len() <= SPENT + 2_000, "{}", inflow.bytes.len());
        }
    }

    #[test]
    fn what_is_no_frame_is_passed() {
        let mut inflow = Inflow::new(0);
        let mut out = [0; 1_000];
        for piece in [&b"AMQP\0\0\x09\x01"[..], b"\x01\x02"] {
            inflow.push(piece);
            let count = inflow.take(&mut out);
            assert_eq!(&out[..count], piece);
        }
    }

    /// What brokers offer if nobody tells them otherwise.
    const USUAL: u32 = 131_072;

    const COUNT: &[u8] = b"\x10x-delivery-countl\0\0\0\0\0\0\0\x07";

    fn long(inside: &[u8]) -> Vec<u8> {
        [&u32::try_from(inside.len()).unwrap().to_be_bytes()[..], inside].concat()
    }

    /// The properties of a message: these headers, and others before and behind them; `byte` is in a text.
    fn header_with(table: &[u8], byte: u8) -> Vec<u8> {
        let fixed = [&[0, 60, 0, 0][..], &[0; 7], &[4, 0xf0, 0x80]].concat();
        let payload = [&fixed, &b"\x01t\x01e"[..], &long(table), b"\x02\x02i", &[byte]].concat();
        frame(HEADER, &payload)
    }

    /// The same in a frame of so many bytes, with a header that nobody reads.
    fn header_of(bytes: usize, byte: u8) -> Vec<u8> {
        let filler = |length: usize| [b"\x06fillerS", &long(&vec![b'x'; length])[..]].concat();
        let length = bytes - header_with(&filler(0), byte).len();
        let frame = header_with(&filler(length), byte);
        assert_eq!(frame.len(), bytes);
        frame
    }

    fn tune(frame_max: u32) -> Vec<u8> {
        frame(METHOD, &[&[0, 10, 0, 30, 7, 255][..], &frame_max.to_be_bytes(), &[0, 60]].concat())
    }

    fn take_all(inflow: &mut Inflow) -> Vec<u8> {
        let mut out = vec![0; inflow.tame - inflow.handed_out];
        inflow.take(&mut out);
        out
    }

    /// What arrives after both sides said what they want.
    fn arriving(own: u32, offered: u32, raw: &[u8]) -> Vec<u8> {
        let mut inflow = Inflow::new(own);
        inflow.push(&tune(offered));
        assert_eq!(take_all(&mut inflow), tune(offered));
        inflow.push(raw);
        take_all(&mut inflow)
    }

    #[test]
    fn a_header_frame_may_be_as_long_as_the_client_takes_and_not_one_byte_longer() {
        let fits = header_of(USUAL as usize, b'd');
        assert_eq!(arriving(0, USUAL, &fits), fits);
        let too_long = header_of(USUAL as usize + 1, b'd');
        assert_eq!(arriving(0, USUAL, &too_long), header_with(b"", b'd'));
    }

    #[test]
    fn a_header_frame_that_is_too_long_for_the_client_loses_its_headers_and_nothing_else() {
        let (before, after) = message();
        let most = USUAL as usize + AROUND;
        // As long as the broker takes it, after it died and came again, and as long as it is held back.
        for length in [most, most + 26, most + 1_000, LONGEST + AROUND] {
            let raw = [&before[..], &header_of(length, 0xff), &before].concat();
            let expected = [&after[..], &header_with(b"", b'?'), &after].concat();
            assert_eq!(arriving(0, USUAL, &raw), expected, "{length}");
        }
    }

    #[test]
    fn of_a_header_frame_that_is_too_long_the_headers_that_are_read_here_stay() {
        let filler = [b"\x06fillerS", &long(&[b'x'; 5_000])[..]].concat();
        let raw = header_with(&[&filler, COUNT, &filler].concat(), b'd');
        assert_eq!(arriving(0, 4_096, &raw), header_with(COUNT, b'd'));
    }

    #[test]
    fn the_lower_limit_of_both_sides_counts_and_zero_is_none() {
        for (own, offered, limit) in [
            (0, USUAL, USUAL),
            (4_096, USUAL, 4_096),
            (USUAL, 4_096, 4_096),
            (USUAL, 0, USUAL),
            (1 << 30, USUAL, USUAL),
        ] {
            let fits = header_of(limit as usize, b'd');
            assert_eq!(arriving(own, offered, &fits), fits, "{own} {offered}");
            let too_long = header_of(limit as usize + 1, b'd');
            assert_eq!(
                arriving(own, offered, &too_long),
                header_with(b"", b'd'),
                "{own} {offered}"
            );
        }
        let any = header_of(LONGEST + AROUND, b'd');
        assert_eq!(arriving(0, 0, &any), any);
    }

    #[test]
    fn headers_that_are_too_long_to_be_held_back_are_left_out_as_they_come() {
        let (before, after) = message();
        let longer = LONGEST + AROUND + 1;
        for (length, piece) in [(longer, 997), (longer, 16_384), (3 * longer, 16_384)] {
            let raw = [&before[..], &header_of(length, 0xff), &before].concat();
            let expected = [&after[..], &header_with(b"", b'?'), &after].concat();
            let (mut inflow, mut arrived) = (Inflow::new(USUAL), Vec::new());
            for piece in raw.chunks(piece) {
                inflow.push(piece);
                assert!(inflow.bytes.len() <= SPENT, "{}", inflow.bytes.len());
                arrived.extend(take_all(&mut inflow));
            }
            assert_eq!(arrived, expected, "{length} {}", piece);
        }
    }

    #[test]
    fn headers_that_do_not_end_in_their_frame_are_left_to_the_library() {
        for length in [USUAL as usize + 1, LONGEST + AROUND + 1] {
            let mut raw = header_of(length, b'd');
            // The highest byte of the length of the headers.
            raw[HEAD + 14 + 4] = 1;
            let (before, after) = message();
            let followed = arriving(0, USUAL, &[&raw[..], &before].concat());
            assert!(followed == [&raw[..], &after].concat(), "{length}");
        }
        // Nothing to leave out, and yet no end.
        let endless = frame(HEADER, &[&[0; 12][..], &[0x20], &vec![0; LONGEST]].concat());
        assert_eq!(arriving(0, USUAL, &endless), endless);
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_same_arrives(
            cuts in prop::collection::vec((1_usize..400, 1_usize..400), 1..200),
        ) {
            let (mut raw, mut tame) = message();
            let filler = b"\x06fillerS\0\0\0\x03xxx".repeat(9);
            raw.extend(header_with(&[&filler, COUNT, &filler].concat(), 0xff));
            tame.extend(header_with(COUNT, b'?'));
            let (raw, tame) = (raw.repeat(60), tame.repeat(60));
            let limit = header_with(COUNT, b'?').len() as u32;
            let (mut inflow, mut arrived, mut rest) = (Inflow::new(limit), Vec::new(), &raw[..]);
            for (pushed, taken) in cuts.iter().cycle() {
                let (piece, others) = rest.split_at(rest.len().min(*pushed));
                inflow.push(piece);
                rest = others;
                let mut out = vec![0; *taken];
                let count = inflow.take(&mut out);
                arrived.extend_from_slice(&out[..count]);
                if rest.is_empty() && count == 0 {
                    break;
                }
            }
            prop_assert_eq!(arrived, tame);
        }
    }
}
