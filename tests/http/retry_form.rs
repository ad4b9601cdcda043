//! The form that has a saga tried again.

use std::sync::atomic::Ordering;

use actix_web::http::Method;
use skald::ports::door::Request;
use skald::saga::id::SagaId;

use crate::client::{Reply, Site};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A page with the form, as a browser has loaded it.
struct Loaded {
    cookie: String,
    token: String,
    key: String,
}

async fn stuck(site: &Site) -> SagaId {
    let saga = site.order().await.order.saga;
    site.world.succeed(saga, "reserve-inventory");
    site.world.exhaust(saga, "send-confirmation");
    saga
}

async fn load(site: &Site, saga: SagaId) -> Loaded {
    let reply = site.get(&format!("/sagas/{saga}")).await;
    let set = reply.header("set-cookie").expect("the form comes with a cookie");
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    let field = |name: &str| {
        let start = format!("name=\"{name}\" value=\"");
        reply.text().split(&start).nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let cookie = set.split(';').next().unwrap().to_owned();
    Loaded { cookie, token: field("token"), key: field("key") }
}

async fn post(site: &Site, saga: SagaId, cookie: &str, body: String) -> Reply {
    let origin = format!("http://{}", site.address);
    let headers = [FORM, ("cookie", cookie), ("origin", &origin), ("accept", "text/html")];
    site.send(Method::POST, &format!("/sagas/{saga}/retry"), &headers, body).await
}

fn body(loaded: &Loaded, reason: &str) -> String {
    format!("token={}&key={}&reason={reason}", loaded.token, loaded.key)
}

#[actix_web::test]
async fn a_stuck_saga_tells_its_cause_and_what_trying_again_does() {
    let site = Site::new();
    let saga = stuck(&site).await;
    let html = site.get(&format!("/sagas/{saga}")).await;
    assert!(html.text().contains("It was asked 5 times without success"), "{html:?}");
    assert!(
        html.text().contains("It asks for send-confirmation again at once, under the same key")
    );

    let refused = site.order().await.order;
    site.post(&format!("/v1/orders/{}/cancel", refused.id), &[], "").await;
    site.world.refuse(refused.saga, "reserve-inventory", "INSUFFICIENT_STOCK");
    let html = site.get(&format!("/sagas/{}", refused.saga)).await;
    assert!(html.text().contains("The worker refused with INSUFFICIENT_STOCK"), "{html:?}");
    assert!(html.text().contains("asks again to undo reserve-inventory at once, under a new key"));
}

#[actix_web::test]
async fn the_form_has_it_tried_again_and_says_so() {
    let site = Site::new();
    let saga = stuck(&site).await;
    let loaded = load(&site, saga).await;
    let reply = post(&site, saga, &loaded.cookie, body(&loaded, "mail+is+back+%3Cb%3E")).await;
    assert_eq!(reply.status, 303, "{reply:?}");
    let location = reply.header("location").unwrap().to_owned();
    let page = site.get(&location).await;
    assert!(page.text().contains("<strong>Tried again.</strong>"), "{page:?}");
    assert!(page.text().contains("Tried again by dashboard: mail is back &#60;b&#62;"));
    let again = post(&site, saga, &loaded.cookie, body(&loaded, "mail+is+back+%3Cb%3E")).await;
    assert_eq!(again.header("location"), reply.header("location"), "twice is once");
    assert_eq!(site.world.lock().inputs.len(), 1);
}

#[actix_web::test]
async fn a_retry_that_is_not_done_is_not_called_done() {
    let site = Site::new();
    let saga = stuck(&site).await;
    let loaded = load(&site, saga).await;
    site.world.succeed(saga, "send-confirmation");
    let reply = post(&site, saga, &loaded.cookie, body(&loaded, "x")).await;
    let page = site.get(reply.header("location").unwrap()).await;
    assert!(page.text().contains("<strong>Not done.</strong>"), "{page:?}");
    assert!(page.text().contains("does not need attention"));
}

#[actix_web::test]
async fn a_retry_that_is_not_decided_is_not_called_done() {
    let site = Site::new();
    let saga = stuck(&site).await;
    site.world.owner_is_away.store(true, Ordering::Relaxed);
    let loaded = load(&site, saga).await;
    let reply = post(&site, saga, &loaded.cookie, body(&loaded, "x")).await;
    let location = reply.header("location").unwrap().to_owned();
    assert!(site.get(&location).await.text().contains("<strong>Not decided yet.</strong>"));
    site.world.decide_inputs(saga);
    assert!(site.get(&location).await.text().contains("<strong>Tried again.</strong>"));
}

#[actix_web::test]
async fn a_form_without_the_browsers_token_changes_nothing() {
    let site = Site::new();
    let saga = stuck(&site).await;
    let loaded = load(&site, saga).await;
    let other = load(&site, saga).await;
    assert_ne!(loaded.token, other.token);
    let right = body(&loaded, "x");
    let wrong = right.replace(&loaded.token, &other.token);
    let empty = right.replace(&loaded.token, "");
    let cases = [
        ("", &right),
        ("skald-csrf=", &empty),
        (&*loaded.cookie, &wrong),
        (&*loaded.cookie, &empty),
        (&*other.cookie, &right),
    ];
    for (cookie, body) in cases {
        let reply = post(&site, saga, cookie, body.clone()).await;
        assert_eq!(reply.status, 403, "{cookie} {body}: {reply:?}");
        assert!(reply.text().contains("FORM_EXPIRED"), "{reply:?}");
    }
    assert!(site.world.lock().inputs.is_empty());
    let padded = format!("a=b; {}; c=d", loaded.cookie);
    assert_eq!(post(&site, saga, &padded, right).await.status, 303);
}

#[actix_web::test]
async fn a_form_from_elsewhere_changes_nothing() {
    let site = Site::new();
    let saga = stuck(&site).await;
    let loaded = load(&site, saga).await;
    let path = format!("/sagas/{saga}/retry");
    for foreign in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let headers = [FORM, ("cookie", &loaded.cookie), foreign];
        let reply = site.send(Method::POST, &path, &headers, body(&loaded, "x")).await;
        reply.problem(403, "CROSS_SITE");
    }
    let headers = [("content-type", "text/plain"), ("cookie", &loaded.cookie)];
    let reply = site.send(Method::POST, &path, &headers, body(&loaded, "x")).await;
    reply.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    let headers = [FORM, ("cookie", &loaded.cookie)];
    let reply = site.send(Method::POST, &path, &headers, "token=1&nonsense").await;
    reply.problem(400, "MALFORMED_BODY");
    assert!(site.world.lock().inputs.is_empty());
}

#[actix_web::test]
async fn a_browser_keeps_its_token_over_many_pages() {
    let site = Site::new();
    let saga = stuck(&site).await;
    let loaded = load(&site, saga).await;
    let headers = [("cookie", &*loaded.cookie)];
    let again = site.send(Method::GET, &format!("/sagas/{saga}"), &headers, "").await;
    assert_eq!(again.header("set-cookie"), None);
    assert!(again.text().contains(&format!("name=\"token\" value=\"{}\"", loaded.token)));
    let odd = [("cookie", "skald-csrf=\"><script>")];
    let odd = site.send(Method::GET, &format!("/sagas/{saga}"), &odd, "").await;
    assert!(odd.header("set-cookie").is_some() && !odd.text().contains("<script>"));
}

#[actix_web::test]
async fn an_empty_reason_is_asked_for_on_the_same_page() {
    let site = Site::new();
    let saga = stuck(&site).await;
    let loaded = load(&site, saga).await;
    let reply = post(&site, saga, &loaded.cookie, body(&loaded, "+%3Ci%3E%0A")).await;
    assert_eq!(reply.status, 422, "{reply:?}");
    assert!(reply.text().contains("aria-invalid=\"true\""));
    assert!(reply.text().contains("The reason must be 1 to 500 characters"));
    assert!(reply.text().contains("value=\" &#60;i&#62;"), "what was written is kept");
    assert!(site.world.lock().inputs.is_empty());
    let reply = post(&site, saga, &loaded.cookie, body(&loaded, "now+with+a+reason")).await;
    assert_eq!(reply.status, 303);
    let wanted = matches!(&site.world.lock().inputs[0].0.request,
        Request::Retry { by, note } if by == "dashboard" && note == "now with a reason");
    assert!(wanted);
}
