//! The broker.

use super::catalogue::Setting;
use super::secret::Secret;
use super::settings::Settings;

/// The settings of this file.
pub(super) const SETTINGS: [Setting; 2] = [
    Setting::open(
        "bus.url",
        "none",
        r#""amqp://user:password@host:5672/vhost""#,
        "`amqp://user:password@host:5672/vhost` or `amqps://…`; several addresses of one cluster as a list, or in plain text separated by commas. Without it messages stay in the process",
    ),
    Setting::open(
        "bus.bundle_commands",
        "none",
        r#"["inventory", "notification"]"#,
        "services, e.g. `inventory, notification`, that only `skald worker` works for: the commands to them travel many in a message, which saves the broker most of its work on them. Workers of your own would not understand it",
    ),
];

/// The broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bus {
    /// The addresses of a RabbitMQ cluster, tried in turn; none for a bus within the process.
    pub addresses: Vec<Secret>,
    /// The services whose commands travel many in a message.
    pub bundle_commands: Vec<String>,
}

impl Bus {
    pub(super) fn take(settings: &mut Settings) -> Self {
        let wanted = "URLs such as amqp://user:password@host:5672/vhost";
        let addresses = settings.secrets("bus.url", wanted, |url| {
            let known = ["amqp://", "amqps://"].iter().any(|scheme| url.starts_with(scheme));
            known.then(|| Secret::new(url))
        });
        let service = |name: &str| {
            let fits =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            (!name.is_empty() && name.bytes().all(fits)).then(|| name.to_owned())
        };
        let bundle_commands = settings.list("bus.bundle_commands", "names of services", service);
        Self {
            addresses: addresses.unwrap_or_default(),
            bundle_commands: bundle_commands.unwrap_or_default(),
        }
    }
}
