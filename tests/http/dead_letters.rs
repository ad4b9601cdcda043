//! Looking at dead letters, sending them again, letting them be.

use std::sync::atomic::Ordering;

use actix_web::http::Method;
use serde_json::json;
use skald::ports::letters::{Action, Letter, LetterId, LetterState, LetterSummary, Outcome};
use skald::saga::id::SagaId;
use uuid::Uuid;

use crate::client::{Reply, Site};

const LETTERS: &str = "/v1/dead-letters";
const REPAIRED: &str = r#"{"reason":"repaired"}"#;

pub fn id(n: u128) -> LetterId {
    Uuid::from_u128(0x019b_0000_0000_7000_8000_0000_0000_0000 | (n << 64))
}

pub fn saga(n: u128) -> SagaId {
    SagaId(Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_0000 | (n << 64)))
}

/// The n-th letter, a command that the inventory worker rejected.
pub fn letter(n: u128) -> Letter {
    let message_id = format!("{}:2", saga(n));
    Letter {
        headers: json!({"messageId": message_id, "type": "inventory.reserve"}).to_string(),
        body: br#"{"price": 199.90}"#.to_vec(),
        decisions: Vec::new(),
        summary: LetterSummary {
            id: id(n),
            message_id,
            queue: "inventory.commands".into(),
            routing_key: "inventory.reserve".into(),
            reason: "rejected: no".into(),
            saga: Some(saga(n)),
            state: LetterState::Open,
            at: skald::saga::id::Timestamp(1_790_000_000_000_000),
        },
    }
}

pub fn with_letters(letters: impl IntoIterator<Item = Letter>) -> Site {
    let site = Site::new();
    let letters = letters.into_iter().map(|letter| (letter.summary.id, letter));
    site.world.lock().letters.letters.extend(letters);
    site
}

async fn requeue(site: &Site, n: u128, headers: &[(&str, &str)], body: &str) -> Reply {
    site.post(&format!("{LETTERS}/{}/requeue", id(n)), headers, body).await
}

async fn discard(site: &Site, n: u128, headers: &[(&str, &str)], body: &str) -> Reply {
    let json = [("content-type", "application/json")];
    let headers: Vec<_> = json.iter().chain(headers).copied().collect();
    site.send(Method::DELETE, &format!("{LETTERS}/{}", id(n)), &headers, body.to_owned()).await
}

pub fn state(site: &Site, n: u128) -> LetterState {
    site.world.lock().letters.letters[&id(n)].summary.state
}

#[actix_web::test]
async fn a_letter_is_shown_with_its_message_and_its_saga() {
    let site = with_letters([letter(1)]);
    let reply = site.get(&format!("{LETTERS}/{}", id(1))).await;
    let shown = reply.json();
    assert_eq!(shown["letterId"], id(1).to_string());
    assert_eq!((&shown["state"], &shown["queue"]), (&"OPEN".into(), &"inventory.commands".into()));
    assert_eq!(shown["headers"]["messageId"], format!("{}:2", saga(1)));
    assert_eq!(shown["sagaUrl"], format!("/v1/sagas/{}", saga(1)));
    assert_eq!(shown["diedAt"], "2026-09-21T14:13:20.000000Z");
    assert_eq!((&shown["bodyBytes"], &shown["decisions"]), (&17.into(), &json!([])));
    assert!(reply.text().contains(r#""body":{"price": 199.90}"#), "as it came: {reply:?}");

    let mut stray = letter(2);
    stray.summary.saga = None;
    stray.body = b"\xff".to_vec();
    let site = with_letters([stray]);
    let shown = site.get(&format!("{LETTERS}/{}", id(2))).await.json();
    assert_eq!(shown["bodyBase64"], "/w==");
    for absent in ["body", "sagaId", "sagaUrl"] {
        assert_eq!(shown.get(absent), None, "{shown}");
    }
}

#[actix_web::test]
async fn open_letters_are_listed_unless_others_are_asked_for() {
    let mut other = letter(4);
    other.summary.queue = "notification.commands".into();
    let site = with_letters([letter(1), letter(2), letter(3), other]);
    discard(&site, 1, &[], REPAIRED).await;
    requeue(&site, 2, &[], REPAIRED).await;
    let found = async |query: &str| {
        let page = site.get(&format!("{LETTERS}?{query}")).await.json();
        let letters = page["deadLetters"].as_array().unwrap().clone();
        assert!(letters.iter().all(|letter| letter.get("body").is_none()));
        letters.iter().map(|it| it["letterId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let ids = |numbers: &[u128]| numbers.iter().map(|n| id(*n).to_string()).collect::<Vec<_>>();
    assert_eq!(found("").await, ids(&[4, 3]));
    assert_eq!(found("state=OPEN&queue=inventory.commands").await, ids(&[3]));
    assert_eq!(found("state=REQUEUED").await, ids(&[2]));
    assert_eq!(found("state=ALL").await, ids(&[4, 3, 2, 1]));
    assert_eq!(found(&format!("state=ALL&saga={}", saga(1))).await, ids(&[1]));
    let page = site.get(&format!("{LETTERS}?state=ALL&limit=3")).await;
    assert_eq!(page.json()["nextCursor"], id(2).to_string());
    let link = format!("<{LETTERS}?state=ALL&limit=3&cursor={}>; rel=\"next\"", id(2));
    assert_eq!(page.header("link"), Some(&*link));
    assert_eq!(found(&format!("state=ALL&limit=3&cursor={}", id(2))).await, ids(&[1]));
    for (query, name) in [("state=open", "state"), ("saga=7", "saga"), ("status=OPEN", "status")] {
        let reply = site.get(&format!("{LETTERS}?{query}")).await;
        reply.fault(400, "BAD_PARAMETER", ("parameter", name));
    }
}

#[actix_web::test]
async fn what_is_not_there_is_not_found() {
    let site = with_letters([]);
    site.get(&format!("{LETTERS}/{}", id(1))).await.problem(404, "NOT_FOUND");
    requeue(&site, 1, &[], REPAIRED).await.problem(404, "NOT_FOUND");
    discard(&site, 1, &[], REPAIRED).await.problem(404, "NOT_FOUND");
    let bad = site.get(&format!("{LETTERS}/7")).await;
    bad.fault(400, "BAD_PARAMETER", ("parameter", "id"));
}

#[actix_web::test]
async fn a_requeued_letter_is_sent_and_says_who_decided_and_why() {
    let site = with_letters([letter(1)]);
    let reply = requeue(&site, 1, &[], REPAIRED).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("location"), Some(&*format!("{LETTERS}/{}", id(1))));
    let shown = reply.json();
    assert_eq!(shown["state"], "REQUEUED");
    let decision = json!({"action": "REQUEUE", "by": "operator", "reason": "repaired",
        "at": "2026-09-21T14:13:20.000000Z", "outcome": "DONE"});
    assert_eq!(shown["decisions"], json!([decision]));
}

#[actix_web::test]
async fn a_letter_that_was_requeued_is_not_requeued_twice() {
    let site = with_letters([letter(1)]);
    for key in ["a", "b", "a"] {
        let reply = requeue(&site, 1, &[("idempotency-key", key)], REPAIRED).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    assert_eq!(requeue(&site, 1, &[], REPAIRED).await.status, 200);
    assert_eq!(site.world.lock().letters.taken.len(), 1);
    let key = [("idempotency-key", "a")];
    requeue(&site, 1, &key, r#"{"reason":"other"}"#).await.problem(422, "KEY_REUSED");
    discard(&site, 1, &[], REPAIRED).await.problem(409, "CONFLICT");
    assert_eq!(state(&site, 1), LetterState::Requeued);
}

#[actix_web::test]
async fn a_letter_that_was_discarded_is_gone_from_the_list_and_not_requeued() {
    let site = with_letters([letter(1)]);
    for _ in 0..2 {
        let reply = discard(&site, 1, &[], REPAIRED).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["state"]), (200, &"DISCARDED".into()));
    }
    requeue(&site, 1, &[], REPAIRED).await.problem(409, "CONFLICT");
    let taken: Vec<_> =
        site.world.lock().letters.taken.iter().map(|(wish, _)| wish.action).collect();
    assert_eq!(taken, [Action::Discard]);
}

#[actix_web::test]
async fn what_finds_no_room_is_told_and_stays_open() {
    let site = with_letters([letter(1)]);
    let key = [("idempotency-key", "a")];
    *site.world.bus_says.lock().unwrap() = Some(Outcome::Unroutable);
    let problem = requeue(&site, 1, &key, REPAIRED).await.problem(409, "CONFLICT");
    assert!(problem["detail"].as_str().unwrap().contains("no queue takes inventory.reserve"));
    *site.world.bus_says.lock().unwrap() = Some(Outcome::QueueFull);
    let reply = requeue(&site, 1, &key, REPAIRED).await;
    let problem = reply.problem(503, "OVERLOADED");
    assert_eq!((&problem["retryable"], reply.header("retry-after")), (&true.into(), Some("5")));
    assert_eq!(state(&site, 1), LetterState::Open);
    *site.world.bus_says.lock().unwrap() = Some(Outcome::Done);
    assert_eq!(requeue(&site, 1, &key, REPAIRED).await.status, 200, "the very same request");
}

#[actix_web::test]
async fn a_message_of_which_nothing_is_heard_is_on_its_way() {
    let site = with_letters([letter(1)]);
    *site.world.bus_says.lock().unwrap() = None;
    let reply = requeue(&site, 1, &[], REPAIRED).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    assert_eq!(reply.header("location"), Some(&*format!("{LETTERS}/{}", id(1))));
    assert_eq!(reply.json()["decisions"][0]["outcome"], "PENDING");
    *site.world.bus_says.lock().unwrap() = Some(Outcome::Done);
    assert_eq!(requeue(&site, 1, &[], REPAIRED).await.status, 200);
    assert_eq!(site.world.lock().letters.taken.len(), 1);
}

#[actix_web::test]
async fn what_skald_can_not_send_is_refused_before_anything_is_stored() {
    let mut stray = letter(1);
    stray.summary.queue = "shop.events".into();
    stray.summary.routing_key = "order.created".into();
    let site = with_letters([stray]);
    let problem = requeue(&site, 1, &[], REPAIRED).await.problem(409, "CONFLICT");
    assert!(problem["detail"].as_str().unwrap().contains("neither a command nor a reply"));
    assert!(site.world.lock().letters.taken.is_empty());
    assert_eq!(discard(&site, 1, &[], REPAIRED).await.status, 200);
}

#[actix_web::test]
async fn a_decision_needs_a_reason() {
    let site = with_letters([letter(1)]);
    for body in ["{}", r#"{"reason":" "}"#, r#"{"reason":"a\nb"}"#] {
        let asked = [requeue(&site, 1, &[], body).await, discard(&site, 1, &[], body).await];
        for reply in asked {
            reply.fault(422, "INVALID_FIELDS", ("pointer", "/reason"));
        }
    }
    discard(&site, 1, &[], "").await.problem(400, "MALFORMED_BODY");
    assert!(site.world.lock().letters.taken.is_empty());
}

#[actix_web::test]
async fn a_store_that_is_away_is_told() {
    let site = with_letters([letter(1)]);
    site.world.store_is_down.store(true, Ordering::Relaxed);
    site.get(LETTERS).await.problem(503, "STORE_UNAVAILABLE");
    requeue(&site, 1, &[], REPAIRED).await.problem(503, "STORE_UNAVAILABLE");
}
