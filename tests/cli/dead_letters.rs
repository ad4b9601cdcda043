use super::program::{Ended, Going, answer_once, run};

const LETTER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn letters(url: &str, arguments: &[&str]) -> Ended {
    run(&[&["dead-letters"], arguments, &["--url", url]].concat())
}

fn letter(state: &str) -> String {
    format!(
        r#"{{"letterId":"{LETTER}","state":"{state}","queue":"inventory.commands","decisions":[],"body":{{"a":1}}}}"#
    )
}

#[test]
fn an_empty_list_is_an_empty_list() {
    let server = Going::serve();
    let json = letters(&server.url, &["list", "-o", "json"]);
    assert_eq!((json.code, json.out.as_str(), json.err.as_str()), (0, "[]\n", ""));
    let table = letters(&server.url, &["list"]);
    let nothing = (0, "", "no dead letter found\n");
    assert_eq!((table.code, table.out.as_str(), table.err.as_str()), nothing);
}

#[test]
fn a_letter_that_is_not_there_is_told_apart() {
    let server = Going::serve();
    for arguments in [
        &["show", LETTER][..],
        &["requeue", LETTER, "--reason", "repaired"],
        &["discard", LETTER, "--reason", "a test"],
    ] {
        let ended = letters(&server.url, arguments);
        assert_eq!((ended.code, ended.out.as_str()), (3, ""), "{ended:?}");
        assert!(ended.err.contains("error[NOT_FOUND]: there is no dead letter"), "{}", ended.err);
        assert!(ended.err.contains("next: list the dead letters with: skald dead-letters list"));
    }
    let bad = letters(&server.url, &["requeue", LETTER, "--reason", ""]);
    assert_eq!(bad.code, 1, "{bad:?}");
    assert!(bad.err.contains("/reason: "), "{}", bad.err);
}

#[test]
fn open_letters_are_asked_for_unless_others_are_named() {
    let listed = |arguments: &[&str]| {
        let page = format!(r#"{{"deadLetters":[{}],"nextCursor":null}}"#, letter("OPEN"));
        let (url, asked) = answer_once("200 OK", page);
        let ended = letters(&url, &[&["list"], arguments].concat());
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.out.contains(LETTER) && ended.out.contains("inventory.commands"));
        asked.join().unwrap().lines().next().unwrap().to_owned()
    };
    let path = |parameters: &str| {
        format!("GET /v1/dead-letters?limit=50&cursor=&state={parameters} HTTP/1.1")
    };
    assert_eq!(listed(&[]), path("OPEN"));
    let arguments = ["--state", "all", "--queue", "a&b", "--saga", LETTER];
    assert_eq!(listed(&arguments), path(&format!("ALL&queue=a%26b&saga={LETTER}")));
}

#[test]
fn a_decision_gives_the_reason_and_shows_the_letter() {
    let path = format!("/v1/dead-letters/{LETTER}");
    for (action, status, request, state) in [
        ("requeue", "200 OK", format!("POST {path}/requeue"), "REQUEUED"),
        ("requeue", "202 Accepted", format!("POST {path}/requeue"), "REQUEUED"),
        ("discard", "200 OK", format!("DELETE {path}"), "DISCARDED"),
    ] {
        let (url, asked) = answer_once(status, letter(state));
        let ended = letters(&url, &[action, LETTER, "--reason", "as agreed", "-o", "json"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(ended.json()["state"], state);
        assert_eq!(ended.err.contains("the request is stored"), status.starts_with("202"));
        let sent = asked.join().unwrap();
        assert!(sent.starts_with(&format!("{request} HTTP/1.1\r\n")), "{sent}");
        assert!(sent.ends_with(r#"{"reason":"as agreed"}"#), "{sent}");
    }
}
