//! How each kind of fault comes about, and how it is over.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::fault::{Fault, Kind, Target};
use super::site::Site;
use crate::own_service::OwnService;
use crate::proxy::{self, Proxy, Way};
use crate::stack;

/// A service that has not come back by then never will.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often it is looked at whether a fault has done something.
const LOOK: Duration = Duration::from_millis(50);

/// How much PostgreSQL's full disk has left: nothing, or too little for its log.
const POSTGRES_LEFT: [u64; 3] = [0, 1 << 20, 4 << 20];
/// How much RabbitMQ's has left: less than its alarm wants (50 MB), so that it takes no messages, and enough
/// for what it writes all the same. Without any it breaks down, and its queues do not survive that.
const RABBITMQ_LEFT: u64 = 30 << 20;

/// A fault on a site.
pub struct Strike<'a> {
    pub site: &'a Site,
    pub fault: Fault,
}

impl Strike<'_> {
    /// It happens, lasts, and is over. What loses answers lasts until it lost one: where nobody had
    /// any to expect, because something else failed too, nothing would have happened.
    pub fn run(&self) {
        let loses = self.fault.kind.loses_answers();
        let before = loses.then(|| self.link().lost());
        let began = Instant::now();
        self.begin();
        thread::sleep(self.fault.lasts);
        while before.is_some_and(|before| self.link().lost() == before)
            && began.elapsed() < PATIENCE
        {
            // The connections that it hit may be gone.
            if self.fault.kind == Kind::MessagesRefused {
                self.begin();
            }
            thread::sleep(LOOK);
        }
        self.end();
    }

    fn begin(&self) {
        let (site, chance) = (self.site, self.fault.chance);
        match self.fault.kind {
            Kind::KillOrchestrator | Kind::KillInventoryWorker | Kind::KillNotificationWorker => {
                site.kill(self.process());
            }
            Kind::KillPostgres => site.postgres.kill(),
            Kind::KillRabbitMq => site.rabbitmq.kill(),
            Kind::KillMailServer => site.mail.lock().unwrap().kill(),
            Kind::KillRedis => site.redis.kill(),
            Kind::FlushRedis => flush(&site.redis),
            Kind::SuspendOrchestrator | Kind::SuspendWorker => site.signal(self.process(), "STOP"),
            Kind::CutFromStore
            | Kind::CutFromBroker
            | Kind::CutFromMailServer
            | Kind::CutFromRedis => {
                self.link().refuse(true);
                self.link().cut();
            }
            Kind::SlowStore | Kind::SlowBroker => {
                self.link().delay(Duration::from_millis(5 + chance as u64 % 100));
            }
            Kind::HalfOpenToStore
            | Kind::HalfOpenToBroker
            | Kind::HalfOpenToRedis
            | Kind::LateFromStore
            | Kind::LateFromBroker => self.silence(true),
            Kind::CommitsUnheard | Kind::ConfirmsUnheard => self.plan(proxy::Fault::AnswerLost),
            Kind::CommitsLost => self.plan(proxy::Fault::CommitLost),
            Kind::ConfirmsDropped => self.link().drop_confirms(true),
            Kind::MessagesRefused => self.link().refuse_over_what_is_open(),
            Kind::MemoryAlarm => self.watermark("0.0000001"),
            Kind::PostgresDiskFull => {
                fill(&site.postgres, POSTGRES_LEFT[chance % POSTGRES_LEFT.len()])
            }
            Kind::RabbitMqDiskFull => fill(&site.rabbitmq, RABBITMQ_LEFT),
        }
    }

    /// What was hit runs again.
    fn end(&self) {
        let site = self.site;
        match self.fault.kind {
            Kind::KillOrchestrator | Kind::KillInventoryWorker | Kind::KillNotificationWorker => {
                site.start(self.process());
            }
            Kind::KillPostgres => self.revive(&site.postgres),
            Kind::KillRabbitMq => self.revive(&site.rabbitmq),
            Kind::KillMailServer => site.mail.lock().unwrap().go_on(),
            Kind::KillRedis => self.revive(&site.redis),
            Kind::FlushRedis | Kind::MessagesRefused => {}
            Kind::SuspendOrchestrator | Kind::SuspendWorker => site.signal(self.process(), "CONT"),
            Kind::CutFromStore
            | Kind::CutFromBroker
            | Kind::CutFromMailServer
            | Kind::CutFromRedis => {
                self.link().refuse(false);
            }
            Kind::SlowStore | Kind::SlowBroker => self.link().delay(Duration::ZERO),
            Kind::HalfOpenToStore | Kind::HalfOpenToBroker | Kind::HalfOpenToRedis => {
                self.link().cut();
                self.silence(false);
            }
            Kind::LateFromStore | Kind::LateFromBroker => self.silence(false),
            Kind::CommitsUnheard | Kind::CommitsLost | Kind::ConfirmsUnheard => {
                self.link().relent();
            }
            Kind::ConfirmsDropped => self.link().drop_confirms(false),
            Kind::MemoryAlarm => self.watermark("0.4"),
            Kind::PostgresDiskFull => {
                let _ = std::fs::remove_file(ballast(&site.postgres));
                self.revive(&site.postgres);
            }
            Kind::RabbitMqDiskFull => {
                let _ = std::fs::remove_file(ballast(&site.rabbitmq));
                self.revive(&site.rabbitmq);
            }
        }
    }

    fn process(&self) -> usize {
        match self.fault.target {
            Target::Process(n) => n,
            other => unreachable!("{other:?} is no process"),
        }
    }

    fn link(&self) -> &Proxy {
        match self.fault.target {
            Target::StoreLink(side) => &self.site.store_links[side],
            Target::BrokerLink(side) => &self.site.broker_links[side],
            Target::MailLink => &self.site.mail_link,
            Target::RedisLink => &self.site.redis_link,
            other => unreachable!("{other:?} is no link"),
        }
    }

    /// One way, the other, or both.
    fn silence(&self, is_silent: bool) {
        let ways: &[Way] = match self.fault.chance % 3 {
            0 => &[Way::ToServer],
            1 => &[Way::ToClient],
            _ => &[Way::ToServer, Way::ToClient],
        };
        for way in ways {
            self.link().silence(*way, is_silent);
        }
    }

    fn plan(&self, fault: proxy::Fault) {
        self.link().plan(vec![fault; 1 + self.fault.chance % 4]);
    }

    fn watermark(&self, share: &str) {
        self.site.rabbitmq.rabbitmqctl(&["set_vm_memory_high_watermark", share]).unwrap();
    }

    /// Starts a service until it answers: it may still be falling while it is looked at.
    fn revive(&self, service: &OwnService) {
        let began = Instant::now();
        loop {
            let started = service.go_on();
            if started.is_ok() {
                self.site.connect_links();
                if self.answers(service) {
                    return;
                }
            }
            assert!(
                began.elapsed() < PATIENCE,
                "it does not come back: {started:?}\n{}",
                service.log()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn answers(&self, service: &OwnService) -> bool {
        if std::ptr::eq(service, &self.site.postgres) {
            stack::connect(self.site.database()).is_ok()
        } else if std::ptr::eq(service, &self.site.redis) {
            // It answered when it was started, and has nothing to recover.
            true
        } else {
            service.rabbitmqctl(&["-q", "list_queues", "name"]).is_ok()
        }
    }
}

/// FLUSHALL. Redis takes commands as lines, too.
fn flush(redis: &OwnService) {
    let url = redis.url();
    let password = url.split([':', '@']).nth(2).unwrap();
    let mut connection = TcpStream::connect(redis.address()).unwrap();
    write!(connection, "AUTH {password}\r\nFLUSHALL\r\nQUIT\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert_eq!(answer.matches("+OK").count(), 3, "{answer}");
}

fn ballast(service: &OwnService) -> PathBuf {
    service.small_disk().unwrap().join("ballast")
}

/// Fills a service's disk up to what is to be left.
fn fill(service: &OwnService, left: u64) {
    let disk = service.small_disk().unwrap();
    let free = rustix::fs::statvfs(&disk).unwrap();
    let size = (free.f_bavail * free.f_frsize).saturating_sub(left).max(1);
    let mut fallocate = Command::new("fallocate");
    fallocate.args(["-l", &size.to_string()]).arg(ballast(service));
    // The service may have been faster.
    let _ = fallocate.output().unwrap();
}
