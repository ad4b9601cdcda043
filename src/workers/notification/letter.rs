//! From a command to a mail.

use askama::Template as _;

use super::command::{Letter, Line, NotificationCommand, Template};
use crate::orders::definition::reason::{
    CANCELLED_BY_CUSTOMER, INSUFFICIENT_STOCK, UNKNOWN_PRODUCT,
};
use crate::orders::money::Amount;
use crate::ports::mail::Mail;
use crate::saga::effect::IdempotencyKey;
use crate::saga::event::core_reason::DEADLINE_EXCEEDED;
use crate::saga::id::ReasonCode;

/// Writes the mail that `command` asks for to `recipient`. The same command gives the same mail.
///
/// # Errors
/// When a template can't be filled in, which none of the shipped ones allows.
pub fn write(
    command: &NotificationCommand,
    recipient: &str,
    domain: &str,
) -> Result<Mail, askama::Error> {
    let letter = &command.letter;
    let wording = Wording::of(letter);
    Ok(Mail {
        message_id: message_id(&command.key, domain),
        to: recipient.to_owned(),
        subject: wording.subject.clone(),
        text: Text { letter, wording: &wording }.render()?,
        html: Html { letter, wording: &wording }.render()?,
    })
}

/// The Message-ID of the mail for a key: its parts between dots, which RFC 5322 allows.
fn message_id(key: &IdempotencyKey, domain: &str) -> String {
    format!("{}@{domain}", key.to_string().replace(':', "."))
}

#[derive(askama::Template)]
#[template(path = "mail.txt", escape = "none")]
struct Text<'a> {
    letter: &'a Letter,
    wording: &'a Wording,
}

#[derive(askama::Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    letter: &'a Letter,
    wording: &'a Wording,
}

/// The sentences around the lines of an order.
struct Wording {
    subject: String,
    heading: &'static str,
    opening: &'static str,
    closing: &'static str,
}

impl Wording {
    fn of(letter: &Letter) -> Self {
        let order = letter.order_id;
        match letter.template {
            Template::OrderConfirmed => Self {
                subject: format!("Your order {order} is confirmed"),
                heading: "Your order is confirmed",
                opening: "Thank you for your order. Everything in it is reserved for you.",
                closing: "We will get it on its way to you.",
            },
            Template::OrderCancelled => Self {
                subject: format!("Your order {order} is cancelled"),
                heading: "Your order is cancelled",
                opening: sentence(letter.reason.as_ref()),
                closing: "Nothing of it is reserved for you any more.",
            },
        }
    }
}

/// A reason as a customer understands it. Codes that say more about us than about the order are
/// not told.
fn sentence(reason: Option<&ReasonCode>) -> &'static str {
    match reason.map_or("", ReasonCode::as_str) {
        CANCELLED_BY_CUSTOMER => "As you asked, we have cancelled your order.",
        INSUFFICIENT_STOCK => {
            "We are sorry: there is not enough left of what you ordered, so we had to cancel it."
        }
        UNKNOWN_PRODUCT => {
            "We are sorry: we do not sell one of the products that you ordered, so we had to cancel \
             the order."
        }
        DEADLINE_EXCEEDED => {
            "We are sorry: we could not complete your order in time, so we had to cancel it."
        }
        _ => "We are sorry: we could not complete your order, so we had to cancel it.",
    }
}

impl Letter {
    fn total_amount(&self) -> Amount {
        self.currency.format_amount(self.total)
    }

    fn line_amount(&self, line: &Line) -> Amount {
        self.currency.format_amount(line.price.saturating_mul(i64::from(line.quantity)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::tests::{BODY, command};
    use super::*;

    fn mail(body: &str) -> Mail {
        write(&command(body), "ada@example.org", "skald.local").unwrap()
    }

    #[test]
    fn a_cancellation_says_why_and_what() {
        let mail = mail(BODY);
        assert_eq!(mail.subject, "Your order 018bcfe5-6800-7000-8000-000000000002 is cancelled");
        for text in [&mail.text, &mail.html] {
            for part in ["not enough left", "pot", "13.50", "20.00", "33.50", "EUR"] {
                assert!(text.contains(part), "{part} is missing in {text}");
            }
            assert!(!text.contains("INSUFFICIENT"), "{text}");
        }
    }

    #[test]
    fn a_confirmation_names_the_order() {
        let mail = mail(&BODY.replace("ORDER_CANCELLED", "ORDER_CONFIRMED"));
        assert_eq!(mail.subject, "Your order 018bcfe5-6800-7000-8000-000000000002 is confirmed");
        assert!(mail.text.contains("018bcfe5-6800-7000-8000-000000000002"));
    }

    #[test]
    fn what_a_customer_wrote_is_escaped_in_html_only() {
        let mail = mail(BODY);
        assert!(mail.text.contains("tea <&>"), "{}", mail.text);
        assert!(!mail.html.contains("tea <&>") && mail.html.contains("tea &#60;&#38;&#62;"));
    }

    #[test]
    fn the_message_id_is_the_keys_and_of_valid_characters() {
        let id = mail(BODY).message_id;
        assert_eq!(id, "00000000-0000-0000-0000-000000000001.send-cancellation.1.do@skald.local");
    }

    #[test]
    fn every_reason_has_its_sentence_and_unknown_ones_a_general_one() {
        let general = sentence(None);
        assert_eq!(sentence(Some(&"STEP_OUTCOME_UNKNOWN".into())), general);
        for code in [CANCELLED_BY_CUSTOMER, INSUFFICIENT_STOCK, UNKNOWN_PRODUCT, DEADLINE_EXCEEDED]
        {
            assert_ne!(sentence(Some(&code.into())), general, "{code}");
        }
    }
}
