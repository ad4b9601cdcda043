use std::time::Duration;

use super::*;
use crate::config::{LogFormat, Unset, catalogue};

fn resolve(
    sources: Sources,
    variables: &[(&str, &str)],
    file: &str,
) -> Result<Config, Vec<String>> {
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    sources
        .resolve(variables, Some(("skald.toml", file)))
        .map(|(config, _)| config)
        .map_err(|error| error.to_string().lines().map(str::to_owned).collect())
}

fn listen_flag(value: &str) -> Sources {
    Sources::default().flag("--listen", "server.listen", Some(value.to_owned()))
}

#[test]
fn a_flag_beats_a_variable_which_beats_the_file_which_beats_the_preference_and_the_default() {
    let port = |sources: Sources, variables: &[(&str, &str)], file| {
        let sources = sources.preference("server.listen", "127.0.0.1:2");
        resolve(sources, variables, file).unwrap().server.listen.port()
    };
    let variable = [("SKALD_SERVER_LISTEN", "127.0.0.1:4")];
    let file = "[server]\nlisten = '127.0.0.1:3'";
    assert_eq!(port(listen_flag("127.0.0.1:5"), &variable, file), 5);
    assert_eq!(port(Sources::default(), &variable, file), 4);
    assert_eq!(port(Sources::default(), &[("SKALD_SERVER_LISTEN", "")], file), 3);
    assert_eq!(port(Sources::default(), &[], ""), 2);
    assert_eq!(resolve(Sources::default(), &[], "").unwrap(), Config::default());
    assert_eq!(Config::default().server.listen.port(), 7070);
}

#[test]
fn every_setting_can_be_given_in_the_file_and_by_variables() {
    let file = "
        data_dir = '/srv/skald'
        [server]
        listen = '[::1]:8080'
        workers = 3
        allowed_hosts = ['skald.example.com', '[::1]']
        [actors]
        sleep_after_ms = 1_500
        [workers]
        batch_size = 20
        prefetch = 0x40
        hint_locks = 'on'
        [redis]
        url = 'rediss://:s3cret@redis.example.com/2'
        timeout_ms = 50
        [mail]
        url = 'smtps://ann:s3cret@mail.example.com'
        from = 'shop@example.com'
        ca_file = '/etc/ssl/ours.pem'
        connections = 3
        timeout_ms = 2_000
        folder = '/var/mail'
        [log]
        filter = 'warn,skald::http=debug'
        format = 'json'
    ";
    let variables = [
        ("SKALD_DATA_DIR", "/srv/skald"),
        ("SKALD_SERVER_LISTEN", "[::1]:8080"),
        ("SKALD_SERVER_WORKERS", "3"),
        ("SKALD_SERVER_ALLOWED_HOSTS", "skald.example.com, [::1]"),
        ("SKALD_ACTORS_SLEEP_AFTER_MS", "1500"),
        ("SKALD_WORKERS_BATCH_SIZE", "20"),
        ("SKALD_WORKERS_PREFETCH", "64"),
        ("SKALD_WORKERS_HINT_LOCKS", "on"),
        ("SKALD_REDIS_URL", "rediss://:s3cret@redis.example.com/2"),
        ("SKALD_REDIS_TIMEOUT_MS", "50"),
        ("SKALD_MAIL_URL", "smtps://ann:s3cret@mail.example.com"),
        ("SKALD_MAIL_FROM", "shop@example.com"),
        ("SKALD_MAIL_CA_FILE", "/etc/ssl/ours.pem"),
        ("SKALD_MAIL_CONNECTIONS", "3"),
        ("SKALD_MAIL_TIMEOUT_MS", "2000"),
        ("SKALD_MAIL_FOLDER", "/var/mail"),
        ("SKALD_LOG_FILTER", "warn,skald::http=debug"),
        ("SKALD_LOG_FORMAT", "json"),
    ];
    let from_file = resolve(Sources::default(), &[], file).unwrap();
    let from_variables = resolve(Sources::default(), &variables, "").unwrap();
    assert_eq!(from_file, from_variables);
    assert_eq!(from_file.server.allowed_hosts, ["skald.example.com", "[::1]"]);
    assert_eq!((from_file.workers.batch_size, from_file.workers.prefetch), (20, 64));
    assert!(from_file.workers.hint_locks);
    assert_eq!(from_file.redis.timeout, Duration::from_millis(50));
    let redis = from_file.redis.url.as_ref().unwrap().reveal();
    assert_eq!(redis, "rediss://:s3cret@redis.example.com/2");
    assert_eq!(from_file.actors.sleep_after, Duration::from_millis(1500));
    assert_eq!(from_file.log.format, LogFormat::Json);
    assert_eq!(from_file.mail_folder(), Path::new("/var/mail"));
    let mail = from_file.mail;
    assert_eq!((mail.connections, mail.timeout), (3, Duration::from_secs(2)));
    assert_eq!(mail.ca_file.as_deref(), Some(Path::new("/etc/ssl/ours.pem")));
    assert_eq!(mail.url.unwrap().reveal(), "smtps://ann:s3cret@mail.example.com");
}

#[test]
fn what_others_call_the_collector_is_understood_and_our_own_name_beats_it() {
    let alias = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://theirs:4318");
    let own = ("SKALD_TELEMETRY_OTLP_URL", "https://ours/otlp");
    let url = |variables: &[(&str, &str)]| {
        resolve(Sources::default(), variables, "telemetry.otlp_url = 'http://file:1'")
            .unwrap()
            .telemetry
            .otlp_url
    };
    assert_eq!(url(&[]).as_deref(), Some("http://file:1"));
    assert_eq!(url(&[alias]).as_deref(), Some("http://theirs:4318"));
    assert_eq!(url(&[alias, own]).as_deref(), Some("https://ours/otlp"));
    assert_eq!(url(&[("SKALD_TELEMETRY_OTLP_URL", "none")]), None);
    let wrong = [("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://theirs:4317")];
    let faults = resolve(Sources::default(), &wrong, "").unwrap_err();
    assert!(
        faults[0].starts_with("environment variable OTEL_EXPORTER_OTLP_ENDPOINT"),
        "{faults:?}"
    );
}

#[test]
fn a_ratio_is_a_number_from_0_to_1_and_a_switch_is_true_or_false() {
    for (line, fits) in [
        ("telemetry.sample_ratio = 0.25", true),
        ("telemetry.sample_ratio = 1", true),
        ("telemetry.sample_ratio = 1.5", false),
        ("telemetry.sample_ratio = nan", false),
        ("telemetry.sample_ratio = '0.5'", false),
        ("telemetry.metrics = false", true),
        ("telemetry.metrics = 'false'", false),
        ("telemetry.metrics = 0", false),
    ] {
        assert_eq!(resolve(Sources::default(), &[], line).is_ok(), fits, "{line}");
    }
    let config = resolve(Sources::default(), &[("SKALD_TELEMETRY_SAMPLE_RATIO", "0.25")], "");
    assert_eq!(config.unwrap().telemetry.sample_ratio, 0.25);
}

#[test]
fn no_mail_server_can_be_asked_for_in_spite_of_the_file() {
    let file = "mail.url = 'smtp://mail.example.com'";
    let variables = [("SKALD_MAIL_URL", "none")];
    assert_eq!(resolve(Sources::default(), &variables, file).unwrap().mail.url, None);
    assert!(resolve(Sources::default(), &[], file).unwrap().mail.url.is_some());
}

#[test]
fn a_mail_server_that_is_none_is_refused_without_being_shown() {
    for url in ["mail.example.com", "http://ann:s3cret@mail.example.com", "smtp:s3cret"] {
        let file = format!("mail.url = '{url}'");
        let faults = resolve(Sources::default(), &[], &file).unwrap_err().join("\n");
        assert!(faults.contains("mail.url must be a URL such as smtp://"), "{faults}");
        assert!(!faults.contains("s3cret"), "{faults}");
    }
    let config = resolve(Sources::default(), &[], "mail.url = 'smtp://ann:s3cret@x'").unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn a_redis_that_is_none_is_refused_without_being_shown() {
    for url in ["redis.example.com", "http://:s3cret@redis.example.com", "redis:s3cret"] {
        let file = format!("redis.url = '{url}'");
        let faults = resolve(Sources::default(), &[], &file).unwrap_err().join("\n");
        assert!(faults.contains("redis.url must be a URL such as redis://"), "{faults}");
        assert!(!faults.contains("s3cret"), "{faults}");
    }
    let file = "redis.url = 'redis://:s3cret@x'";
    let config = resolve(Sources::default(), &[], file).unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
    let variables = [("SKALD_REDIS_URL", "none")];
    assert_eq!(resolve(Sources::default(), &variables, file).unwrap().redis.url, None);
}

#[test]
fn mails_go_into_the_data_folder_unless_a_folder_is_named() {
    let config = Config { data_dir: "/srv/skald".into(), ..Config::default() };
    assert_eq!(config.mail_folder(), Path::new("/srv/skald/mail"));
}

#[test]
fn every_fault_names_its_place() {
    let file = "data_dir = 7\n\n[server]\n  listen = 'here'\nworkers = '3'\n[sever]\n";
    let variables = [("SKALD_WORKERS_PREFETCH", "70000"), ("SKALD_LISTEN", "127.0.0.1:1")];
    let mut faults = resolve(listen_flag("localhost"), &variables, file).unwrap_err();
    faults.iter_mut().for_each(|fault| {
        let end = fault.find("; known are").unwrap_or(fault.len());
        fault.truncate(end);
    });
    let address = "must be an IP address and a port such as 127.0.0.1:7070";
    assert_eq!(
        faults,
        [
            "skald.toml:1:1: data_dir must be the path of a folder, not 7".to_owned(),
            format!("--listen: server.listen {address}, not \"localhost\""),
            format!("skald.toml:4:3: server.listen {address}, not \"here\""),
            "skald.toml:5:1: server.workers must be a whole number from 1 to 256, not \"3\""
                .to_owned(),
            "environment variable SKALD_WORKERS_PREFETCH: workers.prefetch must be a whole number \
             from 1 to 65535, not \"70000\""
                .to_owned(),
            "environment variable SKALD_LISTEN: SKALD_LISTEN is not a setting".to_owned(),
            "skald.toml:6:2: sever is not a setting".to_owned(),
        ]
    );
}

#[test]
fn every_line_of_a_file_that_is_no_toml_is_told_and_so_are_the_variables() {
    let file = "[server\nlisten = 'here'\n[log]\nfilter = = 3\n";
    let faults = resolve(Sources::default(), &[("SKALD_LISTEN", "1")], file).unwrap_err();
    let begins = |start: &str| faults.iter().filter(|fault| fault.starts_with(start)).count();
    assert_eq!((begins("skald.toml:1:"), begins("skald.toml:4:")), (1, 1), "{faults:?}");
    assert_eq!(begins("environment variable SKALD_LISTEN"), 1, "{faults:?}");
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[test]
fn every_setting_that_is_taken_is_in_the_catalogue_and_the_reverse() {
    let mut settings = Settings::of(Vec::new(), Vec::new());
    Config::take(&mut settings);
    let mut taken = settings.keys();
    let mut known: Vec<_> = catalogue().map(|setting| setting.key).collect();
    taken.sort_unstable();
    known.sort_unstable();
    assert_eq!(taken, known);
}

#[test]
fn every_default_in_the_catalogue_is_the_one_that_holds() {
    let defaults = catalogue().filter(|setting| setting.unset == Unset::Value);
    let file: String =
        defaults.map(|setting| format!("{} = {}\n", setting.key, setting.example)).collect();
    assert!(file.lines().count() >= 10, "not all found: {file}");
    assert_eq!(resolve(Sources::default(), &[], &file), Ok(Config::default()));
}

#[test]
fn every_example_in_the_catalogue_is_one() {
    let file: String =
        catalogue().map(|setting| format!("{} = {}\n", setting.key, setting.example)).collect();
    let resolved = resolve(Sources::default(), &[], &file);
    assert!(resolved.is_ok(), "{resolved:?}");
}

#[test]
fn a_table_with_a_heading_alone_sets_nothing() {
    assert_eq!(resolve(Sources::default(), &[], "[server]\n[log]\n"), Ok(Config::default()));
    let faults = resolve(Sources::default(), &[], "[sever]\n[server.listen]").unwrap_err();
    assert_eq!(faults.len(), 2, "{faults:?}");
}

#[test]
fn it_is_known_where_each_setting_comes_from() {
    let file = "[server]\nlisten = '127.0.0.1:3'\nworkers = 2\n[bus]\nurl = ['amqp://a:s3cret@b']";
    let variables =
        [("SKALD_SERVER_WORKERS", "3"), ("SKALD_STORE_URL", "postgres://ada:s3cret@db/shop")];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let sources = listen_flag("127.0.0.1:5");
    let (_, origins) = sources.resolve(variables.into_iter(), Some(("skald.toml", file))).unwrap();
    let of = |key: &str| {
        let origin = origins.iter().find(|origin| origin.setting.key == key).unwrap();
        origin.given.as_ref().map(|(value, place)| format!("{value} {place}"))
    };
    assert_eq!(of("server.listen").unwrap(), "\"127.0.0.1:5\" --listen");
    let workers = "\"3\" environment variable SKALD_SERVER_WORKERS";
    assert_eq!(of("server.workers").unwrap(), workers);
    assert_eq!(of("bus.url").unwrap(), "[\"amqp://***@b\"] skald.toml:5:1");
    let store = "\"postgres://***@db/shop\" environment variable SKALD_STORE_URL";
    assert_eq!(of("store.url").unwrap(), store);
    assert_eq!(of("log.filter"), None);
    assert_eq!(origins.len(), catalogue().count());
}

#[test]
fn what_is_overruled_is_checked_all_the_same() {
    let faults = resolve(listen_flag("127.0.0.1:1"), &[], "server.listen = 'here'").unwrap_err();
    assert!(faults[0].starts_with("skald.toml:1:8: server.listen"), "{faults:?}");
}

#[test]
fn a_file_that_is_no_toml_names_line_and_column_in_characters() {
    let faults = resolve(Sources::default(), &[], "# naïve\n[log]\nfilter = 'é' x").unwrap_err();
    assert!(faults[0].starts_with("skald.toml:3:14: "), "{faults:?}");
}

#[test]
fn a_list_holds_names_only() {
    for list in ["[7]", "'skald.example.com'", "['https://skald.example.com']", "['a:80']", "['']"]
    {
        let file = format!("server.allowed_hosts = {list}");
        assert!(resolve(Sources::default(), &[], &file).is_err(), "{list}");
    }
    assert!(resolve(Sources::default(), &[], "server.allowed_hosts = []").is_ok());
}

#[test]
fn a_filter_that_would_silence_everything_by_mistake_is_refused() {
    for (filter, fits) in [
        ("debug", true),
        ("OFF", true),
        ("warn,skald=debug", true),
        ("skald::http=trace", true),
        ("verbose", false),
        ("info,skald", false),
        ("skald=verbose", false),
        ("", false),
    ] {
        let file = format!("log.filter = '{filter}'");
        assert_eq!(resolve(Sources::default(), &[], &file).is_ok(), fits, "{filter}");
    }
}

#[test]
fn what_others_put_into_the_environment_is_no_setting() {
    let variables = [
        ("SKALD_URL", "http://127.0.0.1:1"),
        ("SKALD_CONFIG", "elsewhere.toml"),
        ("SKALD_MANAGEMENT_URL", "http://127.0.0.1:1"),
        ("SKALD_PORT_7070_TCP_ADDR", "10.0.0.1"),
        ("SKALD_SERVICE_HOST", "10.0.0.1"),
        ("SKALD_TEST_POSTGRES", "postgres://10.0.0.1/"),
        ("PATH", "/bin"),
    ];
    assert!(resolve(Sources::default(), &variables, "").is_ok());
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let named = Sources::of_file(Some("/nowhere/skald.toml".into()));
    let error = named.read_file(None).unwrap_err().to_string();
    assert!(
        error.starts_with("the configuration file /nowhere/skald.toml can't be read"),
        "{error}"
    );
    assert!(Sources::default().read_file(Some("/nowhere/skald.toml".into())).is_err());
}

#[test]
fn each_setting_has_its_bounds() {
    let (longest, too_long) = ("x".repeat(100), "x".repeat(101));
    for (key, fit, wrong) in [
        ("actors.sleep_after_ms", vec!["100", "86_400_000"], vec!["99", "86_400_001"]),
        (
            "bus.bundle_commands",
            vec!["[]", "['inventory', 'a-2']"],
            vec!["['']", "['Inventory']", "['a_b']", "['a.b']"],
        ),
        (
            "mail.from",
            vec!["'orders@example.com'"],
            vec!["'orders'", "'@example.com'", "'orders@'", "'a@b@c'", "'a b@c'", "'<a@b>'", "''"],
        ),
        ("mail.ca_file", vec!["'/etc/ours.pem'"], vec!["''", r#""a\u0000b""#]),
        ("mail.folder", vec!["'mail'"], vec!["''", r#""a\u0000b""#]),
        ("node.name", vec!["'n'", &longest], vec!["''", &too_long, r#""a\tb""#]),
    ] {
        let resolved = |value: &str| {
            let value =
                if value.starts_with('x') { format!("'{value}'") } else { value.to_owned() };
            resolve(Sources::default(), &[], &format!("{key} = {value}"))
        };
        for value in fit {
            assert!(resolved(value).is_ok(), "{key} = {value}");
        }
        for value in wrong {
            assert!(resolved(value).is_err(), "{key} = {value}");
        }
    }
}

#[test]
fn which_workers_run_is_said_by_a_word_or_a_list() {
    let run = |value: &str| {
        let workers = resolve(Sources::default(), &[("SKALD_WORKERS_RUN", value)], "");
        workers.map(|config| (config.workers.run.inventory, config.workers.run.notification)).ok()
    };
    assert_eq!(run("all"), Some((true, true)));
    assert_eq!(run("none"), Some((false, false)));
    assert_eq!(run("inventory"), Some((true, false)));
    assert_eq!(run("notification"), Some((false, true)));
    assert_eq!(run("notification, inventory"), Some((true, true)));
    assert_eq!(run("everything"), None);
}

#[test]
fn a_switch_may_be_a_variable_and_an_unknown_variable_is_told_which_there_are() {
    let metrics = [("SKALD_TELEMETRY_METRICS", "false")];
    assert!(!resolve(Sources::default(), &metrics, "").unwrap().telemetry.metrics);
    let faults = resolve(Sources::default(), &[("SKALD_LISTEN", "x")], "").unwrap_err();
    assert!(faults[0].contains("known are SKALD_DATA_DIR, "), "{faults:?}");
}
