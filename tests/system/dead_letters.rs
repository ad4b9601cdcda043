//! What operators do with commands that a worker rejects, on a real broker.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use serde_json::Value;
use skald::bus::rabbitmq::{Address, Bundling, RabbitBus};
use skald::ports::Clock;
use skald::ports::bus::Bus;
use skald::ports::clock::SystemClock;
use skald::ports::letters::{Action, Decided, LetterFilter, NewDecision, Outcome};
use skald::ports::source::Source;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::customer::Connection;
use crate::installation::Installation;
use crate::process::Process;
use crate::until::until;

const ORDER: &str = r#"{"userId":"u","email":"u@example.org","items":[{"productId":"harp","quantity":1,"price":1}]}"#;

/// A notification worker that rejects whatever it gets.
struct Broken {
    repair: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Broken {
    fn start(url: &str) -> Self {
        let address = Address::parse(url).unwrap();
        let (repair, mut repaired) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let bus = RabbitBus::connect(vec![address], "broken", Bundling::default());
                let bus: Arc<dyn Bus> = Arc::new(bus.await.unwrap());
                let mut commands = Source::of(bus, "notification.commands".into(), 10);
                let mut batch = Vec::new();
                loop {
                    tokio::select! {
                        _ = &mut repaired => return,
                        () = commands.recv_many(&mut batch, 10) => {
                            batch.drain(..).for_each(|command| command.reject("no mail server"));
                        }
                    }
                }
            });
        });
        Self { repair, thread }
    }

    fn go_away(self) {
        self.repair.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// Submits an order; tells its saga.
fn order(node: SocketAddr) -> String {
    let mut connection = Connection::open(node).unwrap();
    let shelf = "/v1/inventory/products/harp";
    assert_eq!(connection.send("PUT", shelf, "", r#"{"onHand":9}"#).unwrap().0, 200);
    let answer = connection.ask("POST", "/v1/orders", "", ORDER).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.json()["sagaId"].as_str().unwrap().to_owned()
}

/// A worker that logs which commands it has done.
fn mailer(installation: &Installation) -> Process {
    let mut command = installation.command(&["worker", "notification"]);
    command.env("SKALD_LOG_FILTER", "skald=info,skald::workers=debug");
    installation.start(command, "notification")
}

fn has_done(worker: &Process, message: &str) -> bool {
    let done =
        |line: &Value| line["message"] == "a command is done" && line["messageId"] == message;
    worker.log().iter().any(done)
}

/// Runs `skald dead-letters`; tells the exit code and what was printed.
fn letters(installation: &Installation, node: SocketAddr, arguments: &[&str]) -> (i32, Value) {
    let url = format!("http://{node}");
    let given = [&["dead-letters"], arguments, &["-o", "json", "--url", &url]].concat();
    let output = installation.command(&given).output().unwrap();
    let printed = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code().unwrap(), printed)
}

#[test]
fn a_rejected_command_is_requeued_once_its_cause_is_repaired_and_its_saga_completes() {
    let installation = Installation::new();
    let orchestrator = installation.orchestrator();
    let _inventory = installation.worker("inventory");
    let node = orchestrator.address();
    let broken = Broken::start(installation.bus());
    let saga = order(node);
    let mut connection = Connection::open(node).unwrap();
    let status = |connection: &mut Connection| {
        connection.get(&format!("/v1/sagas/{saga}"))["status"].as_str().unwrap().to_owned()
    };
    until("the saga needs attention", || status(&mut connection) == "NEEDS_ATTENTION");
    broken.go_away();

    let (code, listed) = letters(&installation, node, &["list", "--saga", &saga]);
    let listed = listed.as_array().unwrap();
    assert!(code == 0 && listed.len() >= 5, "{code}: {listed:?}");
    let of = |letter: &Value, member: &str| letter[member].as_str().unwrap().to_owned();
    let (first, newest) = (&listed[listed.len() - 1], &listed[0]);
    assert_eq!(of(first, "queue"), "notification.commands");
    assert_eq!(of(first, "reason"), "rejected: no mail server");

    // What the saga itself sends from now on has other ids than the first attempt.
    let mailer = mailer(&installation);
    let id = of(first, "letterId");
    for _ in 0..2 {
        let requeue = ["requeue", &id, "--reason", "the mail server is back"];
        let (code, letter) = letters(&installation, node, &requeue);
        assert_eq!((code, &letter["state"]), (0, &"REQUEUED".into()), "{letter}");
        let decisions = letter["decisions"].as_array().unwrap();
        assert_eq!((decisions.len(), &decisions[0]["outcome"]), (1, &"DONE".into()), "{letter}");
    }
    until("the command is done", || has_done(&mailer, &of(first, "messageId")));
    until("the saga completes", || status(&mut connection) == "COMPLETED");

    let discard = |id: &str| letters(&installation, node, &["discard", id, "--reason", "done"]).0;
    assert_eq!(discard(&id), 5, "it was requeued");
    assert_eq!(discard(&of(newest, "letterId")), 0);
    let (_, open) = letters(&installation, node, &["list"]);
    assert_eq!(open.as_array().unwrap().len(), listed.len() - 2);
    let (status, metrics) = connection.send("GET", "/metrics", "", "").unwrap();
    assert!(status == 200 && metrics.contains("skald_dead_letters_open"), "{metrics}");
}

#[test]
fn what_was_decided_is_sent_by_another_node_if_the_process_dies_before_it_could() {
    let installation = Installation::new();
    let orchestrator = installation.orchestrator();
    let _inventory = installation.worker("inventory");
    let broken = Broken::start(installation.bus());
    order(orchestrator.address());
    let stores = installation.stores();
    let mut found = Vec::new();
    until("a command is rejected", || {
        found = stores.letters.letters(&LetterFilter::default(), None, 10).unwrap();
        !found.is_empty()
    });
    orchestrator.kill();
    broken.go_away();

    // The process died with this in the store and nothing else done.
    let letter = found.pop().unwrap();
    let wish = NewDecision {
        id: Uuid::now_v7(),
        letter: letter.id,
        action: Action::Requeue,
        by: "operator".to_owned(),
        note: "the mail server is back".to_owned(),
        client_key: "key".to_owned(),
        at: SystemClock.now(),
    };
    assert!(matches!(stores.letters.decide(&wish), Ok(Decided::Stands(_))));
    let _orchestrators = [installation.orchestrator(), installation.orchestrator()];
    let mailer = mailer(&installation);
    until("the command is done", || has_done(&mailer, &letter.message_id));
    let outcome = || stores.letters.decision_outcome(wish.id).unwrap();
    until("its sending is recorded", || outcome().is_some());
    assert_eq!(outcome(), Some(Outcome::Done));
}
