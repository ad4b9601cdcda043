//! A server over a [`World`], and a client that talks to it over TCP.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use actix_web::rt;
use actix_web::web::{Bytes, Data};
use awc::Client;
use serde_json::Value;
use skald::bus::in_process::InProcessBus;
use skald::coordination::in_process::InProcessCache;
use skald::http::{Api, Live, Options, Services, Settings, serve};
use skald::ports::orchestrator::NewOrder;

use crate::fakes::Port;
use crate::world::World;

/// What a usual customer sends.
pub const ORDER: &str = r#"{"userId":"ada","email":"ada@example.org",
    "items":[{"productId":"tea","quantity":2,"price":9.99}]}"#;

pub struct Site {
    pub world: Arc<World>,
    pub api: Data<Api>,
    pub address: SocketAddr,
    pub live: Arc<Live>,
    client: Client,
}

pub struct Reply {
    pub status: StatusCode,
    headers: HashMap<String, String>,
    pub body: Bytes,
}

impl Site {
    /// Must be called within an actix system.
    pub fn new() -> Self {
        Self::with(|services| services)
    }

    pub fn with(change: impl FnOnce(Services) -> Services) -> Self {
        let world = World::new();
        let port = Arc::new(Port(Arc::clone(&world)));
        let services = Services {
            orchestrator: port.clone(),
            queries: port.clone(),
            door: port.clone(),
            letters: port.clone(),
            leases: port.clone(),
            bus: Arc::new(InProcessBus::default()),
            cache: Arc::new(InProcessCache::default()),
            pokes: world.pokes.clone(),
            expendable: Vec::new(),
            inventory: Some(port.clone()),
            notification: Some(port.clone()),
            clock: port,
            definitions: [(world.definition.reference(), world.definition.clone())].into(),
            metrics: Some(Arc::new(|| "skald_sagas_total 1\n".to_owned())),
            spans: Default::default(),
        };
        let settings = Settings { host_names: vec!["skald.example".to_owned()], store_calls: 4 };
        let api = Data::new(Api::new(change(services), &settings));
        let live = api.live();
        rt::spawn(Arc::clone(&live).watch());
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let options = Options { workers: 1, stop_within: Duration::from_secs(5) };
        rt::spawn(serve(api.clone(), listener, &options).unwrap());
        let client =
            Client::builder().disable_redirects().timeout(Duration::from_secs(20)).finish();
        Self { world, api, address, live, client }
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let mut request = self.client.request(method, format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        let mut response = request.send_body(body.into()).await.unwrap();
        let body = response.body().limit(8 << 20).await.unwrap();
        let headers = response.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        Reply { status: response.status(), headers, body }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], "").await
    }

    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let json = [("content-type", "application/json")];
        let headers: Vec<_> = json.iter().chain(headers).copied().collect();
        self.send(Method::POST, path, &headers, body.to_owned()).await
    }

    pub async fn put(&self, path: &str, body: &str) -> Reply {
        let json = [("content-type", "application/json")];
        self.send(Method::PUT, path, &json, body.to_owned()).await
    }

    /// Submits a usual order; returns what the orchestrator got.
    pub async fn order(&self) -> NewOrder {
        let reply = self.post("/v1/orders", &[], ORDER).await;
        assert_eq!(reply.status, 202, "{reply:?}");
        self.world.lock().submissions.last().unwrap().clone()
    }
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that this is a problem as RFC 9457 wants it, and returns it.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{self:?}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("/problems/{code}"));
        assert!(problem["retryable"].is_boolean());
        for member in ["title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        problem
    }

    /// Checks that this names one field, and returns what is wrong with it.
    #[track_caller]
    pub fn fault(&self, status: u16, code: &str, place: (&str, &str)) -> String {
        let problem = self.problem(status, code);
        let faults = problem["errors"].as_array().unwrap();
        let fault = faults.iter().find(|fault| fault[place.0] == place.1);
        let fault = fault.unwrap_or_else(|| panic!("{place:?} is not named: {self:?}"));
        fault["detail"].as_str().unwrap().to_owned()
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, String::from_utf8_lossy(&self.body))
    }
}
