//! Servers that don't take what they are given.

use super::*;

#[test]
fn a_recipient_who_is_refused_for_good_takes_no_other_mail_along() {
    let (sink, mailer) = pair(1);
    sink.at("RCPT TO:<user-1@", 1, Manner::Says("550 5.1.1 <user-1@example.org>: nobody here"));
    let results = mailer.send(&mails(3));
    assert_eq!((&results[0], &results[2]), (&Ok(()), &Ok(())));
    let Err(MailError::Undeliverable(told)) = &results[1] else { panic!("{results:?}") };
    assert!(told.contains("550 5.1.1") && !told.contains("user-1@"), "{told}");
    assert_eq!(ids(&sink), ["0@x", "2@x"]);
    assert_eq!(sink.connections().0, 1, "the connection is as good as before");
}

#[test]
fn a_recipient_who_is_refused_for_now_is_put_off() {
    let (sink, mailer) = pair(1);
    sink.at("RCPT TO:<user-1@", 1, Manner::Says("450 4.2.0 greylisted"));
    let results = mailer.send(&mails(3));
    assert!(expect_transient(&results[1]).contains("450 4.2.0"));
    assert_eq!(ids(&sink), ["0@x", "2@x"]);
    assert_eq!(mailer.send(&mails(3)[1..2]), [Ok(())]);
}

#[test]
fn what_is_wrong_with_us_is_never_the_customers_fault() {
    for (command, answer) in [
        ("CONNECT", "554 5.7.1 no mail from you"),
        ("MAIL", "553 5.7.1 sender address rejected"),
        ("MAIL", "530 5.7.0 authentication required"),
        ("RCPT", "554 5.7.1 <ada@example.org>: relay access denied"),
        ("DATA", "554 5.5.1 no valid recipients"),
        (".", "554 5.7.1 spam"),
    ] {
        let (sink, mailer) = pair(1);
        sink.at(command, 1, Manner::Says(answer));
        let result = send(&mailer);
        let told = expect_misconfigured(&result);
        assert!(told.contains(&answer[..9]), "{told}");
        assert!(sink.taken().is_empty());
        assert_eq!(send(&mailer), Ok(()), "once it is repaired");
    }
}

#[test]
fn a_mail_that_is_refused_for_now_is_put_off() {
    for command in ["CONNECT", "MAIL", "DATA", "."] {
        let (sink, mailer) = pair(1);
        sink.at(command, 1, Manner::Says("451 4.3.0 try again later"));
        let result = send(&mailer);
        assert!(expect_transient(&result).contains("451 4.3.0"));
        assert!(sink.taken().is_empty());
        assert_eq!(send(&mailer), Ok(()));
    }
}

#[test]
fn an_address_beyond_ascii_is_not_even_offered() {
    let (sink, mailer) = pair(1);
    let results = mailer.send(&[mail("1@x", "jörg@example.org")]);
    assert!(matches!(results[..], [Err(MailError::Undeliverable(_))]), "{results:?}");
    assert_eq!(sink.connections().0, 0);
}
