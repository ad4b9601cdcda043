//! How the mails of a batch are shared among connections.

use std::time::Duration;

use skald::workers::notification::smtp::MAX_TIMEOUT;

use super::*;

#[test]
fn the_mails_of_a_batch_go_side_by_side() {
    let (sink, mailer) = pair(4);
    // Nobody is answered before four have handed a mail over.
    sink.at(".", 4, Manner::Gathers(4));
    let results = mailer.send(&mails(4));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[test]
fn there_are_no_more_connections_than_allowed_and_they_are_kept() {
    let (sink, mailer) = pair(3);
    for _ in 0..3 {
        let results = mailer.send(&mails(100));
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }
    assert_eq!(sink.taken().len(), 300);
    let (made, most) = sink.connections();
    assert!(made <= 3 && most <= 3, "{made} made, {most} at a time");
}

#[test]
fn each_connection_has_its_share_of_a_batch() {
    let share = pair(1).1.mails_at_a_time();
    assert!(share > 1, "{share}");
    assert_eq!(pair(3).1.mails_at_a_time(), 3 * share);
}

#[test]
fn a_call_takes_the_longer_the_longer_the_server_may_take() {
    let sink = Sink::start(Protection::None);
    let longest = |timeout: Duration| {
        let settings = Settings { timeout, ..connections(1) };
        SmtpMailer::open(&sink.url(), SENDER, &settings).unwrap().longest()
    };
    let [short, long] = [5, 10].map(Duration::from_secs);
    assert_eq!(longest(long) - longest(short), long - short);
    assert_eq!(longest(Duration::MAX), longest(MAX_TIMEOUT));
}

#[test]
fn a_single_mail_takes_a_single_connection() {
    let (sink, mailer) = pair(8);
    for _ in 0..3 {
        assert_eq!(send(&mailer), Ok(()));
    }
    assert_eq!(sink.connections(), (1, 1));
}

#[test]
fn a_check_signs_in_and_leaves_the_connection_to_the_first_mail() {
    let (sink, mailer) = pair(2);
    mailer.check().unwrap();
    assert_eq!(send(&mailer), Ok(()));
    assert_eq!(sink.connections().0, 1);
    let other = SmtpMailer::open(&sink.url(), SENDER, &connections(1)).unwrap();
    other.check().unwrap();
    sink.cut();
    assert_eq!(send(&other), Ok(()), "a connection that was closed since is replaced");
    sink.close();
    let other = SmtpMailer::open(&sink.url(), SENDER, &connections(1)).unwrap();
    expect_transient(&other.check());
}

#[test]
fn what_arrives_names_both_ends_in_its_envelope() {
    let (sink, mailer) = pair(1);
    assert_eq!(send(&mailer), Ok(()));
    let taken = &sink.taken()[0];
    assert_eq!((taken.from.as_str(), &taken.to), (SENDER, &vec!["ada@example.org".to_owned()]));
    assert_eq!(sink.heard()[0], "-EHLO example.org");
}
