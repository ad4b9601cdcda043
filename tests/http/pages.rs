//! The dashboard's pages.

use actix_web::http::Method;

use crate::client::{ORDER, Reply, Site};

/// Checks what every page must be.
#[track_caller]
fn is_page(reply: &Reply) -> &str {
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"), "{reply:?}");
    let html = reply.text();
    assert_eq!(html.matches("<h1").count(), 1, "one headline");
    assert!(html.contains("<html lang=\"en\">") && html.contains("<main"));
    // Its own script and no other.
    let own = "<script src=\"/assets/skald.js\" defer></script>";
    let html_without = html.replacen(own, "", 1);
    assert!(!html_without.contains("<script"), "a script in {html}");
    for forbidden in ["style=\"", "<style", "onclick", "javascript:", "//cdn"] {
        assert!(!html.contains(forbidden), "{forbidden} in {html}");
    }
    html
}

#[actix_web::test]
async fn the_list_counts_sagas_and_keeps_its_filter_in_the_links() {
    let site = Site::new();
    for _ in 0..3 {
        site.order().await;
    }
    let saga = site.order().await.order.saga;
    site.world.confirm(saga);
    let reply = site.get("/").await;
    let html = is_page(&reply);
    for (status, count) in [("RUNNING", 3), ("COMPLETED", 1), ("CANCELLED", 0)] {
        let tab = html.split("<a href=\"/?status=").find(|tab| tab.starts_with(status)).unwrap();
        assert!(tab.contains(&format!("<span class=\"count\">{count}</span>")), "{tab}");
    }
    let reply = site.get("/?status=RUNNING&definition=order&q=&limit=2").await;
    let html = is_page(&reply);
    assert_eq!(html.matches("<tr>").count(), 3, "a head and two sagas");
    assert!(html.contains("rel=\"next\""));
    assert!(html.contains("/?status=RUNNING&#38;definition=order&#38;limit=2&#38;cursor="));
    assert!(html.contains("<input type=\"hidden\" name=\"status\" value=\"RUNNING\">"));
    assert!(html.contains("<option selected>order</option>"));
    let found = site.get(&format!("/?q={saga}")).await;
    assert_eq!(is_page(&found).matches("<tr>").count(), 2);
    assert!(is_page(&site.get("/?q=nothing").await).contains("No saga fits"));
}

#[actix_web::test]
async fn a_saga_page_shows_steps_order_and_history() {
    let site = Site::new();
    let order = site.order().await.order;
    site.world.refuse(order.saga, "reserve-inventory", "INSUFFICIENT_STOCK");
    let reply = site.get(&format!("/sagas/{}", order.saga)).await;
    let html = is_page(&reply);
    let shown = [
        "Rolling back",
        "reserve-inventory",
        "point of no return",
        "inventory.release",
        "After a rollback",
        "Rollback started: INSUFFICIENT_STOCK",
        "Asked to do send-cancellation",
        "19.98 USD",
        "ada@example.org",
        &format!("href=\"/v1/orders/{}\"", order.id),
    ];
    for text in shown {
        assert!(html.contains(text), "{text} in {html}");
    }
    assert!(!html.contains("<form class=\"retry\""), "nothing is stuck");
}

#[actix_web::test]
async fn a_compensation_is_shown_as_a_lane_of_its_own() {
    let site = Site::new();
    let order = site.order().await.order;
    let page = format!("/sagas/{}", order.saga);
    assert!(!is_page(&site.get(&page).await).contains("Compensation"));
    site.post(&format!("/v1/orders/{}/cancel", order.id), &[], "").await;
    let html = site.get(&page).await;
    let html = is_page(&html);
    assert!(html.contains("Compensation") && html.contains("being undone"), "{html}");

    let saga = site.order().await.order.saga;
    site.world.confirm(saga);
    let completed = site.get(&format!("/sagas/{saga}")).await;
    assert!(!is_page(&completed).contains("Compensation"), "nothing of it was undone");
}

#[actix_web::test]
async fn a_long_history_is_shown_from_its_end_and_paged() {
    let site = Site::new();
    let saga = site.order().await.order.saga;
    site.world.succeed(saga, "reserve-inventory");
    for _ in 0..30 {
        site.world.exhaust(saga, "send-confirmation");
        site.world.retry(saga);
    }
    let version = site.world.lock().sagas[&saga].saga.state.version;
    assert!(version > 100, "{version}");
    let reply = site.get(&format!("/sagas/{saga}")).await;
    let row = |sequence: u64| format!("<td class=\"number\">{sequence}</td>");
    assert!(reply.text().contains(&row(version)) && reply.text().contains(&row(version - 49)));
    assert!(!reply.text().contains(&row(version - 50)) && !reply.text().contains("Newer events"));
    let older = format!("/sagas/{saga}?cursor={}", version - 100);
    assert!(reply.text().contains(&format!("{older}#history")), "{reply:?}");
    let reply = site.get(&older).await;
    assert!(reply.text().contains(&row(version - 50)) && reply.text().contains("Newer events"));
}

#[actix_web::test]
async fn hostile_text_stays_text() {
    let site = Site::new();
    let evil = r#"<script>alert(1)</script>"#;
    let body = ORDER.replace("\"ada\"", &format!("\"{evil}\"")).replace("tea", "<img src=x>");
    assert_eq!(site.post("/v1/orders", &[], &body).await.status, 202);
    let order = site.world.lock().submissions[0].order.clone();
    let cancel = format!("/v1/orders/{}/cancel", order.id);
    let reason = format!("{{\"reason\":\"{evil}\\\"'><svg onload=x>\"}}");
    assert_eq!(site.post(&cancel, &[], &reason).await.status, 200);
    let reply = site.get(&format!("/sagas/{}", order.saga)).await;
    let html = is_page(&reply);
    assert!(html.contains("&#60;script&#62;") && !html.contains("<svg onload"), "{html}");
    assert!(!html.contains("<img src=x"));
    let reply = site.get("/?q=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E").await;
    assert!(is_page(&reply).contains("value=\"&#34;&#62;&#60;script"), "{reply:?}");
}

#[actix_web::test]
async fn browsers_get_problems_as_pages_and_programs_as_json() {
    let site = Site::new();
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let unknown = "/sagas/0190b5a2-0000-7000-8000-000000000000";
    for (path, status) in [(unknown, 404), ("/?status=odd", 400), ("/nowhere%3Cb%3E", 404)] {
        let reply = site.send(Method::GET, path, &browser, "").await;
        assert_eq!(reply.status.as_u16(), status);
        assert!(is_page(&reply).contains("<div><dt>Code</dt>"), "{reply:?}");
        let json = site.get(path).await;
        assert_eq!(json.header("content-type"), Some("application/problem+json"));
    }
    let odd = site.send(Method::GET, "/?status=odd", &browser, "").await;
    assert!(is_page(&odd).contains("<code>status</code> must be one of "), "{odd:?}");
    let reply = site.send(Method::GET, "/v1/orders/x", &browser, "").await;
    reply.problem(400, "BAD_PARAMETER");
}

#[actix_web::test]
async fn the_type_of_a_problem_leads_to_its_explanation() {
    let site = Site::new();
    let problem = site.get("/v1/orders/x").await.json();
    let reply = site.get(problem["type"].as_str().unwrap()).await;
    assert_eq!(reply.status, 200);
    assert!(is_page(&reply).contains("BAD_PARAMETER"));
    site.get("/problems/NOTHING").await.problem(404, "NOT_FOUND");
}

#[actix_web::test]
async fn a_page_reloads_itself_only_if_asked_to() {
    let site = Site::new();
    assert!(!site.get("/").await.text().contains("http-equiv=\"refresh\""));
    let on = site.get("/?refresh=5&status=RUNNING").await;
    assert!(on.text().contains("<meta http-equiv=\"refresh\" content=\"5\">"));
    assert!(on.text().contains("<a class=\"toggle\" id=\"reload\" href=\"/?status=RUNNING\">"));
    let reply = site.get("/?refresh=0").await;
    reply.fault(400, "BAD_PARAMETER", ("parameter", "refresh"));
}

#[actix_web::test]
async fn troubles_are_shown_on_every_page() {
    let site = Site::new();
    *site.world.troubles.lock().unwrap() = vec!["the journal is full".to_owned()];
    assert!(site.get("/").await.text().contains("Not ready.</strong> the journal is full"));
}

#[actix_web::test]
async fn assets_come_from_the_binary_and_are_checked_for_changes() {
    let site = Site::new();
    for (path, kind) in [
        ("/assets/skald.css", "text/css"),
        ("/assets/skald.js", "text/javascript"),
        ("/assets/skald.svg", "image/svg"),
    ] {
        let reply = site.get(path).await;
        assert!(reply.header("content-type").unwrap().starts_with(kind));
        let known = [("if-none-match", reply.header("etag").unwrap())];
        let again = site.send(Method::GET, path, &known, "").await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    }
}
