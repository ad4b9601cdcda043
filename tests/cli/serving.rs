use serde_json::Value;

use super::program::{Going, finish, run_in, skald};

#[test]
fn serving_says_where_and_stops_in_good_order() {
    let mut server = Going::serve();
    server.line_with("API ");
    server.line_with("Data ");
    assert_eq!(server.request("GET", "/livez", "", "").0, 200);
    assert_eq!(server.request("GET", "/v1/stats", "", "").0, 200);
    assert_eq!(server.request("GET", "/", "", "").0, 200);
    assert_eq!(server.stop(), (Some(0), String::new()));
}

#[test]
fn an_address_that_is_taken_is_a_failure_with_advice() {
    let first = Going::serve();
    let folder = tempfile::tempdir().unwrap();
    let address = first.url.strip_prefix("http://").unwrap();
    let second = run_in(folder.path(), &["serve", "--listen", address]);
    assert_eq!((second.code, second.out.as_str()), (1, ""), "{second:?}");
    assert!(second.err.contains("error[ADDRESS_IN_USE]: "), "{}", second.err);
    assert!(second.err.contains("--listen"), "{}", second.err);
    assert!(!folder.path().join("data").exists(), "nothing was begun");
}

#[test]
fn stores_in_use_are_not_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let _server = Going::start(skald(folder.path(), &["serve", "--listen", "127.0.0.1:0"]));
    let migrating = run_in(folder.path(), &["migrate"]);
    assert_eq!((migrating.code, migrating.out.as_str()), (1, ""), "{migrating:?}");
    assert!(migrating.err.contains("another Skald uses the data folder"), "{}", migrating.err);
}

#[test]
fn a_log_for_programs_is_one_object_a_line_from_the_first_to_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
    let mut server = Going::start(skald(
        folder.path(),
        &[&arguments[..], &["--log-filter", "skald=trace"]].concat(),
    ));
    let traceparent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    assert_eq!(server.request("GET", "/v1/orders", traceparent, "").0, 200);
    let line: Value = serde_json::from_str(&server.line_with("4bf92f")).unwrap();
    assert_eq!(line["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(line["path"], "/v1/orders");
    assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
}

#[test]
fn a_mail_server_that_can_not_be_used_is_told_without_its_password() {
    for (url, from, told) in [
        ("smtp://ann:s3/cret@mail.example.org", "a@example.org", "percent-encoded"),
        ("smtp+insecure://ann:s3cret@127.0.0.1", "a@example.org", "takes no password"),
        ("smtp://ann:s3cret@mail.example.org", "orders@localhost", "mail.from"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = skald(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
        command.env("SKALD_MAIL_URL", url).env("SKALD_MAIL_FROM", from);
        let ended = finish(command);
        assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{ended:?}");
        assert!(ended.err.contains(told) && !ended.err.contains("cret"), "{}", ended.err);
    }
}

#[test]
fn a_redis_address_that_can_not_be_used_is_told_without_its_password() {
    for (url, told) in [
        ("redis://:s3cret@localhost/shop", "number of a database"),
        ("rediss://:s3cret@localhost/#insecure", "nothing may follow"),
        ("redis://:s3/cret@localhost", "percent-encoded"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = skald(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
        command.env("SKALD_REDIS_URL", url);
        let ended = finish(command);
        assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{ended:?}");
        assert!(ended.err.contains("redis.url can't be used"), "{}", ended.err);
        assert!(ended.err.contains(told) && !ended.err.contains("cret"), "{}", ended.err);
    }
}
