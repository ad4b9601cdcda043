//! AMQP's frames: where a confirmation is.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;

use super::{Fault, Shared, Way};

/// Kind, channel and size.
const HEAD: usize = 7;
const METHOD: u8 = 1;
/// `basic.ack` and `basic.nack`, which a server sends for nothing but confirmations. What follows is
/// the same in both.
const ACK: [u8; 4] = [0, 60, 0, 80];
const NACK: [u8; 4] = [0, 60, 0, 120];

/// Passes the broker's frames on until a confirmation that must not be heard, or the end.
pub fn backward(
    server: &TcpStream,
    mut client: &TcpStream,
    connection: u64,
    shared: &Shared,
) -> io::Result<()> {
    let mut server = BufReader::with_capacity(65_536, server);
    loop {
        let mut frame = vec![0; HEAD];
        server.read_exact(&mut frame)?;
        let size = u32::from_be_bytes(frame[3..HEAD].try_into().unwrap()) as usize;
        // And the byte that ends it.
        frame.resize(HEAD + size + 1, 0);
        server.read_exact(&mut frame[HEAD..])?;
        shared.pass(Way::ToClient);
        if is_confirmation(&frame) {
            let (drops, refuses) = {
                let weather = shared.weather.lock().unwrap();
                (weather.drops_confirms, connection < weather.refuses_below)
            };
            shared.plan.lock().unwrap().lost += u32::from(drops || refuses);
            if drops {
                continue;
            }
            if refuses {
                frame[HEAD..HEAD + 4].copy_from_slice(&NACK);
            }
            if shared.fate() != Fault::None {
                return Ok(());
            }
        }
        client.write_all(&frame)?;
    }
}

fn is_confirmation(frame: &[u8]) -> bool {
    let method = frame.get(HEAD..HEAD + 4);
    frame[0] == METHOD && method.is_some_and(|it| it == ACK || it == NACK)
}
