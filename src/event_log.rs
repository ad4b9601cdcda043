//! A listener within the process: appends every domain event to a file.
//!
//! One line for each event, the JSON body as it was published. What is no JSON is left out: anybody may
//! publish to an exchange. An event is acknowledged once it is
//! on the disk, so every event reaches the file at least once, whatever happens to the process; a
//! repeat has the same `id`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::failpoint;
use crate::ports::bus::{
    Bus, BusError, DeadLetters, Delivery, Exchange, Lifetime, Message, QueueSpec,
};
use crate::ports::source::Source;
use crate::saga::id::QueueName;

/// Events written with one sync.
const BATCH: usize = 1_000;

/// Events that wait for the file. When it is full they are read again from the history later.
const MAX_LENGTH: usize = 100_000;

/// Writing fails for lack of space or of a disk, never because of an event: it is tried for ever.
const DELIVERY_LIMIT: u32 = u32::MAX;

/// The pause after writing failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Starts to listen. Has to happen before the first saga moves: what nobody listens to is gone.
///
/// # Errors
/// When the queue can't be made.
pub async fn listen(bus: Arc<dyn Bus>) -> Result<Source, BusError> {
    let queue = QueueName::from("skald.event-log");
    bus.declare(&QueueSpec {
        name: queue.clone(),
        bindings: vec![(Exchange::Events, "#".to_owned())],
        max_length: MAX_LENGTH,
        delivery_limit: DELIVERY_LIMIT,
        dead_letters: DeadLetters::Dropped,
        lifetime: Lifetime::Lasting,
    })
    .await?;
    Source::of(bus, queue, 2 * BATCH).open().await
}

/// Opens the file, to append to it.
///
/// # Errors
/// When it can't be made or written to.
pub fn open(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
    // A crash may have cut the last line short; the event comes again, on a line of its own.
    if file.metadata()?.len() > 0 {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Writes events as they come, for as long as its thread lives.
pub async fn write(mut events: Source, file: File) {
    let file = Arc::new(file);
    let mut batch: Vec<Delivery> = Vec::with_capacity(BATCH);
    // A failed write may have left part of a line, which must not spoil the next one.
    let mut cut_short = false;
    loop {
        events.recv_many(&mut batch, BATCH).await;
        let start = if cut_short { vec![b'\n'] } else { Vec::new() };
        let lines = batch.iter().fold(start, |mut lines, delivery| {
            append(&mut lines, &delivery.message);
            lines
        });
        let file = Arc::clone(&file);
        let written =
            spawn_blocking(move || (&*file).write_all(&lines).and_then(|()| file.sync_data()))
                .await;
        cut_short = !matches!(written, Ok(Ok(())));
        match written {
            Ok(Ok(())) => {
                failpoint::reach("event_log", "before_ack");
                batch.drain(..).for_each(Delivery::ack);
                failpoint::reach("event_log", "after_ack");
            }
            failed => {
                tracing::error!(?failed, "the event log can't be written; trying again");
                sleep(RETRY_AFTER).await;
                batch.clear();
            }
        }
    }
}

/// Adds a line. In JSON a line break means nothing, so that a space may take its place.
fn append(lines: &mut Vec<u8>, message: &Message) {
    match serde_json::from_slice::<&RawValue>(&message.body) {
        Ok(event) => {
            let unbroken = |byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte };
            lines.extend(event.get().bytes().map(unbroken));
            lines.push(b'\n');
        }
        Err(error) => {
            let (id, kind) = (&message.id, &message.kind);
            tracing::warn!(id, kind, %error, "what is no event is not in the event log");
        }
    }
}
