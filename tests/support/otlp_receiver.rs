//! A collector for traces: takes OTLP over HTTP and keeps what it gets.

// No test program uses all of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use prost::Message;

/// A span that came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub service: String,
    pub trace: u128,
    pub span: u64,
    /// 0 for the first one of a trace.
    pub parent: u64,
    pub name: String,
    /// As the protocol numbers them: 1 internal, 2 server, 4 producer, 5 consumer.
    pub kind: i32,
    pub lasted_nanos: u64,
    pub is_error: bool,
    pub attributes: BTreeMap<String, String>,
}

/// A collector. It is gone when it is dropped, with every connection to it.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<Vec<TcpStream>>,
}

impl Receiver {
    /// A collector on a free port.
    pub fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// A collector on this port.
    pub fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for connection in listener.incoming().map(Result::unwrap) {
                    if shared.over.load(Ordering::SeqCst) {
                        return;
                    }
                    shared.connections.lock().unwrap().push(connection.try_clone().unwrap());
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || while shared.take(&connection).is_some() {});
                }
            })
        };
        Self { address, shared, accepting: Some(accepting) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans of a trace that came so far.
    pub fn spans_of(&self, trace: u128) -> Vec<Seen> {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.trace == trace).cloned().collect()
    }

    /// All spans that came so far.
    pub fn spans(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, which then lets the port go.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            accepting.join().unwrap();
        }
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            // Either side may have closed it.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    /// Takes one request and answers it; none once the connection is over.
    fn take(&self, connection: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(connection);
        let mut length = 0;
        let mut first = String::new();
        reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
        assert!(first.starts_with("POST /v1/traces "), "{first}");
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            if line.trim().is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        self.seen.lock().unwrap().extend(read(request));
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        (&*connection).write_all(answer.as_bytes()).ok()
    }
}

fn read(request: ExportTraceServiceRequest) -> Vec<Seen> {
    let mut seen = Vec::new();
    for resource in request.resource_spans {
        let of_resource = attributes(resource.resource.unwrap_or_default().attributes);
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let id = |bytes: &[u8]| bytes.iter().fold(0, |id: u64, b| id << 8 | u64::from(*b));
            seen.push(Seen {
                service: of_resource["service.name"].clone(),
                trace: u128::from_be_bytes(span.trace_id.try_into().unwrap()),
                span: id(&span.span_id),
                parent: id(&span.parent_span_id),
                name: span.name,
                kind: span.kind,
                lasted_nanos: span
                    .end_time_unix_nano
                    .checked_sub(span.start_time_unix_nano)
                    .unwrap(),
                is_error: span.status.is_some_and(|status| status.code == 2),
                attributes: attributes(span.attributes),
            });
        }
    }
    seen
}

fn attributes(given: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    given.into_iter().map(|KeyValue { key, value, .. }| (key, text(value))).collect()
}
