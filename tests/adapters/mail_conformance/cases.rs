//! The suite.

use std::time::Duration;

use skald::ports::mail::{Mail, MailError, SEND_WITHIN_MS};

use super::{Backend, mail};

const ADA: &str = "ada@example.org";

pub fn a_mail_arrives_with_both_texts_and_its_headers(backend: &dyn Backend) {
    assert_eq!(backend.mailer().send(&[mail("1.do@skald.local", ADA)]), [Ok(())]);
    let arrived = backend.arrived();
    assert_eq!(arrived.len(), 1);
    for part in [
        "From: orders@example.org\r\n",
        "To: ada@example.org\r\n",
        "Subject: Your order is confirmed\r\n",
        "Message-ID: <1.do@skald.local>\r\n",
        "Date: ",
        "MIME-Version: 1.0\r\n",
        "multipart/alternative",
        "text/plain; charset=utf-8",
        "text/html; charset=utf-8",
        "\r\nThank you.\r\n",
        "\r\n<p>Thank you.</p>\r\n",
    ] {
        assert!(arrived[0].contains(part), "{part} is missing in {}", arrived[0]);
    }
    assert!(arrived[0].ends_with("--\r\n"), "nothing is added: {:?}", arrived[0]);
}

pub fn a_repeat_arrives_under_the_same_message_id(backend: &dyn Backend) {
    let mailer = backend.mailer();
    for _ in 0..2 {
        assert_eq!(mailer.send(&[mail("1@x", ADA)]), [Ok(())]);
    }
    let arrived = backend.arrived();
    assert!(!arrived.is_empty());
    assert!(arrived.iter().all(|text| text.contains("Message-ID: <1@x>\r\n")), "{arrived:?}");
}

pub fn an_address_that_is_none_is_refused_and_takes_no_other_mail_with_it(backend: &dyn Backend) {
    let mails = [
        mail("1@x", "ada@example.org\r\nBcc: eve@example.org"),
        mail("2@x", "ada"),
        mail("3@x", "ada@example.org, eve@example.org"),
        mail("4@x", "ada@example.org>\r\nRCPT TO:<eve@example.org"),
        mail("5@x", ADA),
    ];
    let results = backend.mailer().send(&mails);
    for result in &results[..4] {
        assert!(matches!(result, Err(MailError::Undeliverable(_))), "{result:?}");
    }
    assert_eq!(results[4], Ok(()));
    assert_eq!(backend.arrived().len(), 1);
}

pub fn results_are_in_the_order_of_the_mails(backend: &dyn Backend) {
    let is_bad = |n: usize| n % 7 == 3;
    let mails: Vec<Mail> =
        (0..100).map(|n| mail(&format!("{n}@x"), if is_bad(n) { "nobody" } else { ADA })).collect();
    let results = backend.mailer().send(&mails);
    assert_eq!(results.len(), 100);
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result.is_err(), is_bad(n), "{n}: {result:?}");
    }
    let arrived = backend.arrived().join("\n");
    for n in 0..100 {
        let has_come = arrived.contains(&format!("Message-ID: <{n}@x>"));
        assert_eq!(has_come, !is_bad(n), "{n}");
    }
}

pub fn no_text_adds_a_header(backend: &dyn Backend) {
    let subject = "Hello\r\nBcc: eve@example.org\r\n\r\nä".to_owned();
    let forged = Mail { subject, ..mail("1@x\r\nBcc: eve@example.org", ADA) };
    assert_eq!(backend.mailer().send(&[forged]), [Ok(())]);
    let arrived = backend.arrived();
    let (headers, _) = arrived[0].split_once("\r\n\r\n").unwrap();
    assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{headers}");
}

pub fn no_text_ends_the_mail(backend: &dyn Backend) {
    let text = "one\r\n.\r\nMAIL FROM:<eve@example.org>\n.\n..two\r.\rthree ä".to_owned();
    let html = ".\r\n.".to_owned();
    let results = backend.mailer().send(&[Mail { text, html, ..mail("1@x", ADA) }]);
    assert_eq!(results, [Ok(())]);
    let arrived = backend.arrived();
    assert_eq!(arrived.len(), 1, "{arrived:?}");
    for part in
        ["\r\none\r\n.\r\nMAIL FROM:<eve@example.org>\r\n.\r\n..two", "three", "\r\n.\r\n.\r\n"]
    {
        assert!(arrived[0].contains(part), "{part:?} is missing in {:?}", arrived[0]);
    }
}

pub fn what_can_not_be_taken_now_is_put_off_and_taken_later(backend: &dyn Backend) {
    let mailer = backend.mailer();
    let mails = [mail("1@x", ADA), mail("2@x", ADA)];
    backend.close();
    for result in mailer.send(&mails) {
        assert!(matches!(result, Err(MailError::Transient(_))), "{result:?}");
    }
    backend.open();
    assert!(backend.arrived().is_empty());
    assert_eq!(mailer.send(&mails), [Ok(()), Ok(())]);
    assert_eq!(backend.arrived().len(), 2);
}

pub fn nothing_to_send_is_no_fault(backend: &dyn Backend) {
    assert!(backend.mailer().send(&[]).is_empty());
    assert!(backend.arrived().is_empty());
}

/// Whoever claims a mail claims it for as long as its mailer says that a call takes.
pub fn no_call_takes_longer_than_claims_last(backend: &dyn Backend) {
    let most = Duration::from_millis(SEND_WITHIN_MS);
    let longest = backend.mailer().longest();
    assert!(longest >= Duration::from_secs(1) && longest <= most, "{longest:?}");
}
