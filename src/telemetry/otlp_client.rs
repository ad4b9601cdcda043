//! The HTTP client of the exporter. It blocks, on the exporter's own thread.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

/// A collector answers with a few bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// Sends what the exporter has to send.
#[derive(Debug)]
pub struct OtlpClient(Agent);

impl OtlpClient {
    /// A client that gives up a request after `within`. It trusts whom the system trusts.
    pub fn new(within: Duration) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .timeout_global(Some(within))
            .http_status_as_error(false)
            .tls_config(tls)
            .build();
        Self(config.new_agent())
    }
}

#[async_trait]
impl HttpClient for OtlpClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let answer = self.0.run(Request::from_parts(parts, body.as_ref()))?;
        let (parts, mut body) = answer.into_parts();
        let body = body.with_config().limit(MAX_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(parts, body.into()))
    }
}
