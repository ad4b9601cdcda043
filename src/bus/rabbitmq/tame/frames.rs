//! Frame by frame. Pure.

use super::content::{tame_header, tame_method};

/// Kinds of frames that are looked into, by their first byte.
const METHOD: u8 = 1;
const HEADER: u8 = 2;

/// Others that there are: a piece of a body, a sign of life.
const PASSED: [u8; 2] = [3, 8];

/// The kind, the channel and the length.
const HEAD: usize = 7;
/// The same with the byte at its end.
const AROUND: usize = HEAD + 1;

/// No broker sends a longer frame of those that are looked into.
const LONGEST: usize = 1024 * 1024;

/// So much that was handed out may be kept, so that not every piece moves what lies behind it.
const SPENT: usize = 64 * 1024;

/// Bytes on their way in: frames are held back until they are whole and tame.
#[derive(Debug, Default)]
pub struct Inflow {
    bytes: Vec<u8>,
    /// Those before are handed out.
    handed_out: usize,
    /// Those before are tame; here begins a frame, or what is passed of one.
    tame: usize,
    /// How much that is still to come is passed as it is.
    passed: usize,
}

impl Inflow {
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
        let ahead = self.bytes.get_mut(self.tame..)?;
        if self.passed == 0 {
            let kind = *ahead.first()?;
            let head = ahead.get(..HEAD)?;
            let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
            let length = usize::try_from(length).ok()?;
            match kind {
                METHOD | HEADER if length <= LONGEST => {
                    let frame = ahead.get_mut(..length + AROUND)?;
                    let payload = &mut frame[HEAD..HEAD + length];
                    if kind == METHOD {
                        tame_method(payload)
                    } else {
                        tame_header(payload)
                    }
                    self.tame += length + AROUND;
                    return Some(());
                }
                METHOD | HEADER => self.passed = length + AROUND,
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
        let mut inflow = Inflow::default();
        let mut out = [0; 1_000];
        inflow.push(&raw[..20]);
        assert_eq!(inflow.take(&mut out), 0);
        inflow.push(&raw[20..]);
        let count = inflow.take(&mut out);
        assert_eq!(out[..count], tame);
    }

    #[test]
    fn a_body_is_passed_as_it_comes() {
        let mut inflow = Inflow::default();
        let mut out = [0; 1_000];
        inflow.push(&frame(3, &[7; 500])[..100]);
        assert_eq!(inflow.take(&mut out), 100);
    }

    #[test]
    fn what_is_no_frame_is_passed() {
        let mut inflow = Inflow::default();
        let mut out = [0; 1_000];
        for piece in [&b"AMQP\0\0\x09\x01"[..], b"\x01\x02"] {
            inflow.push(piece);
            let count = inflow.take(&mut out);
            assert_eq!(&out[..count], piece);
        }
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_same_arrives(
            cuts in prop::collection::vec((1_usize..400, 1_usize..400), 1..200),
        ) {
            let (raw, tame) = message();
            let (raw, tame) = (raw.repeat(60), tame.repeat(60));
            let (mut inflow, mut arrived, mut rest) = (Inflow::default(), Vec::new(), &raw[..]);
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
