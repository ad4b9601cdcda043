//! Proof that a form comes from a page of ours: the same token in the form and in a cookie that no
//! other site can read or send.
//!
//! The guard has checked `Origin` before; this also holds for browsers that do not send it.

use actix_web::HttpRequest;
use actix_web::http::header::{COOKIE, HeaderName, HeaderValue, SET_COOKIE};
use uuid::Uuid;

use crate::http::problem::{Kind, Problem};

const NAME: &str = "skald-csrf";

/// 128 bits, of which chance decides 122, in hexadecimal.
const LENGTH: usize = 32;

/// A form's token.
pub struct Token {
    text: String,
    is_new: bool,
}

impl Token {
    /// The browser's token, so that its other tabs stay valid; a new one where it has none.
    pub fn of(request: &HttpRequest) -> Self {
        match cookie(request) {
            Some(text) => Self { text: text.to_owned(), is_new: false },
            None => Self { text: Uuid::new_v4().simple().to_string(), is_new: true },
        }
    }

    /// What goes into the form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The header that gives the browser its token; none if it has it.
    pub fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        if !self.is_new {
            return None;
        }
        let cookie = format!("{NAME}={}; Path=/; HttpOnly; SameSite=Strict", self.text);
        HeaderValue::from_str(&cookie).ok().map(|cookie| (SET_COOKIE, cookie))
    }
}

/// Checks that the token of a form is the browser's.
///
/// # Errors
/// [`Kind::FormExpired`] if it is not.
pub fn check(request: &HttpRequest, token: &str) -> Result<(), Problem> {
    match cookie(request) {
        Some(cookie) if are_equal(cookie, token) => Ok(()),
        _ => Err(Problem::new(
            Kind::FormExpired,
            "the form does not belong to a page that this browser loaded; nothing was changed",
        )),
    }
}

fn cookie(request: &HttpRequest) -> Option<&str> {
    let cookies = request.headers().get_all(COOKIE).filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='))
        .filter(|token| token.len() == LENGTH && token.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Takes the same time wherever they differ.
fn are_equal(left: &str, right: &str) -> bool {
    let differences = left.bytes().zip(right.bytes()).fold(0, |sum, (l, r)| sum | (l ^ r));
    left.len() == right.len() && differences == 0
}
