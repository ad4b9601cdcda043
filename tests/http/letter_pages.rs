//! The pages of dead letters, and their forms.

use actix_web::http::Method;
use skald::ports::letters::{Action, LetterState, Outcome};

use crate::client::{Reply, Site};
use crate::dead_letters::{id, letter, saga, state, with_letters};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A page with the forms, as a browser has loaded it.
struct Loaded {
    cookie: String,
    token: String,
    /// Those of sending it again and of letting it be.
    keys: Vec<String>,
}

async fn load(site: &Site, n: u128) -> Loaded {
    let reply = site.get(&format!("/dead-letters/{}", id(n))).await;
    let set = reply.header("set-cookie").expect("the forms come with a cookie");
    let fields = |name: &str| {
        let start = format!("name=\"{name}\" value=\"");
        let fields = reply.text().split(&start).skip(1);
        fields.map(|field| field.split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let cookie = set.split(';').next().unwrap().to_owned();
    Loaded { cookie, token: fields("token").remove(0), keys: fields("key") }
}

async fn post(site: &Site, n: u128, action: &str, cookie: &str, body: String) -> Reply {
    let origin = format!("http://{}", site.address);
    let headers = [FORM, ("cookie", cookie), ("origin", &origin), ("accept", "text/html")];
    site.send(Method::POST, &format!("/dead-letters/{}/{action}", id(n)), &headers, body).await
}

impl Loaded {
    fn requeue(&self, reason: &str) -> String {
        format!("token={}&key={}&reason={reason}", self.token, self.keys[0])
    }

    fn discard(&self, reason: &str) -> String {
        format!("token={}&key={}&reason={reason}", self.token, self.keys[1])
    }
}

#[actix_web::test]
async fn open_letters_are_listed_first_and_each_leads_to_its_message_and_its_saga() {
    let mut discarded = letter(1);
    discarded.summary.state = LetterState::Discarded;
    discarded.summary.reason = "<b>old</b>".to_owned();
    let site = with_letters([discarded, letter(2), letter(3)]);
    let open = site.get("/dead-letters").await;
    let html = open.text();
    assert_eq!(html.matches("<tr>").count(), 3, "a head and two letters: {html}");
    for n in [2, 3] {
        assert!(html.contains(&format!("href=\"/dead-letters/{}\"", id(n))), "{html}");
        assert!(html.contains(&format!("href=\"/sagas/{}\"", saga(n))), "{html}");
    }
    let all = site.get("/dead-letters?state=ALL&limit=2").await;
    assert_eq!(all.text().matches("<tr>").count(), 3, "a head and two letters");
    assert!(all.text().contains("rel=\"next\""));
    let one = site.get(&format!("/dead-letters?state=ALL&saga={}", saga(1))).await;
    assert!(one.text().contains("&#60;b&#62;old&#60;/b&#62;"), "{one:?}");

    let page = site.get(&format!("/dead-letters/{}", id(2))).await;
    for shown in ["rejected: no", "inventory.commands", "&#34;price&#34;: 199.9", "messageId"] {
        assert!(page.text().contains(shown), "{shown}: {page:?}");
    }
    assert_eq!(site.get(&format!("/dead-letters/{}", id(9))).await.status, 404);
}

#[actix_web::test]
async fn the_forms_send_a_letter_again_or_let_it_be_and_the_page_says_so() {
    let site = with_letters([letter(1), letter(2)]);
    *site.world.bus_says.lock().unwrap() = Some(Outcome::Done);
    let loaded = load(&site, 1).await;
    for _ in 0..2 {
        let body = loaded.requeue("the+disk+has+%3Cb%3Eroom");
        let reply = post(&site, 1, "requeue", &loaded.cookie, body).await;
        assert_eq!(reply.status, 303, "{reply:?}");
        let page = site.get(reply.header("location").unwrap()).await;
        assert!(page.text().contains("Requeued by dashboard"), "{page:?}");
        assert!(page.text().contains("the disk has &#60;b&#62;room"), "{page:?}");
        assert!(!page.text().contains("<form class=\"retry\""), "nothing is left to decide");
    }
    assert_eq!(state(&site, 1), LetterState::Requeued);
    let loaded = load(&site, 2).await;
    let reply = post(&site, 2, "discard", &loaded.cookie, loaded.discard("a+test")).await;
    assert_eq!(reply.status, 303, "{reply:?}");
    assert_eq!(state(&site, 2), LetterState::Discarded);
    let taken = &site.world.lock().letters.taken;
    let actions: Vec<Action> = taken.iter().map(|(wish, _)| wish.action).collect();
    assert_eq!(actions, [Action::Requeue, Action::Discard], "twice is once");
}

#[actix_web::test]
async fn a_letter_that_no_queue_takes_stays_open_and_the_page_says_why() {
    let site = with_letters([letter(1)]);
    *site.world.bus_says.lock().unwrap() = Some(Outcome::Unroutable);
    let loaded = load(&site, 1).await;
    let reply = post(&site, 1, "requeue", &loaded.cookie, loaded.requeue("x")).await;
    assert_eq!(reply.status, 409, "{reply:?}");
    assert!(reply.text().contains("no queue takes inventory.reserve"), "{reply:?}");
    assert_eq!(state(&site, 1), LetterState::Open);
}

#[actix_web::test]
async fn a_form_without_the_browsers_token_or_a_reason_changes_nothing() {
    let site = with_letters([letter(1)]);
    let loaded = load(&site, 1).await;
    let other = load(&site, 1).await;
    assert_ne!(loaded.token, other.token);
    for action in ["requeue", "discard"] {
        let wrong = loaded.requeue("x").replace(&loaded.token, &other.token);
        let reply = post(&site, 1, action, &loaded.cookie, wrong).await;
        assert_eq!(reply.status, 403, "{reply:?}");
        let empty = post(&site, 1, action, &loaded.cookie, loaded.requeue("+")).await;
        assert_eq!(empty.status, 422, "{empty:?}");
        assert!(empty.text().contains("role=\"alert\""), "{empty:?}");
    }
    assert_eq!(state(&site, 1), LetterState::Open);
    assert!(site.world.lock().letters.taken.is_empty());
}
