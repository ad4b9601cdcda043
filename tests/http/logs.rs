//! What the log is told.

use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use actix_web::http::Method;
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use crate::client::Site;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[actix_web::test]
async fn a_failure_of_ours_is_logged_once_with_its_cause_and_its_request() {
    let log = Log::default();
    tracing_subscriber::fmt().json().with_writer(log.clone()).init();
    let site = Site::new();
    let order = site.order().await.order;
    let path = format!("/v1/sagas/{}", order.saga);
    site.get("/v1/sagas/x").await.problem(400, "BAD_PARAMETER");
    site.world.store_is_down.store(true, Ordering::Relaxed);
    let reply = site.send(Method::GET, &path, &[("traceparent", TRACE)], "").await;
    reply.problem(503, "STORE_UNAVAILABLE");

    // Other tests of this process log too.
    let lines = log.lines();
    let about = |path: &str| {
        let path = path.to_owned();
        lines.iter().filter(move |line| line["span"]["path"] == path)
    };
    let failures: Vec<_> = about(&path).filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(failures.len(), 1, "{lines:?}");
    let cause = failures[0]["fields"]["cause"].as_str().unwrap();
    assert!(cause.contains("secret/path/orders.db is locked"), "{cause}");
    let span = &failures[0]["span"];
    assert_eq!((&span["method"], &span["status"]), (&"GET".into(), &503.into()));
    assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(span["sagaId"], order.saga.to_string());
    assert_eq!(about("/v1/sagas/x").count(), 0, "a client's mistake is not our news");
}
