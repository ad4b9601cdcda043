use super::super::command::tests::{BODY, command};
use super::*;

const NOW: Timestamp = Timestamp(1_000_000);
/// When a claim made now expires.
const LATER: Timestamp = Timestamp(1_000_000 + 1000 * (20_000 + MARGIN_MS) as i64);

type Records = BTreeMap<RecordKey, WorkRecord>;

/// Of one who has twenty seconds for a batch.
fn claims() -> Claims {
    Claims::of(Duration::from_secs(20))
}

fn mail() -> NotificationCommand {
    command(BODY)
}

fn without_address() -> NotificationCommand {
    NotificationCommand { recipient: None, ..mail() }
}

fn answered(outcome: Outcome) -> ReplyBody {
    ReplyBody::Settled(told(outcome))
}

fn outcomes(change: &NotificationChange) -> Vec<&str> {
    change.notifications.iter().map(|notification| notification.outcome.as_str()).collect()
}

fn posted(command: &NotificationCommand, result: Result<(), MailError>) -> [Posted<'_>; 1] {
    [Posted { command, result }]
}

fn transient() -> Result<(), MailError> {
    Err(MailError::Transient("the disk is full".to_owned()))
}

/// The records after one command was planned.
fn claimed(command: &NotificationCommand) -> Records {
    plan(&Records::new(), std::slice::from_ref(command), &claims(), NOW).0.records
}

#[test]
fn a_result_names_its_outcome() {
    for (outcome, json) in [
        (Outcome::Sent, r#"{"outcome":"SENT"}"#),
        (Outcome::NoAddress, r#"{"outcome":"NO_ADDRESS"}"#),
        (Outcome::Undeliverable, r#"{"outcome":"UNDELIVERABLE"}"#),
    ] {
        assert_eq!(told(outcome), WorkOutcome::Success(serde_json::from_str(json).unwrap()));
        assert!(json.contains(outcome.as_str()));
    }
}

#[test]
fn a_mail_is_claimed_before_it_is_sent() {
    let (change, parts) = plan(&Records::new(), &[mail()], &claims(), NOW);
    assert_eq!(parts, [Part::Send]);
    let record = &change.records[&RecordKey::from(&mail().key)];
    assert_eq!((record.claimed_until, &record.done), (Some(LATER), &None));
    assert!(change.notifications.is_empty());
}

#[test]
fn a_sent_mail_is_recorded_and_its_repeat_answered() {
    let mail = mail();
    let (change, replies) = conclude(&claimed(&mail), &posted(&mail, Ok(())), &claims(), NOW);
    assert_eq!(replies, [answered(Outcome::Sent)]);
    assert_eq!(outcomes(&change), ["SENT"]);
    let (again, parts) = plan(&change.records, &[mail], &claims(), NOW);
    assert_eq!(parts, [Part::Answered(answered(Outcome::Sent))]);
    assert!(again.notifications.is_empty() && again.records.is_empty());
}

#[test]
fn without_an_address_nothing_is_sent_and_all_is_well() {
    let (change, parts) =
        plan(&Records::new(), &[without_address(), without_address()], &claims(), NOW);
    let told = Part::Answered(answered(Outcome::NoAddress));
    assert_eq!(parts, [told.clone(), told]);
    assert_eq!(outcomes(&change), ["NO_ADDRESS"]);
}

#[test]
fn a_refused_address_is_recorded_for_good() {
    let mail = mail();
    let refused = Err(MailError::Undeliverable("no such user".to_owned()));
    let (change, replies) = conclude(&claimed(&mail), &posted(&mail, refused), &claims(), NOW);
    assert_eq!(replies, [answered(Outcome::Undeliverable)]);
    assert_eq!(outcomes(&change), ["UNDELIVERABLE"]);
}

#[test]
fn a_mail_that_could_not_be_sent_now_gives_up_its_claim() {
    let mail = mail();
    let misconfigured = Err(MailError::Misconfigured("the password is wrong".to_owned()));
    for result in [transient(), misconfigured] {
        let (change, replies) = conclude(&claimed(&mail), &posted(&mail, result), &claims(), NOW);
        assert_eq!(replies, [ReplyBody::Retryable]);
        assert!(change.notifications.is_empty());
        let (_, parts) = plan(&change.records, std::slice::from_ref(&mail), &claims(), NOW);
        assert_eq!(parts, [Part::Send]);
    }
}

#[test]
fn the_same_command_twice_in_a_batch_is_one_mail() {
    let (_, parts) = plan(&Records::new(), &[mail(), mail()], &claims(), NOW);
    assert_eq!(parts, [Part::Send, Part::SentAlready]);
}

#[test]
fn a_live_claim_of_somebody_else_is_respected_until_it_expires() {
    let theirs = claimed(&mail());
    let just_before = Timestamp(LATER.0 - 1);
    let (change, parts) = plan(&theirs, &[mail()], &claims(), just_before);
    assert_eq!(parts, [Part::Answered(ReplyBody::Retryable)]);
    assert!(change.records.is_empty());
    assert_eq!(plan(&theirs, &[mail()], &claims(), LATER).1, [Part::Send]);
}

#[test]
fn whoever_is_alone_takes_claims_from_before_for_dead() {
    let old = claimed(&mail());
    let started = Timestamp(NOW.0 + 1);
    let alone = Claims { alone_since: Some(started), ..claims() };
    let (change, parts) = plan(&old, &[mail()], &alone, started);
    assert_eq!(parts, [Part::Send]);
    let (_, parts) = plan(&change.records, &[mail()], &alone, started);
    assert_eq!(parts, [Part::Answered(ReplyBody::Retryable)], "its own claims are alive");
}

#[test]
fn a_claim_looks_alike_to_whoever_made_it_and_to_others() {
    let somebodys = claimed(&mail());
    let (change, parts) = plan(&somebodys, &[mail()], &claims(), NOW);
    assert_eq!(parts, [Part::Answered(ReplyBody::Retryable)], "made in the same millisecond");
    assert!(change.records.is_empty());
}

#[test]
fn who_was_overtaken_after_the_claim_expired_answers_what_is_recorded() {
    let mail = mail();
    let theirs = conclude(&claimed(&mail), &posted(&mail, Ok(())), &claims(), LATER).0.records;
    for result in [Ok(()), transient()] {
        let (change, replies) = conclude(&theirs, &posted(&mail, result), &claims(), NOW);
        assert_eq!(replies, [answered(Outcome::Sent)]);
        assert!(change.records.is_empty() && change.notifications.is_empty());
    }
}

#[test]
fn giving_up_a_claim_leaves_that_of_a_successor_alone() {
    let mail = mail();
    let theirs = plan(&claimed(&mail), std::slice::from_ref(&mail), &claims(), LATER).0.records;
    let (change, _) = conclude(&theirs, &posted(&mail, transient()), &claims(), NOW);
    assert!(change.records.is_empty());
}
