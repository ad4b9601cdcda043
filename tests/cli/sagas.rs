use super::program::{Ended, Going, answer_once, finish, run, skald};
use crate::ports::free_port;

const UNKNOWN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn saga(server: &Going, arguments: &[&str]) -> Ended {
    run(&[&["saga"], arguments, &["--url", &server.url]].concat())
}

/// A server with an order that was cancelled and one that was confirmed, and the ids of their sagas.
fn server_with_two_sagas() -> (Going, [String; 2]) {
    let server = Going::serve();
    let put = server.request("PUT", "/v1/inventory/products/lamp", "", r#"{"onHand":5}"#);
    assert_eq!(put.0, 200, "{}", put.1);
    let sagas = ["no-such-lamp", "lamp"]
        .map(|product| server.order(product)["sagaId"].as_str().unwrap().to_owned());
    (server, sagas)
}

#[test]
fn an_empty_list_is_an_empty_list() {
    let server = Going::serve();
    let json = saga(&server, &["list", "-o", "json"]);
    assert_eq!((json.code, json.out.as_str(), json.err.as_str()), (0, "[]\n", ""));
    let table = saga(&server, &["list"]);
    assert_eq!((table.code, table.out.as_str(), table.err.as_str()), (0, "", "no saga found\n"));
}

#[test]
fn sagas_are_listed_newest_first_and_can_be_searched() {
    let (server, [cancelled, confirmed]) = server_with_two_sagas();
    let ids = |arguments: &[&str]| -> Vec<String> {
        let ended = saga(&server, &[&["list", "-o", "json"], arguments].concat());
        assert_eq!(ended.code, 0, "{ended:?}");
        let list = ended.json();
        list.as_array().unwrap().iter().map(|s| s["sagaId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&[]), [confirmed.as_str(), cancelled.as_str()]);
    assert_eq!(ids(&["--all"]), [confirmed.as_str(), cancelled.as_str()]);
    assert_eq!(ids(&["--limit", "1"]), [confirmed.as_str()]);
    assert_eq!(ids(&["--status", "cancelled"]), [cancelled.as_str()]);
    assert_eq!(ids(&["--search", &confirmed]), [confirmed.as_str()]);
    assert_eq!(ids(&["--definition", "order"]).len(), 2);
    assert_eq!(ids(&["--definition", "order&q="]).len(), 0, "one name, not two parameters");

    let table = saga(&server, &["list", "--limit", "1"]);
    assert!(table.out.starts_with("SAGA "), "{}", table.out);
    assert!(table.out.contains(&confirmed) && table.out.contains("COMPLETED"), "{}", table.out);
    assert!(table.err.contains("there are more"), "{}", table.err);
}

#[test]
fn flags_may_come_in_any_order() {
    let (server, [cancelled, _]) = server_with_two_sagas();
    let url = server.url.as_str();
    let expected = run(&["saga", "get", &cancelled, "--url", url, "-o", "json", "--history"]);
    assert_eq!(expected.code, 0, "{expected:?}");
    let other = run(&["saga", "get", "--history", "-o=json", "--url", url, &cancelled]);
    assert_eq!(other.json(), expected.json());
}

#[test]
fn a_saga_is_shown_with_its_steps_and_its_history() {
    let (server, [cancelled, _]) = server_with_two_sagas();
    let shown = saga(&server, &["get", &cancelled, "-o", "json"]).json();
    assert_eq!(shown["status"], "CANCELLED");
    assert_eq!(shown["reason"]["code"], "UNKNOWN_PRODUCT");
    assert_eq!(shown.get("history"), None);
    assert!(shown["steps"].as_array().unwrap().len() >= 2);

    let shown = saga(&server, &["get", &cancelled, "-o", "json", "--history"]).json();
    let history = shown["history"].as_array().unwrap();
    assert_eq!(history[0]["type"], "SAGA_STARTED");
    assert_eq!(history.last().unwrap()["type"], "SAGA_CANCELLED");

    let table = saga(&server, &["get", &cancelled, "--history"]);
    assert_eq!(table.code, 0);
    for text in ["UNKNOWN_PRODUCT", "reserve-inventory", "SAGA_CANCELLED"] {
        assert!(table.out.contains(text), "{text} in {}", table.out);
    }
}

#[test]
fn a_saga_that_is_not_there_is_told_apart() {
    let server = Going::serve();
    for arguments in [&["get", UNKNOWN][..], &["retry", UNKNOWN, "--reason", "why not"]] {
        let ended = saga(&server, &[arguments, &["-o", "json"]].concat());
        assert_eq!((ended.code, ended.out.as_str()), (3, ""), "{ended:?}");
        assert!(ended.err.contains("error[NOT_FOUND]: there is no saga"), "{}", ended.err);
        assert!(ended.err.contains("next: list the sagas with: skald saga list"), "{}", ended.err);
    }
}

#[test]
fn what_is_not_stuck_cannot_be_retried() {
    let (server, [_, confirmed]) = server_with_two_sagas();
    let ended = saga(&server, &["retry", &confirmed, "--reason", "to be sure", "-o", "json"]);
    assert_eq!((ended.code, ended.out.as_str()), (5, ""), "{ended:?}");
    assert!(ended.err.contains("error[CONFLICT]: "), "{}", ended.err);
    assert!(ended.err.contains(&format!("next: look at it with: skald saga get {confirmed}")));
    let bad = saga(&server, &["retry", &confirmed, "--reason", ""]);
    assert_eq!(bad.code, 1, "{bad:?}");
    assert!(bad.err.contains("/reason: "), "{}", bad.err);
}

#[test]
fn a_retry_gives_the_reason_and_shows_the_saga() {
    for (status, hint) in [("200 OK", false), ("202 Accepted", true)] {
        let saga = format!(r#"{{"sagaId":"{UNKNOWN}","status":"RUNNING","steps":[]}}"#);
        let (url, asked) = answer_once(status, saga);
        let reason = "the mail server is \"back\"";
        let ended =
            run(&["saga", "retry", UNKNOWN, "--reason", reason, "-o", "json", "--url", &url]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(ended.json()["status"], "RUNNING");
        assert_eq!(ended.err.contains("the request is stored"), hint, "{}", ended.err);
        let request = asked.join().unwrap();
        assert!(
            request.starts_with(&format!("POST /v1/sagas/{UNKNOWN}/retry HTTP/1.1")),
            "{request}"
        );
        assert!(request.ends_with(r#"{"reason":"the mail server is \"back\""}"#), "{request}");
    }
}

#[test]
fn a_server_that_is_not_there_is_a_failure_with_advice() {
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let ended = run(&["saga", "list", "-o", "json", "--url", &nowhere]);
    assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{ended:?}");
    assert!(ended.err.contains("error[UNREACHABLE]: "), "{}", ended.err);
    assert!(ended.err.contains("next: start it with: skald serve"), "{}", ended.err);
}

#[test]
fn the_server_can_be_named_by_a_variable() {
    let (server, _) = server_with_two_sagas();
    let folder = tempfile::tempdir().unwrap();
    let mut command = skald(folder.path(), &["saga", "list", "-o", "json"]);
    command.env("SKALD_URL", &server.url);
    assert_eq!(finish(command).json().as_array().map(Vec::len), Some(2));
}
