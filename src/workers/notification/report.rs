//! What the log and the metrics are told of the mails of a batch.

use super::plan::Posted;
use crate::ports::mail::MailError;

/// Counts what became of the mails. What keeps mails back is a line for the whole batch, since it
/// rarely keeps back just one; an address that is refused is a line of its own.
pub fn report(posted: &[Posted<'_>]) {
    let [mut sent, mut put_off, mut misconfigured] = [0, 0, 0];
    let [mut away, mut broken] = [None, None];
    for Posted { command, result } in posted {
        match result {
            Ok(()) => sent += 1,
            Err(error @ MailError::Undeliverable(_)) => {
                tracing::warn!(key = %command.key, %error, "a mail can't be delivered");
                count("undeliverable", 1);
            }
            Err(error @ MailError::Transient(_)) => {
                put_off += 1;
                away.get_or_insert((&command.key, error));
            }
            Err(error @ MailError::Misconfigured(_)) => {
                misconfigured += 1;
                broken.get_or_insert((&command.key, error));
            }
        }
    }
    if let Some((key, error)) = away {
        tracing::warn!(mails = put_off, %key, %error, "mails were not sent and are tried again");
    }
    if let Some((key, error)) = broken {
        tracing::error!(mails = misconfigured, %key, %error, "mails can't be sent until the mail settings or the mail server are repaired");
    }
    for (outcome, mails) in [("sent", sent), ("put_off", put_off), ("misconfigured", misconfigured)]
    {
        count(outcome, mails);
    }
}

fn count(outcome: &'static str, mails: u64) {
    if mails > 0 {
        metrics::counter!("skald_mails_total", "outcome" => outcome).increment(mails);
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::workers::notification::command::tests::{BODY, command};

    /// The counters after a batch of mails with these results.
    fn counted(results: &[Result<(), MailError>]) -> Vec<String> {
        let command = command(BODY);
        let posted: Vec<_> = results
            .iter()
            .map(|result| Posted { command: &command, result: result.clone() })
            .collect();
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || report(&posted));
        let rendered = recorder.handle().render();
        let counters = rendered.lines().filter_map(|line| line.strip_prefix("skald_mails_total"));
        let mut counters: Vec<String> = counters.map(ToOwned::to_owned).collect();
        counters.sort();
        counters
    }

    #[test]
    fn each_mail_is_counted_by_what_became_of_it() {
        let (away, broken) =
            (MailError::Transient("away".into()), MailError::Misconfigured("us".into()));
        let refused = MailError::Undeliverable("nobody here".into());
        let results = [
            Ok(()),
            Ok(()),
            Err(refused.clone()),
            Err(refused),
            Err(away.clone()),
            Err(away),
            Err(broken.clone()),
            Err(broken),
        ];
        assert_eq!(
            counted(&results),
            [
                r#"{outcome="misconfigured"} 2"#,
                r#"{outcome="put_off"} 2"#,
                r#"{outcome="sent"} 2"#,
                r#"{outcome="undeliverable"} 2"#,
            ]
        );
        assert_eq!(counted(&[Ok(())]), [r#"{outcome="sent"} 1"#]);
    }
}
