//! `Prefer: wait=N` (RFC 7240): a client that would rather have the outcome than a place to look.

use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Proxies give up on an answer after a minute, as a rule.
const MAX_WAIT_S: u64 = 60;

/// How long a client is ready to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    seconds: u64,
}

impl Wait {
    /// Reads the preference; none where there is none, or none that makes sense: a preference may
    /// always be ignored. Where there are several, the first counts.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let wishes = headers.get_all(PREFER).filter_map(|value| value.to_str().ok());
        let value = wishes.flat_map(|value| value.split(',')).find_map(|wish| {
            let (name, value) = wish.split(';').next()?.split_once('=')?;
            name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"'))
        })?;
        let seconds = value.parse().ok().filter(|seconds| *seconds > 0)?;
        Some(Self { seconds: u64::min(seconds, MAX_WAIT_S) })
    }

    /// For so long.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The header that says that the wish was granted.
    pub fn applied(self) -> (HeaderName, HeaderValue) {
        let text = format!("wait={}", self.seconds);
        let value = HeaderValue::from_str(&text);
        (PREFERENCE_APPLIED, value.unwrap_or(HeaderValue::from_static("wait")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(values: &[&str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, HeaderValue::from_str(value).unwrap());
        }
        Wait::of(&headers).map(|wait| wait.duration().as_secs())
    }

    #[test]
    fn the_first_wish_to_wait_counts_up_to_a_minute() {
        assert_eq!(wait(&["wait=10"]), Some(10));
        assert_eq!(wait(&["respond-async, Wait = \"7\"; foo=bar"]), Some(7));
        assert_eq!(wait(&["handling=lenient", "wait=3", "wait=9"]), Some(3));
        assert_eq!(wait(&["wait=86400"]), Some(60));
    }

    #[test]
    fn what_makes_no_sense_is_ignored() {
        for value in ["wait", "wait=", "wait=0", "wait=-1", "wait=1.5", "wait=soon", "waits=5", ""]
        {
            assert_eq!(wait(&[value]), None, "{value}");
        }
    }
}
