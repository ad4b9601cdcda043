//! Problems for people: what a page answers when something is wrong, and what each code means.

use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, ResponseError, web};
use askama::Template;

use super::{Frame, render};
use crate::http::problem::{Fault, Kind, Problem};
use crate::http::services::Api;

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    frame: Frame,
    code: &'a str,
    status: u16,
    title: &'a str,
    retryable: bool,
    advice: &'a str,
    detail: Option<&'a str>,
    faults: &'a [Fault],
}

impl<'a> ProblemPage<'a> {
    fn of(kind: Kind, frame: Frame) -> Self {
        let facts = kind.facts();
        Self {
            frame,
            code: facts.code,
            status: facts.status.as_u16(),
            title: facts.title,
            retryable: facts.retryable,
            advice: facts.advice,
            detail: None,
            faults: &[],
        }
    }
}

/// The page for a problem that just happened; its headers stay the problem's.
pub fn problem_page(problem: &Problem) -> HttpResponse {
    let mut response = problem.error_response();
    let frame = Frame { troubles: Vec::new(), refresh: None, live: None };
    let page = ProblemPage {
        detail: Some(problem.detail()),
        faults: problem.faults(),
        ..ProblemPage::of(problem.kind(), frame)
    };
    let Ok(html) = page.render() else { return response };
    let (name, value) = (actix_web::http::header::CONTENT_TYPE, ContentType::html().to_string());
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
    response.set_body(actix_web::body::BoxBody::new(html))
}

/// `GET /problems/{code}`: what the `type` of a problem leads to.
pub async fn get(api: web::Data<Api>, code: web::Path<String>) -> Result<HttpResponse, Problem> {
    let kind =
        Kind::with_code(&code).ok_or_else(|| Problem::not_found("problem with this code"))?;
    render(HttpResponse::Ok(), &ProblemPage::of(kind, Frame::still(&api)))
}
