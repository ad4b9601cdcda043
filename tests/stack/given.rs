//! What a test gets of the services.

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types};
use lapin::{ConnectionProperties, options::QueueDeclareOptions, types::FieldTable};

use crate::stack::{self, Database, Vhost};

#[derive(QueryableByName)]
struct Setting {
    #[diesel(sql_type = sql_types::Text)]
    setting: String,
}

#[test]
fn a_database_is_new_and_gone_after_the_test_even_with_clients() {
    let (one, other) = (Database::create(), Database::create());
    let mut client = one.connect();
    sql_query("CREATE TABLE sagas (id integer)").execute(&mut client).unwrap();
    sql_query("CREATE TABLE sagas (id integer)").execute(&mut other.connect()).unwrap();
    let url = one.url().to_owned();
    drop(one);
    assert!(sql_query("SELECT 1").execute(&mut client).is_err());
    assert!(stack::connect(&url).is_err());
    assert!(stack::connect(other.url()).is_ok());
}

#[test]
fn the_database_is_as_durable_as_in_production() {
    let database = Database::create();
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        let query = sql_query(format!("SELECT current_setting('{name}') AS setting"));
        let found: Setting = query.get_result(&mut database.connect()).unwrap();
        assert_eq!(found.setting, "on", "{name}");
    }
}

#[tokio::test]
async fn a_virtual_host_is_new_and_gone_after_the_test_even_with_clients() {
    let (one, other) = (Vhost::create(), Vhost::create());
    let client = lapin::Connection::connect(one.url(), ConnectionProperties::default());
    let channel = client.await.unwrap().create_channel().await.unwrap();
    let (options, none) = (QueueDeclareOptions::default(), FieldTable::default());
    channel.queue_declare("replies".into(), options, none).await.unwrap();
    let url = one.url().to_owned();
    drop(one);
    assert!(lapin::Connection::connect(&url, ConnectionProperties::default()).await.is_err());
    assert!(lapin::Connection::connect(other.url(), ConnectionProperties::default()).await.is_ok());
}

#[test]
fn the_broker_has_no_guest_and_obeys_rabbitmqctl() {
    let users = stack::rabbitmqctl(&["-q", "list_users", "--no-table-headers"]);
    let users = String::from_utf8(users.stdout).unwrap();
    assert_eq!(users.trim(), "skald\t[administrator]");
}
