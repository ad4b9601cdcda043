//! Connections that break, and servers that say nothing.

use std::time::{Duration, Instant};

use super::*;

/// Long for a loopback, short for a test.
const SHORT: Duration = Duration::from_millis(300);

fn impatient(sink: &Sink, count: usize) -> SmtpMailer {
    let settings = Settings { timeout: SHORT, ..connections(count) };
    SmtpMailer::open(&sink.url(), SENDER, &settings).unwrap()
}

#[test]
fn a_connection_that_breaks_before_the_mail_was_handed_over_puts_it_off() {
    for command in ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"] {
        let (sink, mailer) = pair(1);
        sink.at(command, 1, Manner::Drops);
        expect_transient(&send(&mailer));
        assert!(sink.taken().is_empty());
        assert_eq!(send(&mailer), Ok(()));
        assert_eq!(ids(&sink), ["1@x"]);
    }
}

#[test]
fn who_hears_no_answer_to_a_mail_that_was_taken_sends_it_again_under_the_same_id() {
    for manner in [Manner::Drops, Manner::Hangs] {
        let sink = Sink::start(Protection::None);
        let mailer = impatient(&sink, 1);
        sink.at("TAKEN", 1, manner);
        let result = send(&mailer);
        assert!(expect_transient(&result).contains("may have been taken"), "{result:?}");
        assert_eq!(send(&mailer), Ok(()));
        assert_eq!(ids(&sink), ["1@x", "1@x"]);
    }
}

#[test]
fn a_server_that_answers_nothing_to_one_mail_holds_up_no_other() {
    let sink = Sink::start(Protection::None);
    let mailer = impatient(&sink, 2);
    sink.at("RCPT TO:<user-0@", 1, Manner::Hangs);
    let results = mailer.send(&mails(10));
    assert!(expect_transient(&results[0]).contains("no answer came in time"));
    assert!(results[1..].iter().all(Result::is_ok), "{results:?}");
    assert_eq!(sink.taken().len(), 9);
}

#[test]
fn a_server_that_answers_nobody_costs_a_batch_one_time_out() {
    let sink = Sink::start(Protection::None);
    let mailer = impatient(&sink, 4);
    sink.at("CONNECT", usize::MAX, Manner::Hangs);
    let began = Instant::now();
    let results = mailer.send(&mails(500));
    assert!(began.elapsed() < 10 * SHORT, "{:?}", began.elapsed());
    assert_eq!(results.len(), 500);
    for result in &results {
        expect_transient(result);
    }
    assert_eq!(sink.connections().0, 4);
}

#[test]
fn a_connection_that_was_closed_meanwhile_is_replaced_and_no_mail_notices() {
    let (sink, mailer) = pair(1);
    assert_eq!(send(&mailer), Ok(()));
    sink.cut();
    assert_eq!(send(&mailer), Ok(()));
    assert_eq!((ids(&sink).len(), sink.connections().0), (2, 2));
}

#[test]
fn a_server_that_takes_only_some_mails_a_connection_gets_them_over_several() {
    let (sink, mailer) = pair(1);
    assert_eq!(send(&mailer), Ok(()));
    sink.at("MAIL", 1, Manner::Says("421 4.7.0 enough for this connection"));
    let results = mailer.send(&mails(5));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(sink.connections().0, 2);
}

#[test]
fn a_server_that_takes_fewer_connections_gets_all_mails_over_those() {
    let (sink, mailer) = pair(4);
    // Two stay until all four have knocked.
    sink.at("CONNECT", 2, Manner::Gathers(4));
    sink.at("CONNECT", 2, Manner::SaysTogether("421 4.7.0 too many connections", 4));
    let results = mailer.send(&mails(40));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(sink.taken().len(), 40);
    assert_eq!(sink.connections(), (4, 4));
}

#[test]
fn a_server_that_goes_away_and_comes_back_gets_every_mail() {
    let (sink, mailer) = pair(4);
    assert_eq!(send(&mailer), Ok(()));
    sink.close();
    let began = Instant::now();
    for result in mailer.send(&mails(500)) {
        expect_transient(&result);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    sink.open();
    let results = mailer.send(&mails(50));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(sink.taken().len(), 51);
}
