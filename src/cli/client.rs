//! A client of the REST API.

use std::time::Duration;

use awc::error::{PayloadError, SendRequestError};
use awc::http::{Method, StatusCode, Uri};
use clap::Args;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::failure::{Exit, Failure};
use super::output::{Output, printable};

/// The server waits 2 s for the outcome of a request at most; a busy one may take as long again.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A page of 200 orders of 500 lines takes 8 MB.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// Which server to talk to.
#[derive(Args, Clone, Debug)]
pub struct Server {
    /// The server to talk to
    #[arg(
        long,
        env = "SKALD_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:7070",
        value_parser = parse_url
    )]
    pub url: String,
}

/// What every command that talks to a server wants to know.
#[derive(Args, Debug)]
pub struct Common {
    /// Which server to talk to.
    #[command(flatten)]
    pub server: Server,
    /// How the result is written
    #[arg(short, long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Reads the server's URL, and cuts the slash at its end.
fn parse_url(text: &str) -> Result<String, String> {
    let wanted = "must be a URL such as http://127.0.0.1:7070";
    let uri: Uri = text.parse().map_err(|_| wanted.to_owned())?;
    match (uri.scheme_str(), uri.authority(), uri.path(), uri.query()) {
        (Some("http"), Some(_), "/" | "", None) => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err(wanted.to_owned()),
    }
}

/// Talks to one server, over connections that it keeps.
pub struct Client {
    http: awc::Client,
    base: String,
}

/// A problem as the server tells it (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(alias = "parameter", alias = "header")]
    pointer: String,
    detail: String,
}

impl Client {
    /// A client of the server at `base`.
    pub fn new(base: &str) -> Self {
        let http = awc::Client::builder().timeout(ANSWER_WITHIN).finish();
        Self { http, base: base.to_owned() }
    }

    /// Reads what is at `path`.
    ///
    /// # Errors
    /// When the server can't be reached, or answers with a problem.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        Ok(self.call(Method::GET, path, None).await?.1)
    }

    /// Replaces what is at `path`.
    ///
    /// # Errors
    /// When the server can't be reached, or answers with a problem.
    pub async fn put<T: DeserializeOwned>(&self, path: &str, json: String) -> Result<T, Failure> {
        Ok(self.call(Method::PUT, path, Some(json)).await?.1)
    }

    /// Asks for something at `path`; tells whether it is done (200) or only stored (202), too.
    ///
    /// # Errors
    /// When the server can't be reached, or answers with a problem.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        json: String,
    ) -> Result<(StatusCode, T), Failure> {
        self.call(Method::POST, path, Some(json)).await
    }

    /// Reads the text at `path`, whatever its status.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub async fn text(&self, path: &str) -> Result<(StatusCode, String), Failure> {
        let sent = self.http.get(format!("{}{path}", self.base)).send();
        let mut response = sent.await.map_err(|error| self.unreachable(&error))?;
        let body = response.body().limit(MAX_ANSWER).await.map_err(|error| self.cut_off(&error))?;
        Ok((response.status(), String::from_utf8_lossy(&body).into_owned()))
    }

    /// Takes away what is at `path`.
    ///
    /// # Errors
    /// When the server can't be reached, or answers with a problem.
    pub async fn delete<T: DeserializeOwned>(
        &self,
        path: &str,
        json: String,
    ) -> Result<T, Failure> {
        Ok(self.call(Method::DELETE, path, Some(json)).await?.1)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        json: Option<String>,
    ) -> Result<(StatusCode, T), Failure> {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let sent = match json {
            Some(json) => request.content_type("application/json").send_body(json),
            None => request.send(),
        };
        let mut response = sent.await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = response.body().limit(MAX_ANSWER).await.map_err(|error| self.cut_off(&error))?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        let answer = serde_json::from_slice(&body).map_err(|error| {
            let what = format!("{}{path} did not answer as Skald does: {error}", self.base);
            Failure::new(Exit::Failed, "NOT_SKALD", what)
        })?;
        Ok((status, answer))
    }

    fn unreachable(&self, error: &SendRequestError) -> Failure {
        let what = format!("no answer from {}: {error}", self.base);
        Failure::new(Exit::Failed, "UNREACHABLE", what)
            .next("start it with: skald serve; or name another server with --url")
    }

    fn cut_off(&self, error: &PayloadError) -> Failure {
        let what = format!("the answer from {} was cut off: {error}", self.base);
        Failure::new(Exit::Failed, "UNREACHABLE", what).next("try again")
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> Failure {
    let exit = match status {
        StatusCode::NOT_FOUND => Exit::NotFound,
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => Exit::Conflict,
        _ => Exit::Failed,
    };
    let Ok(Problem { code, detail, errors }) = serde_json::from_slice(body) else {
        return Failure::new(exit, "NOT_SKALD", format!("the server answered with {status}"));
    };
    let faults = errors.iter().map(|Fault { pointer, detail }| format!("\n  {pointer}: {detail}"));
    let what = std::iter::once(detail.clone()).chain(faults).collect::<String>();
    let what = what.split('\n').map(printable).collect::<Vec<_>>().join("\n");
    Failure::new(exit, printable(&code), what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_scheme_and_host_alone() {
        assert_eq!(parse_url("http://127.0.0.1:7070/"), Ok("http://127.0.0.1:7070".to_owned()));
        assert_eq!(parse_url("http://[::1]:7070"), Ok("http://[::1]:7070".to_owned()));
        for bad in
            ["", "7070", "127.0.0.1:7070", "https://a", "http://a/v1", "http://a?x", "ftp://a"]
        {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_problem_tells_its_code_its_faults_and_the_exit_code() {
        let body = br#"{"type":"/problems/X","status":404,"code":"NOT_FOUND","detail":"there is no saga 7",
            "errors":[{"parameter":"id","detail":"must be\u001b[31m a UUID"}]}"#;
        let failure = refusal(StatusCode::NOT_FOUND, body);
        assert_eq!(failure.exit(), Exit::NotFound);
        let text = "error[NOT_FOUND]: there is no saga 7\n  id: must be\u{fffd}[31m a UUID";
        assert_eq!(failure.to_string(), text);
    }

    #[test]
    fn only_what_can_be_told_apart_is_told_apart() {
        let exit = |status| refusal(status, b"<html>").exit();
        assert_eq!(exit(StatusCode::CONFLICT), Exit::Conflict);
        assert_eq!(exit(StatusCode::PRECONDITION_FAILED), Exit::Conflict);
        assert_eq!(exit(StatusCode::NOT_FOUND), Exit::NotFound);
        assert_eq!(exit(StatusCode::UNPROCESSABLE_ENTITY), Exit::Failed);
        assert_eq!(exit(StatusCode::SERVICE_UNAVAILABLE), Exit::Failed);
    }
}
