//! What a reader of one saga is sent: its history, event by event, as it grows.

use std::time::Duration;

use actix_web::web::Data;
use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::time::{Instant, sleep_until, timeout};

use super::frame::{ALIVE, HEARTBEAT, HELLO, write};
use super::hub::Seat;
use crate::http::event_view::EventView;
use crate::http::services::Api;
use crate::saga::event::{Event, Recorded};
use crate::saga::id::{SagaId, Sequence};

/// Events sent at a time: more than a saga has that meets no trouble.
const AT_A_TIME: u32 = 100;

/// The pause between two looks at the store, whoever pokes how often.
const PAUSE: Duration = Duration::from_millis(200);

/// The pause after the store did not answer.
const AFTER_TROUBLE: Duration = Duration::from_secs(2);

/// One reader of one saga.
pub struct SagaStream {
    api: Data<Api>,
    seat: Seat<()>,
    saga: SagaId,
    sent: Sequence,
    stage: Stage,
    look_at: Instant,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Hello,
    Look,
    Wait,
    End,
}

impl SagaStream {
    /// For a reader who has seen the history up to `sent`.
    pub fn new(api: Data<Api>, seat: Seat<()>, saga: SagaId, sent: Sequence) -> Self {
        Self { api, seat, saga, sent, stage: Stage::Hello, look_at: Instant::now() }
    }

    /// What is sent.
    pub fn frames(self) -> impl Stream<Item = Bytes> {
        stream::unfold(self, |mut reader| async {
            let frame = reader.next().await?;
            Some((frame, reader))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if *self.seat.ended.borrow() {
                return None;
            }
            match self.stage {
                Stage::Hello => {
                    self.stage = Stage::Look;
                    return Some(HELLO);
                }
                Stage::Look => {
                    if let Some(events) = self.look().await {
                        return Some(events);
                    }
                }
                Stage::Wait => {
                    if let Some(sign) = self.wait().await {
                        return Some(sign);
                    }
                }
                Stage::End => return None,
            }
        }
    }

    /// Waits until it is time to look again; every now and then there is a sign of life to send.
    async fn wait(&mut self) -> Option<Bytes> {
        let Seat { news, ended, .. } = &mut self.seat;
        let moved = async {
            tokio::select! {
                // The sender lives as long as the seat.
                _ = news.changed() => Stage::Look,
                _ = ended.wait_for(|ended| *ended) => Stage::End,
            }
        };
        match timeout(HEARTBEAT, moved).await {
            Ok(stage) => {
                self.stage = stage;
                None
            }
            Err(_) => Some(ALIVE),
        }
    }

    /// What happened since.
    async fn look(&mut self) -> Option<Bytes> {
        sleep_until(self.look_at).await;
        let (saga, sent) = (self.saga, self.sent);
        let found = self.api.query(move |queries| queries.history(saga, sent, AT_A_TIME)).await;
        self.look_at = Instant::now() + PAUSE;
        let Ok(events) = found else {
            // The stream itself is all right.
            self.look_at = Instant::now() + AFTER_TROUBLE;
            return Some(ALIVE);
        };
        self.stage = match events.last() {
            Some(last) if is_end(last) => Stage::End,
            Some(_) if events.len() == AT_A_TIME as usize => Stage::Look,
            _ => Stage::Wait,
        };
        self.sent = events.last()?.sequence;
        let mut text = String::new();
        events.iter().for_each(|event| write(&mut text, event.sequence, &EventView::of(event)));
        Some(text.into())
    }
}

/// Nothing happens after this.
fn is_end(recorded: &Recorded) -> bool {
    matches!(recorded.event, Event::SagaCompleted | Event::SagaCancelled { .. })
}
