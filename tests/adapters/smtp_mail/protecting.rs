//! TLS, and the account behind it.

use skald::workers::notification::smtp::SmtpError;

use super::*;

const PASSWORD: &str = "s3cret";
/// What AUTH PLAIN makes of user and password.
const BLOB: &str = "AGFubgBzM2NyZXQ=";

/// A server whose certificate is for `host`, and how it is reached as `localhost`.
fn server(protection: fn(Certificate) -> Protection, host: &str) -> (Sink, String, Settings) {
    let certificate = Certificate::of(host);
    let authorities = Some(certificate.pem.clone().into_bytes());
    let sink = Sink::start(protection(certificate));
    let place = format!("ann:{PASSWORD}@localhost:{}", sink.address.port());
    (sink, place, Settings { authorities, ..connections(2) })
}

fn open(url: &str, settings: &Settings) -> SmtpMailer {
    SmtpMailer::open(url, SENDER, settings).unwrap()
}

#[test]
fn the_account_and_the_mail_travel_behind_starttls_only() {
    let (sink, place, settings) = server(Protection::StartTls, "localhost");
    assert_eq!(send(&open(&format!("smtp://{place}"), &settings)), Ok(()));
    let heard = sink.heard();
    let clear: Vec<_> = heard.iter().filter(|line| line.starts_with('-')).collect();
    assert_eq!(clear, ["-EHLO example.org", "-STARTTLS"]);
    assert!(heard.contains(&format!("+AUTH PLAIN {BLOB}")), "{heard:?}");
    assert_eq!(ids(&sink), ["1@x"]);
}

#[test]
fn with_smtps_everything_travels_behind_tls() {
    let (sink, place, settings) = server(Protection::Tls, "localhost");
    assert_eq!(send(&open(&format!("smtps://{place}"), &settings)), Ok(()));
    assert!(sink.heard().iter().all(|line| line.starts_with('+')), "{:?}", sink.heard());
    assert_eq!(ids(&sink), ["1@x"]);
}

#[test]
fn a_server_without_starttls_gets_neither_account_nor_mail() {
    let sink = Sink::start(Protection::None);
    let url = format!("smtp://ann:{PASSWORD}@localhost:{}", sink.address.port());
    let result = send(&open(&url, &connections(1)));
    assert!(expect_misconfigured(&result).contains("STARTTLS"), "{result:?}");
    assert_eq!(sink.heard(), ["-EHLO example.org"]);
}

#[test]
fn a_server_that_nobody_vouches_for_gets_neither_account_nor_mail() {
    for (protection, scheme) in [
        (Protection::StartTls as fn(Certificate) -> Protection, "smtp"),
        (Protection::Tls, "smtps"),
    ] {
        let (sink, place, trusting) = server(protection, "localhost");
        let mailer = open(&format!("{scheme}://{place}"), &connections(1));
        let result = send(&mailer);
        assert!(expect_misconfigured(&result).contains("certificate"), "{result:?}");
        let (other, elsewhere, _) = server(protection, "elsewhere.example");
        let result = send(&open(&format!("{scheme}://{elsewhere}"), &trusting));
        assert!(expect_misconfigured(&result).contains("certificate"), "{result:?}");
        for sink in [sink, other] {
            let said: Vec<_> = sink.heard().into_iter().map(|line| line[1..5].to_owned()).collect();
            assert!(said.iter().all(|verb| ["EHLO", "STAR"].contains(&verb.as_str())), "{said:?}");
        }
    }
}

#[test]
fn a_certificate_is_good_for_its_own_name_only() {
    let (sink, place, settings) = server(Protection::Tls, "elsewhere.example");
    let result = send(&open(&format!("smtps://{place}"), &settings));
    assert!(expect_misconfigured(&result).contains("elsewhere.example"), "{result:?}");
    assert!(sink.heard().is_empty());
}

#[test]
fn a_wrong_password_is_told_without_the_password() {
    let (sink, place, settings) = server(Protection::StartTls, "localhost");
    let answer = "535 5.7.8 not s3cret, not AGFubgBzM2NyZXQ=";
    sink.at("AUTH", 1, Manner::Says(answer));
    let mailer = open(&format!("smtp://{place}"), &settings);
    let result = send(&mailer);
    let told = expect_misconfigured(&result);
    assert!(told.contains("535 5.7.8 not ***, not ***"), "{told}");
    let server = mailer.server();
    assert!(server.contains("localhost") && !server.contains("ann"), "{server}");
    assert_eq!(send(&mailer), Ok(()), "once it is repaired");
}

#[test]
fn a_server_that_can_not_look_up_passwords_now_puts_mails_off() {
    let (sink, place, settings) = server(Protection::StartTls, "localhost");
    sink.at("AUTH", 1, Manner::Says("454 4.7.0 temporary failure"));
    let mailer = open(&format!("smtp://{place}"), &settings);
    expect_transient(&send(&mailer));
    assert_eq!(send(&mailer), Ok(()));
}

#[test]
fn settings_that_can_not_work_are_told_at_the_start() {
    let refused = |url: &str, from: &str, settings: &Settings| {
        SmtpMailer::open(url, from, settings).map(drop).unwrap_err()
    };
    let plain = connections(1);
    let error = refused("smtp://mail.example.org", "orders@localhost", &plain);
    assert!(matches!(error, SmtpError::LocalSender(_)), "{error}");
    let error = refused("smtp://mail.example.org", "orders", &plain);
    assert!(matches!(error, SmtpError::Sender(_)), "{error}");
    let error = refused("smtp://ann:s3/cret@mail.example.org", SENDER, &plain);
    assert!(matches!(error, SmtpError::Server(_)), "{error}");
    assert!(!error.to_string().contains("cret"), "{error}");
    for pem in
        ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    {
        let settings = Settings { authorities: Some(pem.into()), ..plain.clone() };
        let error = refused("smtp://mail.example.org", SENDER, &settings);
        assert!(matches!(error, SmtpError::Authorities(_)), "{pem}: {error}");
    }
}
