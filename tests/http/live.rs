//! Streams that follow sagas.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::rt::time::timeout;
use actix_web::web::Bytes;
use awc::Client;
use futures_util::StreamExt;
use futures_util::stream::LocalBoxStream;
use serde_json::{Value, json};
use skald::coordination::in_process::InProcessPokes;
use skald::saga::id::SagaId;

use crate::client::Site;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A reader of a stream.
struct Reader {
    chunks: LocalBoxStream<'static, Bytes>,
    text: String,
}

/// What is sent under an id.
type Told = (u64, Value);

impl Reader {
    async fn open(site: &Site, path: &str, headers: &[(&str, &str)]) -> Self {
        let client = Client::builder().disable_timeout().finish();
        let mut request = client.get(format!("http://{}{path}", site.address));
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let kind = response.headers().get("content-type").unwrap();
        assert_eq!(kind, "text/event-stream; charset=utf-8");
        let chunks = response.map(|chunk| chunk.unwrap_or_default()).boxed_local();
        Self { chunks, text: String::new() }
    }

    /// The next event; none once the stream has ended.
    async fn next(&mut self) -> Option<Told> {
        loop {
            while let Some((frame, rest)) = self.text.split_once("\n\n") {
                let field = |name| frame.lines().find_map(|line| line.strip_prefix(name));
                let told = field("id: ")
                    .zip(field("data: "))
                    .map(|(id, data)| (id.parse().unwrap(), serde_json::from_str(data).unwrap()));
                self.text = rest.to_owned();
                if told.is_some() {
                    return told;
                }
            }
            let chunk = timeout(PATIENCE, self.chunks.next()).await.expect("nothing comes")?;
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
    }

    /// The ids of the next events.
    async fn ids(&mut self, count: usize) -> Vec<u64> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.next().await.expect("more is to come").0);
        }
        ids
    }
}

fn version(site: &Site, saga: SagaId) -> u64 {
    site.world.lock().sagas[&saga].saga.state.version
}

#[actix_web::test]
async fn a_stream_tells_a_sagas_history_and_then_what_follows() {
    let site = Site::new();
    let saga = site.order().await.order.saga;
    let mut reader = Reader::open(&site, &format!("/v1/sagas/{saga}/events"), &[]).await;
    assert_eq!(reader.ids(2).await, [1, 2]);
    site.world.succeed(saga, "reserve-inventory");
    let (id, data) = reader.next().await.unwrap();
    assert_eq!((id, &data["type"]), (3, &json!("STEP_SUCCEEDED")));
    let history = site.get(&format!("/v1/sagas/{saga}/history")).await.json();
    assert_eq!(data, history["events"][2]);
    site.world.succeed(saga, "send-confirmation");
    let last = version(&site, saga);
    assert_eq!(reader.ids(last as usize - 3).await, (4..=last).collect::<Vec<_>>());
    assert_eq!(reader.next().await, None, "nothing follows");
}

#[actix_web::test]
async fn a_stream_goes_on_where_it_broke_off() {
    let site = Site::new();
    let saga = site.order().await.order.saga;
    site.world.succeed(saga, "reserve-inventory");
    let path = format!("/v1/sagas/{saga}/events");
    let mut resumed = Reader::open(&site, &path, &[("last-event-id", "2")]).await;
    assert_eq!(resumed.ids(2).await, [3, 4]);
    let mut begun_later = Reader::open(&site, &format!("{path}?after=3"), &[]).await;
    assert_eq!(begun_later.ids(1).await, [4]);
    // A browser repeats the address as it was and says how far it has come.
    let both = format!("{path}?after=1");
    let mut both = Reader::open(&site, &both, &[("last-event-id", "3")]).await;
    assert_eq!(both.ids(1).await, [4]);
    for bad in ["?after=x", "?after=-1", "?before=1"] {
        site.get(&format!("{path}{bad}")).await.problem(400, "BAD_PARAMETER");
    }
    let bad = [("last-event-id", "seven")];
    let reply = site.send(actix_web::http::Method::GET, &path, &bad, "").await;
    reply.fault(400, "BAD_PARAMETER", ("header", "Last-Event-ID"));
}

#[actix_web::test]
async fn who_has_seen_the_end_is_told_not_to_come_back() {
    let site = Site::new();
    let saga = site.order().await.order.saga;
    site.world.confirm(saga);
    let path = format!("/v1/sagas/{saga}/events");
    let end = version(&site, saga);
    let reply = site.get(&format!("{path}?after={end}")).await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (204, 0));
    let mut reader = Reader::open(&site, &format!("{path}?after={}", end - 1), &[]).await;
    assert_eq!(reader.ids(1).await, [end]);
    assert_eq!(reader.next().await, None);
    let unknown = "/v1/sagas/0190b5a2-0000-7000-8000-000000000000/events";
    site.get(unknown).await.problem(404, "NOT_FOUND");
    site.get("/v1/sagas/x/events").await.problem(400, "BAD_PARAMETER");
}

#[actix_web::test]
async fn a_long_history_is_told_in_full() {
    let site = Site::new();
    let saga = site.order().await.order.saga;
    site.world.succeed(saga, "reserve-inventory");
    for _ in 0..40 {
        site.world.exhaust(saga, "send-confirmation");
        site.world.retry(saga);
    }
    let last = version(&site, saga);
    assert!(last > 200, "{last}");
    let mut reader = Reader::open(&site, &format!("/v1/sagas/{saga}/events"), &[]).await;
    assert_eq!(reader.ids(last as usize).await, (1..=last).collect::<Vec<_>>());
}

#[actix_web::test]
async fn the_list_tells_how_many_sagas_stand_where_whenever_some_moved() {
    let site = Site::new();
    let saga = site.order().await.order.saga;
    let mut reader = Reader::open(&site, "/v1/sagas/events", &[]).await;
    let (born, overview) = reader.next().await.unwrap();
    assert_eq!((born, &overview["sagas"]["RUNNING"]), (2, &json!(1)));
    site.world.confirm(saga);
    let end = version(&site, saga);
    loop {
        let (id, overview) = reader.next().await.unwrap();
        assert!(id > born);
        if id == end {
            assert_eq!(overview["sagas"]["RUNNING"], 0);
            assert_eq!(overview["sagas"]["COMPLETED"], 1);
            break;
        }
    }
    // Who comes back is told at once what was missed, and nothing where nothing was.
    let missed = [("last-event-id", "2")];
    let mut late = Reader::open(&site, "/v1/sagas/events?after=1", &missed).await;
    assert_eq!(late.next().await.unwrap().0, end);
    let mut punctual = Reader::open(&site, &format!("/v1/sagas/events?after={end}"), &[]).await;
    let next = site.order().await.order.saga;
    assert_eq!(punctual.next().await.unwrap().0, end + version(&site, next));
}

#[actix_web::test]
async fn what_moves_without_a_poke_is_found_by_looking() {
    let silent = Arc::new(InProcessPokes::default());
    let site = Site::with(|services| skald::http::Services { pokes: silent, ..services });
    let saga = site.order().await.order.saga;
    let mut reader = Reader::open(&site, &format!("/v1/sagas/{saga}/events?after=2"), &[]).await;
    let mut list = Reader::open(&site, "/v1/sagas/events?after=2", &[]).await;
    site.world.confirm(saga);
    assert_eq!(reader.ids(1).await, [3]);
    assert_eq!(list.next().await.unwrap().0, version(&site, saga));
}

#[actix_web::test]
async fn a_stream_outlasts_a_store_that_is_away() {
    let site = Site::new();
    let saga = site.order().await.order.saga;
    let mut reader = Reader::open(&site, &format!("/v1/sagas/{saga}/events"), &[]).await;
    let mut list = Reader::open(&site, "/v1/sagas/events", &[]).await;
    assert_eq!(reader.ids(2).await, [1, 2]);
    assert_eq!(list.next().await.unwrap().0, 2);
    site.world.store_is_down.store(true, Ordering::Relaxed);
    site.world.confirm(saga);
    site.get(&format!("/v1/sagas/{saga}")).await.problem(503, "STORE_UNAVAILABLE");
    site.get("/v1/sagas/events").await.problem(503, "STORE_UNAVAILABLE");
    site.world.store_is_down.store(false, Ordering::Relaxed);
    assert_eq!(reader.ids(1).await, [3]);
    assert_eq!(list.next().await.unwrap().0, version(&site, saga));
}

#[actix_web::test]
async fn there_is_room_for_so_many_readers_and_no_more() {
    let site = Site::new();
    let saga = site.order().await.order.saga;
    let path = format!("/v1/sagas/{saga}/events");
    let mut readers = Vec::new();
    for n in 0..256 {
        let path = if n % 2 == 0 { &path } else { "/v1/sagas/events" };
        readers.push(Reader::open(&site, path, &[]).await);
    }
    for path in [path.as_str(), "/v1/sagas/events"] {
        let reply = site.get(path).await;
        reply.problem(503, "OVERLOADED");
        assert!(reply.header("retry-after").is_some());
    }
    // Requests that are no streams have their own places.
    assert_eq!(site.get(&format!("/v1/sagas/{saga}")).await.status, 200);
    site.world.confirm(saga);
    // One that came to its end made room for another one.
    let ended = &mut readers[0];
    while ended.next().await.is_some() {}
    let reader = async {
        while site.get("/v1/sagas/x/events").await.status == 503 {}
        let mut request = site.get(&format!("{path}?after=1000")).await;
        while request.status == 503 {
            request = site.get(&format!("{path}?after=1000")).await;
        }
        request
    };
    assert_eq!(timeout(PATIENCE, reader).await.unwrap().status, 204);
}

#[actix_web::test]
async fn streams_end_when_the_server_stops() {
    let site = Site::new();
    let saga = site.order().await.order.saga;
    let mut reader = Reader::open(&site, &format!("/v1/sagas/{saga}/events"), &[]).await;
    let mut list = Reader::open(&site, "/v1/sagas/events", &[]).await;
    assert_eq!(reader.ids(2).await, [1, 2]);
    list.next().await.unwrap();
    site.live.end();
    assert_eq!((reader.next().await, list.next().await), (None, None));
    site.get("/v1/sagas/events").await.problem(503, "OVERLOADED");
}

#[actix_web::test]
async fn pages_name_the_stream_that_tells_of_their_changes() {
    let site = Site::new();
    let saga = site.order().await.order.saga;
    let list = site.get("/?status=RUNNING").await;
    assert!(list.text().contains("data-live=\"/v1/sagas/events?after=2\""), "{list:?}");
    let page = site.get(&format!("/sagas/{saga}")).await;
    let stream = format!("data-live=\"/v1/sagas/{saga}/events?after=2\"");
    assert!(page.text().contains(&stream), "{page:?}");
    // Not where the reader has chosen that the page reloads itself, and not where nothing follows.
    for path in ["/?refresh=5".to_owned(), format!("/sagas/{saga}?refresh=5")] {
        let reply = site.get(&path).await;
        assert!(!reply.text().contains("data-live") && !reply.text().contains("<script"));
    }
    site.world.confirm(saga);
    let ended = site.get(&format!("/sagas/{saga}")).await;
    assert!(!ended.text().contains("data-live"), "{ended:?}");
}
