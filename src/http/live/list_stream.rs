//! What a reader of the list is sent: how many sagas stand where, whenever some moved.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::time::timeout;

use super::frame::{ALIVE, HEARTBEAT, HELLO, write};
use super::hub::{Overview, Seat};
use crate::saga::state::SagaStatus;

/// One reader of the list.
pub struct ListStream {
    seat: Seat<Arc<Overview>>,
    /// What the reader has not been told yet.
    untold: Option<Arc<Overview>>,
    told: u64,
    has_begun: bool,
}

#[derive(Serialize)]
struct OverviewView {
    sagas: BTreeMap<&'static str, u64>,
}

impl ListStream {
    /// For a reader who has been told `after`, where it stands like `now`.
    pub fn new(seat: Seat<Arc<Overview>>, now: Overview, after: Option<u64>) -> Self {
        let told = now.events;
        let untold = (after != Some(told)).then(|| Arc::new(now));
        Self { seat, untold, told, has_begun: false }
    }

    /// What is sent.
    pub fn frames(self) -> impl Stream<Item = Bytes> {
        stream::unfold(self, |mut reader| async {
            let frame = reader.next().await?;
            Some((frame, reader))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if !self.has_begun {
            self.has_begun = true;
            return Some(HELLO);
        }
        if let Some(overview) = self.untold.take() {
            return Some(told(&overview));
        }
        let Seat { news, ended, .. } = &mut self.seat;
        let known = self.told;
        let newer = async {
            tokio::select! {
                newer = news.wait_for(|overview| overview.events > known) => {
                    newer.ok().map(|overview| Arc::clone(&overview))
                }
                _ = ended.wait_for(|ended| *ended) => None,
            }
        };
        match timeout(HEARTBEAT, newer).await {
            Ok(Some(overview)) => {
                self.told = overview.events;
                Some(told(&overview))
            }
            Ok(None) => None,
            Err(_) => Some(ALIVE),
        }
    }
}

fn told(overview: &Overview) -> Bytes {
    let sagas = overview.sagas.iter().map(|(status, count)| (SagaStatus::as_str(*status), *count));
    let mut text = String::new();
    write(&mut text, overview.events, &OverviewView { sagas: sagas.collect() });
    text.into()
}
