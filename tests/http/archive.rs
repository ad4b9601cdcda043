//! What is over is read through the cache, and nothing is decided by that.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use actix_web::http::Method;
use actix_web::web::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::{Value, json};
use skald::ports::cache::Cache;
use skald::saga::id::SagaId;
use uuid::Uuid;

use crate::client::Site;

/// A cache that anybody can write to.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<HashMap<String, Bytes>>>);

impl Shared {
    /// A site that reads through it.
    fn site(&self) -> Site {
        Site::with(|services| skald::http::Services { cache: Arc::new(self.clone()), ..services })
    }

    fn keys(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }

    /// What is remembered of this id.
    fn get_json(&self, id: Uuid) -> Value {
        let values = self.0.lock().unwrap();
        let found = values.iter().find(|(key, _)| key.ends_with(&id.to_string()));
        serde_json::from_slice(found.unwrap().1).unwrap()
    }

    fn write(&self, key: &str, value: impl Into<Bytes>) {
        self.0.lock().unwrap().insert(key.to_owned(), value.into());
    }
}

impl Cache for Shared {
    fn get(&self, key: String) -> BoxFuture<'_, Option<Bytes>> {
        ready(self.0.lock().unwrap().get(&key).cloned()).boxed()
    }

    fn put(&self, key: String, value: Bytes) {
        self.0.lock().unwrap().insert(key, value);
    }
}

fn is_down(site: &Site, down: bool) {
    site.world.store_is_down.store(down, Ordering::Relaxed);
}

#[actix_web::test]
async fn what_is_over_is_read_from_the_store_once() {
    let site = Site::new();
    let order = site.order().await.order;
    site.world.confirm(order.saga);
    for path in [format!("/v1/orders/{}", order.id), format!("/v1/sagas/{}", order.saga)] {
        let first = site.get(&path).await;
        is_down(&site, true);
        let second = site.get(&path).await;
        is_down(&site, false);
        assert_eq!((first.status.as_u16(), first.text()), (200, second.text()));
        assert_eq!(first.header("etag"), second.header("etag"));
    }
}

#[actix_web::test]
async fn a_cancelled_order_is_remembered_with_its_reason() {
    let site = Site::new();
    let order = site.order().await.order;
    site.world.refuse(order.saga, "reserve-inventory", "INSUFFICIENT_STOCK");
    let path = format!("/v1/orders/{}", order.id);
    site.get(&path).await;
    is_down(&site, true);
    assert_eq!(site.get(&path).await.json()["reason"]["code"], "INSUFFICIENT_STOCK");
}

#[actix_web::test]
async fn what_is_under_way_is_never_remembered() {
    let cache = Shared::default();
    let site = cache.site();
    let order = site.order().await.order;
    let paths = [format!("/v1/orders/{}", order.id), format!("/v1/sagas/{}", order.saga)];
    for path in &paths {
        assert_eq!(site.get(path).await.status, 200);
    }
    assert_eq!(cache.keys(), [""; 0]);
    // Confirmed is for good, but the saga goes on.
    site.world.succeed(order.saga, "reserve-inventory");
    for path in &paths {
        assert_eq!(site.get(path).await.status, 200);
    }
    assert_eq!(cache.keys(), [format!("order:1:{}", order.id)]);
    site.world.succeed(order.saga, "send-confirmation");
    assert_eq!(site.get(&paths[1]).await.json()["status"], "COMPLETED");
    is_down(&site, true);
    assert_eq!(site.get(&paths[1]).await.status, 200);
}

#[actix_web::test]
async fn a_client_can_insist_on_the_store() {
    let site = Site::new();
    let order = site.order().await.order;
    site.world.confirm(order.saga);
    let path = format!("/v1/orders/{}", order.id);
    site.get(&path).await;
    is_down(&site, true);
    let reply = site.send(Method::GET, &path, &[("cache-control", "no-cache")], "").await;
    reply.problem(503, "STORE_UNAVAILABLE");
}

#[actix_web::test]
async fn nonsense_in_the_cache_is_not_shown() {
    let cache = Shared::default();
    let site = cache.site();
    let [order, other] = [site.order().await.order, site.order().await.order];
    for saga in [order.saga, other.saga] {
        site.world.confirm(saga);
    }
    let paths = [format!("/v1/orders/{}", order.id), format!("/v1/sagas/{}", order.saga)];
    let honest = [site.get(&paths[0]).await.json(), site.get(&paths[1]).await.json()];
    site.get(&format!("/v1/orders/{}", other.id)).await;
    let (kept_order, kept_saga) = (cache.get_json(order.id.0), cache.get_json(order.saga.0));
    let changed = |kept: &Value, pointer: &str, value: Value| {
        let mut kept = kept.clone();
        *kept.pointer_mut(pointer).expect(pointer) = value;
        kept
    };
    let order_lies = [
        cache.get_json(other.id.0),
        changed(&kept_order, "/status", json!("PENDING")),
        changed(&kept_order, "/status", json!("CANCELLED")),
        changed(&kept_order, "/status", json!("SOLD")),
        changed(&kept_order, "/total", json!(1)),
        changed(&kept_order, "/items/0/quantity", json!(0)),
        changed(&kept_order, "/items/0/price", json!(i64::MAX)),
        changed(&kept_order, "/currency", json!("???")),
        changed(&kept_order, "/items", json!([])),
        json!({}),
    ];
    for lie in order_lies {
        cache.write(&format!("order:1:{}", order.id), lie.to_string());
        assert_eq!(site.get(&paths[0]).await.json(), honest[0], "{lie}");
    }
    let saga_lies = [
        changed(&kept_saga, "/saga/state/phase", json!("forward")),
        changed(&kept_saga, "/saga/id", json!(other.saga)),
        changed(&kept_saga, "/summary/id", json!(other.saga)),
        changed(&kept_saga, "/summary/status", json!("CANCELLED")),
        changed(&kept_saga, "/summary/version", json!(1_000_000)),
        changed(&kept_saga, "/summary/key", json!("somebody else's")),
        kept_order.clone(),
    ];
    for lie in saga_lies {
        cache.write(&format!("saga:1:{}", order.saga), lie.to_string());
        assert_eq!(site.get(&paths[1]).await.json(), honest[1], "{lie}");
    }
    for nonsense in [&b""[..], b"\xff\xfe", b"null", b"{\"saga\":", &[b'['; 100_000]] {
        for key in [format!("order:1:{}", order.id), format!("saga:1:{}", order.saga)] {
            cache.write(&key, Bytes::copy_from_slice(nonsense));
        }
        for (path, honest) in paths.iter().zip(&honest) {
            assert_eq!(site.get(path).await.json(), *honest);
        }
    }
}

/// A lie that nobody can see through: this order, which is under way, is said to be confirmed.
async fn lie_about(cache: &Shared, site: &Site, order: &skald::orders::Order) {
    let told = site.order().await.order;
    site.world.confirm(told.saga);
    site.get(&format!("/v1/orders/{}", told.id)).await;
    site.get(&format!("/v1/sagas/{}", told.saga)).await;
    let renamed = |text: Value| {
        let text = text.to_string().replace(&told.id.to_string(), &order.id.to_string());
        text.replace(&told.saga.to_string(), &order.saga.to_string())
    };
    cache.write(&format!("order:1:{}", order.id), renamed(cache.get_json(told.id.0)));
    cache.write(&format!("saga:1:{}", order.saga), renamed(cache.get_json(told.saga.0)));
    let lie = site.get(&format!("/v1/orders/{}", order.id)).await.json();
    assert_eq!(lie["status"], "CONFIRMED", "the lie is told");
}

#[actix_web::test]
async fn a_lie_in_the_cache_decides_nothing() {
    let cache = Shared::default();
    let site = cache.site();
    let key = [("idempotency-key", "\"one\"")];
    let accepted = site.post("/v1/orders", &key, crate::client::ORDER).await.json();
    let order = site.world.lock().submissions[0].order.clone();
    lie_about(&cache, &site, &order).await;

    // A repeat is answered from the store.
    let patient = [key[0], ("prefer", "wait=1")];
    let repeat = site.post("/v1/orders", &patient, crate::client::ORDER).await;
    assert_eq!((repeat.status.as_u16(), repeat.json()), (202, accepted));
    // The saga's page shows what the store says.
    let page = site.get(&format!("/sagas/{}", order.saga)).await;
    assert!(page.text().contains("Running"), "{page:?}");
    // The version to insist on is compared by the owner.
    let cancel = format!("/v1/orders/{}/cancel", order.id);
    let told = site.get(&format!("/v1/sagas/{}", order.saga)).await;
    let wrong = [("if-match", told.header("etag").unwrap())];
    site.post(&cancel, &wrong, "").await.problem(412, "VERSION_MISMATCH");
    // What is said to be confirmed is cancelled all the same.
    let cancelled = site.post(&cancel, &[], "").await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    let status = |saga: SagaId| site.world.lock().sagas[&saga].saga.state.status();
    assert_eq!(status(order.saga).as_str(), "ROLLING_BACK");
}

#[actix_web::test]
async fn a_lie_in_the_cache_hides_nothing_from_those_who_retry() {
    let cache = Shared::default();
    let site = cache.site();
    let order = site.order().await.order;
    site.world.succeed(order.saga, "reserve-inventory");
    site.world.exhaust(order.saga, "send-confirmation");
    lie_about(&cache, &site, &order).await;
    let path = format!("/v1/sagas/{}/retry", order.saga);
    let retried = site.post(&path, &[], r#"{"reason":"the mail server is back"}"#).await;
    assert_eq!((retried.status.as_u16(), &retried.json()["status"]), (200, &json!("RUNNING")));
}
