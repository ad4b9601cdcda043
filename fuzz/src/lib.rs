//! What reads what others write, and what is true of it whatever comes. Each target is a function of
//! bytes that panics where something is not as it must be; a fuzzer calls it in `fuzz_targets/`, and
//! `tests/contract/corpus.rs` with every file of `corpus/` and `crashes/`.
//!
//! | target | input | reads |
//! |---|---|---|
//! | `envelope` | the message's type in a line, then its body | commands, bundles, dead letters |
//! | `replies` | the correlation id in a line, then the body | what workers answer |
//! | `headers` | `http METHOD PATH` or `amqp EXCHANGE` in a line, then header lines or an AMQP table | requests' and messages' headers |
//! | `bodies` | `orders`, `cancel`, `retry` or `stock` in a line, then the body | requests' bodies |
//! | `cursors` | a query | places in lists |
//! | `configuration` | variables in lines up to `---`, then the file | settings |

pub mod bodies;
pub mod configuration;
pub mod cursors;
pub mod envelope;
pub mod headers;
pub mod replies;

use actix_web::ResponseError;
use actix_web::body::MessageBody;
use skald::http::reading::{MAX_BODY, Problem};

/// A target.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Target); 6] = [
    ("bodies", bodies::check),
    ("configuration", configuration::check),
    ("cursors", cursors::check),
    ("envelope", envelope::check),
    ("headers", headers::check),
    ("replies", replies::check),
];

/// The longest sentence that tells what is wrong, in bytes.
const LONGEST_REASON: usize = 2_000;

/// The longest answer to a request that is refused: every line of the largest order is wrong in each
/// of its three fields.
const LONGEST_ANSWER: usize = 5 * MAX_BODY;

/// The first line as text, and the rest.
fn head(data: &[u8]) -> (String, &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let rest = data.get(end + 1..).unwrap_or_default();
    (String::from_utf8_lossy(&data[..end]).into_owned(), rest)
}

/// A reason is there, is short, and breaks no line of a log.
fn is_reason(reason: &str) {
    assert!((1..=LONGEST_REASON).contains(&reason.len()), "{} bytes: {reason:?}", reason.len());
    assert!(!reason.contains(['\n', '\r', '\0']), "{reason:?}");
}

/// A request is refused by an answer that can be read and says where something is wrong.
fn is_told(problem: &Problem) {
    is_reason(problem.detail());
    for fault in problem.faults() {
        is_reason(fault.detail());
        let place = fault.place();
        assert!(place.len() <= LONGEST_REASON && !place.contains(char::is_control), "{place:?}");
    }
    let response = problem.error_response();
    assert!(response.status().is_client_error(), "{problem:?}");
    let Ok(body) = response.into_body().try_into_bytes() else { panic!("a stream") };
    assert!(body.len() <= LONGEST_ANSWER, "{} bytes", body.len());
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(told["errors"].as_array().map_or(0, Vec::len), problem.faults().len());
}
