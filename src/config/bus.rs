//! The broker.

use super::secret::Secret;
use super::settings::Settings;

/// The broker.
///
/// | setting | default | what |
/// |---|---|---|
/// | `bus.url` | none | `amqp://user:password@host:5672/vhost` or `amqps://…`; several addresses of one cluster as a list, or in plain text separated by commas. Without it messages stay in the process |
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bus {
    /// The addresses of a RabbitMQ cluster, tried in turn; none for a bus within the process.
    pub addresses: Vec<Secret>,
}

impl Bus {
    pub(super) fn take(settings: &mut Settings) -> Self {
        let wanted = "URLs such as amqp://user:password@host:5672/vhost";
        let addresses = settings.secrets("bus.url", wanted, |url| {
            let known = ["amqp://", "amqps://"].iter().any(|scheme| url.starts_with(scheme));
            known.then(|| Secret::new(url))
        });
        Self { addresses: addresses.unwrap_or_default() }
    }
}
