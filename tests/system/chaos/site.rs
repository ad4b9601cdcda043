//! An installation in which everything can be hit: services, processes, and the network between them.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use diesel::RunQueryDsl;

use super::ear::Ear;
use super::fault::{Crew, Kind, OF_REDIS, SIDES};
use super::mail_server::MailServer;
use crate::accounts::Source;
use crate::installation::Installation;
use crate::own_service::{Kind as Service, OwnService};
use crate::process::Process;
use crate::proxy::{Proxy, Wire};
use crate::stack;

/// Who runs, each half of it on either side of the network.
const PROCESSES: [Role; 6] = {
    use Role::{InventoryWorker, NotificationWorker, Orchestrator};
    [
        Orchestrator,
        Orchestrator,
        InventoryWorker,
        InventoryWorker,
        NotificationWorker,
        NotificationWorker,
    ]
};

/// Room for a long run and little more; memory that is not used is not taken.
const POSTGRES_MIB: u32 = 2_048;
const RABBITMQ_MIB: u32 = 512;
/// So that the log takes a small part of the disk.
const SMALL_WAL: &str = "ALTER SYSTEM SET max_wal_size = '128MB'";

/// How long a process is started again and again while what it needs is away.
const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Orchestrator,
    InventoryWorker,
    NotificationWorker,
}

/// A place for a process.
struct Slot {
    role: Role,
    side: usize,
    process: Mutex<Option<Process>>,
    address: Mutex<Option<SocketAddr>>,
}

/// What an installation with everything around it consists of.
pub struct Site {
    pub postgres: OwnService,
    pub rabbitmq: OwnService,
    pub redis: OwnService,
    pub mail: Mutex<MailServer>,
    pub store_links: Vec<Proxy>,
    pub broker_links: Vec<Proxy>,
    pub mail_link: Proxy,
    pub redis_link: Proxy,
    /// Of somebody who listens over a network without faults.
    pub ear: Ear,
    /// Faults that can't be had here, and why.
    pub left_out: Vec<(Kind, String)>,
    /// Where the nodes are.
    pub nodes: Mutex<Vec<SocketAddr>>,
    /// Processes that ended by themselves.
    pub deaths: Mutex<Vec<String>>,
    installation: Installation,
    ear_link: Proxy,
    slots: Vec<Slot>,
    database: String,
    uses_redis: bool,
}

impl Site {
    /// Builds it all and waits until it runs.
    pub fn build() -> Self {
        let (postgres, rabbitmq) = std::thread::scope(|scope| {
            let rabbitmq = scope.spawn(|| service(Service::RabbitMq, RABBITMQ_MIB));
            (service(Service::Postgres, POSTGRES_MIB), rabbitmq.join().unwrap())
        });
        let ((postgres, no_disk), (rabbitmq, no_other_disk)) = (postgres, rabbitmq);
        let redis = OwnService::start(Service::Redis);
        let uses_redis = knows_redis();
        let mut left_out = Vec::new();
        left_out.extend(no_disk.map(|why| (Kind::PostgresDiskFull, why)));
        left_out.extend(no_other_disk.map(|why| (Kind::RabbitMqDiskFull, why)));
        if !uses_redis {
            let why = "this Skald has no redis.url";
            left_out.extend(OF_REDIS.map(|kind| (kind, why.to_owned())));
        }
        let server = postgres.url();
        let mut superuser = stack::connect(&server).unwrap();
        for statement in ["CREATE DATABASE skald", SMALL_WAL, "SELECT pg_reload_conf()"] {
            diesel::sql_query(statement).execute(&mut superuser).unwrap();
        }
        let (authority, _) = server.rsplit_once('/').unwrap();
        let database = format!("{authority}/skald");

        let link = |service: &OwnService, wire| Proxy::to(service.address(), wire);
        let ear_link = link(&rabbitmq, Wire::Opaque);
        let installation = Installation::at(database.clone(), rabbitmq.url());
        let mail = MailServer::start(&installation.folder().join("mails"));
        let slots = PROCESSES.iter().enumerate().map(|(n, role)| Slot {
            role: *role,
            side: n % SIDES,
            process: Mutex::default(),
            address: Mutex::default(),
        });
        let site = Self {
            store_links: (0..SIDES).map(|_| link(&postgres, Wire::Postgres)).collect(),
            broker_links: (0..SIDES).map(|_| link(&rabbitmq, Wire::Amqp)).collect(),
            mail_link: Proxy::to(mail.address, Wire::Opaque),
            redis_link: link(&redis, Wire::Opaque),
            ear: Ear::listening(&ear_link.url(&rabbitmq.url())),
            left_out,
            nodes: Mutex::default(),
            deaths: Mutex::default(),
            slots: slots.collect(),
            mail: Mutex::new(mail),
            postgres,
            rabbitmq,
            redis,
            uses_redis,
            installation,
            ear_link,
            database,
        };
        std::thread::scope(|scope| {
            for n in 0..PROCESSES.len() {
                let site = &site;
                scope.spawn(move || site.start(n));
            }
        });
        site.rabbitmq.write_down_names();
        site
    }

    /// Who can be hit.
    pub fn crew(&self) -> Crew {
        let all = |role| (0..PROCESSES.len()).filter(|n| PROCESSES[*n] == role).collect();
        Crew {
            orchestrators: all(Role::Orchestrator),
            inventory_workers: all(Role::InventoryWorker),
            notification_workers: all(Role::NotificationWorker),
        }
    }

    /// Where the databases are, beside all links.
    pub fn source(&self) -> Source {
        Source::Postgres(self.database.clone())
    }

    pub fn database(&self) -> &str {
        &self.database
    }

    /// SIGKILL.
    pub fn kill(&self, n: usize) {
        let slot = &self.slots[n];
        *slot.address.lock().unwrap() = None;
        self.find_nodes();
        if let Some(process) = slot.process.lock().unwrap().take() {
            process.kill();
        }
    }

    /// Starts it, again and again while what it needs is away, as a supervisor does.
    pub fn start(&self, n: usize) {
        let (slot, began) = (&self.slots[n], Instant::now());
        let name = match slot.role {
            Role::Orchestrator => "orchestrator",
            Role::InventoryWorker => "inventory",
            Role::NotificationWorker => "notification",
        };
        let process = loop {
            match Process::attempt(self.command(slot), self.installation.log(name)) {
                Ok(process) => break process,
                // It says what it lacks, and how to get it.
                Err(told) if told.contains("error[") && began.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(200));
                }
                Err(told) => return self.deaths.lock().unwrap().push(told),
            }
        };
        if slot.role == Role::Orchestrator {
            *slot.address.lock().unwrap() = Some(process.address());
        }
        *slot.process.lock().unwrap() = Some(process);
        self.find_nodes();
    }

    pub fn signal(&self, n: usize, name: &str) {
        if let Some(process) = &*self.slots[n].process.lock().unwrap() {
            process.signal(name);
        }
    }

    /// Starts again what ended by itself, and notes it.
    pub fn look_after_the_dead(&self) {
        for (n, slot) in self.slots.iter().enumerate() {
            let mut process = slot.process.lock().unwrap();
            let Some(ended) = process.as_mut().and_then(Process::ended) else { continue };
            let text = process.take().map(|process| process.text()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(5).collect();
            let told = format!("{:?} ended by itself: {ended}: {lines:#?}", slot.role);
            self.deaths.lock().unwrap().push(told);
            drop(process);
            self.start(n);
        }
    }

    /// The numbers of the processes that run.
    pub fn pids(&self) -> Vec<u32> {
        let slots = self.slots.iter();
        slots.filter_map(|slot| slot.process.lock().unwrap().as_ref().map(Process::id)).collect()
    }

    /// Has the links lead to where the services are now.
    pub fn connect_links(&self) {
        for link in &self.store_links {
            link.leads_to(self.postgres.address());
        }
        for link in self.broker_links.iter().chain([&self.ear_link]) {
            link.leads_to(self.rabbitmq.address());
        }
        self.redis_link.leads_to(self.redis.address());
    }

    /// Keeps the logs for somebody to read.
    pub fn keep_logs(&mut self) -> String {
        let folder = self.installation.keep();
        self.postgres.save_logs(folder);
        self.rabbitmq.save_logs(folder);
        folder.display().to_string()
    }

    fn command(&self, slot: &Slot) -> Command {
        let arguments: &[&str] = match slot.role {
            Role::Orchestrator => &["serve", "--workers", "none", "--listen", "127.0.0.1:0"],
            Role::InventoryWorker => &["worker", "inventory"],
            Role::NotificationWorker => &["worker", "notification"],
        };
        let mut command = self.installation.command(arguments);
        let store = self.store_links[slot.side].url(&self.database);
        command
            .env("SKALD_STORE_URL", format!("{store}?sslmode=disable&gssencmode=disable"))
            .env("SKALD_BUS_URL", self.broker_links[slot.side].url(&self.rabbitmq.url()))
            .env("SKALD_MAIL_URL", format!("smtp+insecure://{}", self.mail_link.address))
            .env("SKALD_MAIL_FROM", "orders@example.org")
            // So that it shows who stays awake for no reason.
            .env("SKALD_ACTORS_SLEEP_AFTER_MS", "1000");
        if self.uses_redis {
            command.env("SKALD_REDIS_URL", self.redis_link.url(&self.redis.url()));
        }
        command
    }

    fn find_nodes(&self) {
        let addresses = self.slots.iter().filter_map(|slot| *slot.address.lock().unwrap());
        *self.nodes.lock().unwrap() = addresses.collect();
    }
}

/// Whether the program has anything to do with Redis.
fn knows_redis() -> bool {
    let folder = std::env::temp_dir();
    let printed = Process::command(&folder, &["config", "print"]).output().unwrap();
    String::from_utf8_lossy(&printed.stdout).contains("redis.url")
}

/// A service on a disk of its own, or else anywhere and why.
fn service(kind: Service, mib: u32) -> (OwnService, Option<String>) {
    match OwnService::on_small_disk(kind, mib) {
        Ok(service) => (service, None),
        Err(why) => (OwnService::start(kind), Some(why)),
    }
}
