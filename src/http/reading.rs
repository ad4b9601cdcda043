//! What reads requests, for whoever feeds it with requests that no client of ours sends: the targets in
//! `fuzz/`.

pub use super::ask::{if_match, reason};
pub use super::body::{JsonBody, MAX_BODY, check_headers};
pub use super::cancel::reason as cancellation;
pub use super::guard::Guard;
pub use super::idempotency::{Key, fingerprint};
pub use super::inventory::on_hand;
pub use super::live::last_event_id;
pub use super::page::{MAX_LIMIT, PageOf, url_with};
pub use super::params::Params;
pub use super::prefer::Wait;
pub use super::problem::{Fault, Kind, Problem};
pub use super::trace::Trace;
