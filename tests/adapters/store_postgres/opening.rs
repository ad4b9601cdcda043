//! Opening a store: what is made, what is recognised, what is refused.

use skald::ports::letters::{LetterFilter, LetterState};
use skald::store::{OpenError, postgres};

use super::{SHARDS, open, owner_of};
use crate::postgres_server::{PASSWORD, PrivateServer, TestDatabase, server, with_database};
use crate::store_conformance::sample;

const SCHEMAS: [&str; 3] = ["skald_inventory", "skald_notification", "skald_orchestrator"];

#[test]
fn each_store_is_a_schema_that_can_be_a_database_of_its_own() {
    let databases = [TestDatabase::new(), TestDatabase::new(), TestDatabase::new()];
    postgres::orchestrator(&databases[0].url(), SHARDS).map(drop).unwrap();
    postgres::inventory(&databases[1].url()).map(drop).unwrap();
    postgres::notification(&databases[2].url()).map(drop).unwrap();
    let schemas = "SELECT nspname::text AS line FROM pg_namespace WHERE nspname LIKE 'skald%'";
    assert_eq!(databases[0].lines(schemas), ["skald_orchestrator"]);
    assert_eq!(databases[1].lines(schemas), ["skald_inventory"]);
    assert_eq!(databases[2].lines(schemas), ["skald_notification"]);
    let elsewhere = "SELECT relname::text AS line FROM pg_class
                     WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(databases[0].lines(elsewhere), [] as [&str; 0]);
}

#[test]
fn programs_that_start_at_once_migrate_one_after_the_other() {
    let database = TestDatabase::new();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| open(&database.url()));
        }
    });
    let stores = open(&database.url());
    owner_of(&stores.ledger, SHARDS - 1).place(1);
    let rows = "SELECT count(*)::text AS line FROM skald_orchestrator.shards";
    assert_eq!(database.lines(rows), [SHARDS.to_string()]);
}

#[test]
fn a_program_goes_on_with_what_a_newer_one_added() {
    let database = TestDatabase::new();
    drop(open(&database.url()));
    for schema in SCHEMAS {
        database.execute(&format!(
            "INSERT INTO {schema}.__diesel_schema_migrations (version) VALUES ('9998')"
        ));
    }
    owner_of(&open(&database.url()).ledger, 0).place(1);
}

#[test]
fn letters_of_a_program_that_knows_no_decisions_are_open_and_know_their_saga() {
    let database = TestDatabase::new();
    drop(open(&database.url()));
    let down = include_str!("../../../migrations/postgres/orchestrator/0002_letters/down.sql");
    let saga = sample::saga_id(7);
    let old = |id: u8, message_id: &str| {
        format!(
            "INSERT INTO skald_orchestrator.dead_letters
                 (id, at, message_id, queue, routing_key, reason, headers, body)
             VALUES ('00000000-0000-0000-0000-00000000000{id}', now(), '{message_id}', 'q', 'k', 'r', '{{}}', '')"
        )
    };
    database.execute(&format!(
        "{down}
         DELETE FROM skald_orchestrator.__diesel_schema_migrations WHERE version = '0002';
         {}; {}",
        old(1, &format!("{saga}:2")),
        old(2, "sha256:15ab"),
    ));
    let stores = open(&database.url());
    // Stored by the old program while it runs beside the new one.
    database.execute(&old(3, &format!("{saga}:4")));
    let filter = LetterFilter { state: Some(LetterState::Open), ..LetterFilter::default() };
    let letters = stores.letters.letters(&filter, None, 10).unwrap();
    assert_eq!(letters.iter().map(|it| it.saga).collect::<Vec<_>>(), [None, None, Some(saga)]);
}

#[test]
fn a_store_that_a_newer_program_took_something_from_is_refused_by_name() {
    for schema in SCHEMAS {
        let database = TestDatabase::new();
        drop(open(&database.url()));
        database.execute(&format!(
            "INSERT INTO {schema}.__diesel_schema_migrations (version) VALUES ('9998'), ('9999');
             UPDATE {schema}.compatibility SET needs = '9998'"
        ));
        let url = database.url();
        let error = [
            postgres::orchestrator(&url, SHARDS).map(drop),
            postgres::inventory(&url).map(drop),
            postgres::notification(&url).map(drop),
        ]
        .into_iter()
        .find_map(Result::err)
        .unwrap();
        assert!(
            matches!(&error, OpenError::Newer { migration, .. } if migration == "9998"),
            "{error}"
        );
    }
}

#[test]
fn a_schema_of_another_program_is_not_ours_and_left_alone() {
    let database = TestDatabase::new();
    database.execute("CREATE SCHEMA skald_inventory CREATE TABLE products (name text)");
    let error = postgres::inventory(&database.url()).err().unwrap();
    assert!(matches!(error, OpenError::NotOurs { store: "inventory", .. }), "{error}");
    let tables = "SELECT relname::text AS line FROM pg_class
                  WHERE relnamespace = 'skald_inventory'::regnamespace";
    assert_eq!(database.lines(tables), ["products"]);
}

#[test]
fn the_number_of_shards_is_fixed_when_the_store_is_made() {
    let database = TestDatabase::new();
    drop(open(&database.url()));
    let error = postgres::orchestrator(&database.url(), SHARDS + 1).err().unwrap();
    assert!(matches!(error, OpenError::Shards { found: SHARDS, .. }), "{error}");
    for shards in [0, 1025] {
        let empty = TestDatabase::new();
        let error = postgres::orchestrator(&empty.url(), shards).err().unwrap();
        assert!(matches!(error, OpenError::Database { .. }), "{error}");
    }
}

#[test]
fn a_role_needs_no_rights_but_those_to_use_what_is_there() {
    let database = TestDatabase::new();
    let role = format!("{}_user", database.name());
    drop(open(&database.url()));
    database.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"));
    for schema in SCHEMAS {
        database.execute(&format!(
            "GRANT USAGE ON SCHEMA {schema} TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"
        ));
    }
    let (_, place) =
        database.url().split_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let stores = open(&format!("postgres://{role}:{PASSWORD}@{place}"));
    let saga = owner_of(&stores.ledger, 0).place(1);
    stores.door.admit(&sample::cancellation(1, saga.id, "key")).unwrap();
    stores.inventory.set_on_hand(&"pen".into(), 1).unwrap();
    drop(stores);
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn a_commit_is_synchronous_and_may_write_whatever_the_database_says() {
    let database = TestDatabase::new();
    let name = database.name();
    database.execute(&format!(
        "ALTER DATABASE {name} SET synchronous_commit = off;
         ALTER DATABASE {name} SET search_path = nowhere;
         ALTER DATABASE {name} SET default_transaction_isolation = serializable"
    ));
    let stores = open(&database.url());
    database.execute(
        "CREATE TABLE public.seen (line text);
         CREATE FUNCTION public.look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO public.seen VALUES (current_setting('synchronous_commit') || ' '
                 || current_setting('transaction_isolation'));
             RETURN NULL;
         END $$;
         CREATE TRIGGER look AFTER INSERT ON skald_orchestrator.sagas
             FOR EACH ROW EXECUTE FUNCTION public.look()",
    );
    owner_of(&stores.ledger, 0).place(1);
    assert_eq!(database.lines("SELECT line FROM public.seen"), ["on read committed"]);
}

#[test]
fn what_is_wrong_with_a_url_is_said_without_its_secrets() {
    let good = server();
    let with_port = |port: u16| {
        let (user, rest) = good.split_once('@').unwrap();
        format!("{user}@127.0.0.1:{port}/{}", rest.split_once('/').unwrap().1)
    };
    let server = PrivateServer::start();
    let wrong_password = server.url("postgres").replace(PASSWORD, "hunter2");
    for (url, hint) in [
        ("sqlite:data".to_owned(), "must begin with postgres://"),
        ("postgres://ada:hunter2/x@db/shop".to_owned(), "percent code"),
        (with_port(1), "check that PostgreSQL runs there"),
        (wrong_password, "password authentication failed"),
        (with_database(good, "no_such_database"), "does not exist"),
        ("postgres://ada:hunter2@127.0.0.1/shop?nonsense=1".to_owned(), "nonsense"),
    ] {
        let error = postgres::notification(&url).err().unwrap();
        let text = format!("{error} {error:?}");
        assert!(text.contains(hint), "{text}");
        assert!(text.contains("notification"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains(PASSWORD), "{text}");
    }
}
