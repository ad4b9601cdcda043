//! Reading orders that are settled: from the store, and through the cache.

use std::time::{Duration, Instant};

use awc::http::StatusCode;
use awc::http::header::CACHE_CONTROL;
use fastrand::Rng;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::failed;
use super::report::{millis, per_second, percentile};
use crate::cli::failure::Failure;
use crate::orders::OrderId;

/// How many orders are read again and again.
const POPULAR: usize = 1_000;

/// Requests under way at a time: enough to keep the server busy.
const AT_A_TIME: usize = 32;

/// Store and cache take turns so often, so that both meet the same machine; medians are told.
const TURNS: usize = 3;

/// A server that does not answer within this time has lost the request.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reads {
    /// From the store, a second.
    pub store_per_second: f64,
    /// Their median time, in milliseconds.
    pub store_p50_ms: f64,
    /// Through the cache, a second.
    pub cache_per_second: f64,
    /// Their median time, in milliseconds.
    pub cache_p50_ms: f64,
}

/// Reads some of `orders` so many times in each turn.
///
/// # Errors
/// When one can't be read.
pub async fn measure(url: &str, orders: &[OrderId], reads: u64) -> Result<Reads, Failure> {
    let http = awc::Client::builder()
        .connector(awc::Connector::new().limit(AT_A_TIME))
        .timeout(ANSWER_WITHIN)
        .finish();
    let popular = &orders[..orders.len().min(POPULAR)];
    let read = async |id: &OrderId, from_store: bool| {
        let mut request = http.get(format!("{url}/{id}"));
        if from_store {
            request = request.insert_header((CACHE_CONTROL, "no-cache"));
        }
        let began = Instant::now();
        let mut response = request.send().await.map_err(|error| failed(error.to_string()))?;
        response.body().await.map_err(|error| failed(error.to_string()))?;
        match response.status() {
            StatusCode::OK => Ok(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)),
            status => Err(failed(format!("the order {id} could not be read: {status}"))),
        }
    };
    let turn = async |ids: Vec<&OrderId>, from_store| {
        let began = Instant::now();
        let reading = ids.iter().map(|id| read(id, from_store));
        let times: Vec<u64> =
            stream::iter(reading).buffer_unordered(AT_A_TIME).try_collect().await?;
        Ok::<_, Failure>((per_second(times.len() as u64, began.elapsed()), times))
    };
    // Once each, so that all are remembered.
    turn(popular.iter().collect(), false).await?;
    let mut random = Rng::with_seed(1);
    let (mut store, mut cache) = (Turns::default(), Turns::default());
    for _ in 0..TURNS {
        let ids: Vec<&OrderId> = (0..reads).filter_map(|_| random.choice(popular.iter())).collect();
        store.add(turn(ids.clone(), true).await?);
        cache.add(turn(ids, false).await?);
    }
    let ((store_per_second, store_p50_ms), (cache_per_second, cache_p50_ms)) =
        (store.medians(), cache.medians());
    Ok(Reads { store_per_second, store_p50_ms, cache_per_second, cache_p50_ms })
}

#[derive(Default)]
struct Turns {
    rates: Vec<f64>,
    times: Vec<u64>,
}

impl Turns {
    fn add(&mut self, (rate, times): (f64, Vec<u64>)) {
        self.rates.push(rate);
        self.times.extend(times);
    }

    /// Of the rates, and of all times in milliseconds.
    fn medians(mut self) -> (f64, f64) {
        self.rates.sort_unstable_by(f64::total_cmp);
        self.times.sort_unstable();
        let rate = self.rates.get(self.rates.len() / 2).copied().unwrap_or_default();
        (rate, millis(percentile(&self.times, 50)))
    }
}
