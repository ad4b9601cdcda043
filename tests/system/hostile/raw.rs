//! A publisher that knows so little of AMQP that it can send what no library would: texts that are no
//! texts, tables without a floor.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use skald::bus::rabbitmq::Address;

/// What every broker takes.
pub const FRAME_MAX: usize = 131_072;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const FRAME_END: u8 = 0xce;

/// What is waited for, by class and method.
const START: (u16, u16) = (10, 10);
const TUNE: (u16, u16) = (10, 30);
const OPEN_OK: (u16, u16) = (10, 41);
const CHANNEL_OPEN_OK: (u16, u16) = (20, 11);
const SELECT_OK: (u16, u16) = (85, 11);
const ACK: (u16, u16) = (60, 80);
const GET_OK: (u16, u16) = (60, 71);
const CHANNEL_CLOSE_OK: (u16, u16) = (20, 41);

/// A message, in bytes.
#[derive(Clone, Default)]
pub struct Parcel {
    /// Empty for the default exchange.
    pub exchange: &'static str,
    pub routing_key: Vec<u8>,
    /// The inside of the table of headers.
    pub headers: Option<Vec<u8>>,
    pub correlation_id: Option<Vec<u8>>,
    pub reply_to: Option<Vec<u8>>,
    /// In milliseconds, as a text.
    pub expiration: Option<Vec<u8>>,
    pub message_id: Option<Vec<u8>>,
    pub kind: Option<Vec<u8>>,
    pub body: Vec<u8>,
}

impl Parcel {
    /// What is in the frame with its properties.
    pub fn header(&self) -> Vec<u8> {
        // The bit of each property, in their order.
        let properties = [
            (13, self.headers.as_deref().map(long)),
            (12, Some(vec![2])),
            (10, self.correlation_id.as_deref().map(short)),
            (9, self.reply_to.as_deref().map(short)),
            (8, self.expiration.as_deref().map(short)),
            (7, self.message_id.as_deref().map(short)),
            (5, self.kind.as_deref().map(short)),
        ];
        let given = || properties.iter().filter_map(|(bit, value)| Some((bit, value.as_ref()?)));
        let flags = given().fold(0_u16, |flags, (bit, _)| flags | 1 << bit);
        let mut header = [60_u16.to_be_bytes(), [0, 0]].concat();
        header.extend((self.body.len() as u64).to_be_bytes());
        header.extend(flags.to_be_bytes());
        given().for_each(|(_, value)| header.extend(value));
        header
    }
}

/// A connection with one channel, and how much was published on it.
pub struct Publisher {
    stream: TcpStream,
    sent: u64,
}

impl Publisher {
    pub fn connect(url: &str) -> Self {
        let address = Address::parse(url).unwrap();
        let authority = url.rsplit_once('@').unwrap().1.split('/').next().unwrap();
        let stream = TcpStream::connect(authority).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut publisher = Self { stream, sent: 0 };
        publisher.stream.write_all(b"AMQP\0\0\x09\x01").unwrap();
        publisher.expect(START);
        let (user, password) = address.account();
        let login = long(format!("\0{user}\0{password}").as_bytes());
        let start_ok = [&long(b"")[..], &short(b"PLAIN"), &login, &short(b"en_US")].concat();
        publisher.call(0, (10, 11), &start_ok);
        publisher.expect(TUNE);
        let tune_ok = [&[0, 1][..], &u32::try_from(FRAME_MAX).unwrap().to_be_bytes(), &[0, 0]];
        publisher.call(0, (10, 31), &tune_ok.concat());
        let open = [&short(address.vhost().as_bytes())[..], &short(b""), &[0]].concat();
        publisher.call(0, (10, 40), &open);
        publisher.expect(OPEN_OK);
        publisher.call(1, (20, 10), &short(b""));
        publisher.expect(CHANNEL_OPEN_OK);
        publisher.call(1, (85, 10), &[0]);
        publisher.expect(SELECT_OK);
        publisher
    }

    /// Publishes a message.
    pub fn publish(&mut self, parcel: &Parcel) {
        let exchange = short(parcel.exchange.as_bytes());
        let publish = [&[0, 0][..], &exchange, &short(&parcel.routing_key), &[0]].concat();
        self.call(1, (60, 40), &publish);
        self.frame(HEADER, 1, &parcel.header());
        parcel.body.chunks(FRAME_MAX - 8).for_each(|chunk| self.frame(BODY, 1, chunk));
        self.sent += 1;
    }

    /// Waits until the broker has all that was published.
    pub fn finish(mut self) {
        let mut open: BTreeSet<u64> = (1..=self.sent).collect();
        while !open.is_empty() {
            let ack = self.expect(ACK);
            let (tag, multiple) =
                (u64::from_be_bytes(ack[4..12].try_into().unwrap()), ack[12] == 1);
            open.retain(|it| if multiple { *it > tag } else { *it != tag });
        }
    }

    /// Takes the first message of a queue and gives it back; the broker counts how often it comes.
    pub fn give_back(mut self, queue: &str) {
        self.call(1, (60, 70), &[&[0, 0][..], &short(queue.as_bytes()), &[0]].concat());
        let got = self.expect(GET_OK);
        self.call(1, (60, 90), &[&got[4..12], &[1]].concat());
        // Answered after it was given back.
        self.call(1, (20, 40), &[&[0, 200][..], &short(b""), &[0; 4]].concat());
        self.expect(CHANNEL_CLOSE_OK);
    }

    fn call(&mut self, channel: u16, (class, method): (u16, u16), arguments: &[u8]) {
        let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
        self.frame(METHOD, channel, &payload);
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let start = [&[kind][..], &channel.to_be_bytes(), &length].concat();
        self.stream.write_all(&[&start[..], payload, &[FRAME_END]].concat()).unwrap();
    }

    /// Reads the next method, which must be this one, and tells what it says.
    fn expect(&mut self, wanted: (u16, u16)) -> Vec<u8> {
        loop {
            let mut start = [0; 7];
            self.stream.read_exact(&mut start).unwrap();
            let length = u32::from_be_bytes(start[3..].try_into().unwrap()) as usize;
            let mut payload = vec![0; length + 1];
            self.stream.read_exact(&mut payload).unwrap();
            if start[0] == METHOD {
                let number = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
                let told = String::from_utf8_lossy(&payload);
                assert_eq!((number(0), number(2)), wanted, "{told}");
                return payload;
            }
        }
    }
}

/// A short string.
pub fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()][..], text].concat()
}

/// A long string, or the inside of a table or of an array with its length.
pub fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// An entry of a table: its name, and its value with its type in front.
pub fn entry(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&short(name)[..], value].concat()
}

/// A value that is a text.
pub fn text(bytes: &[u8]) -> Vec<u8> {
    [b"S", &long(bytes)[..]].concat()
}

/// A value that is a table, or with `A` an array.
pub fn nested(kind: u8, inside: &[u8]) -> Vec<u8> {
    [&[kind][..], &long(inside)].concat()
}
