//! What a stream looks like: the format of server-sent events.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

/// How often a stream says that it is alive where there is nothing to tell; proxies break off what is
/// silent for a minute.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// Tells a browser how soon to come back after a stream broke off, in milliseconds.
pub const HELLO: Bytes = Bytes::from_static(b"retry: 2000\n\n");

/// Says that the stream is alive; readers ignore it.
pub const ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// Adds an event to `text`. What has no JSON form is left out.
pub fn write(text: &mut String, id: u64, data: &impl Serialize) {
    if let Ok(json) = serde_json::to_string(data) {
        // JSON has no line breaks of its own; writing to a string can't fail.
        let _ = write!(text, "id: {id}\ndata: {json}\n\n");
    }
}
