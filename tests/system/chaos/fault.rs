//! What goes wrong: kinds of faults, and the order in which they come.

use std::time::Duration;

use crate::dice::Dice;

/// A kind of fault; reports count by these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    KillOrchestrator,
    KillInventoryWorker,
    KillNotificationWorker,
    KillPostgres,
    KillRabbitMq,
    KillMailServer,
    /// For longer than its lease.
    SuspendOrchestrator,
    SuspendWorker,
    CutFromStore,
    CutFromBroker,
    CutFromMailServer,
    SlowStore,
    SlowBroker,
    /// Nothing passes one way, and neither end is told; afterwards the connections are gone.
    HalfOpenToStore,
    HalfOpenToBroker,
    /// The same, and what was sent arrives late.
    LateFromStore,
    LateFromBroker,
    CommitsUnheard,
    CommitsLost,
    ConfirmsUnheard,
    ConfirmsDropped,
    /// The broker seems to refuse what is sent over the connections that there are, for as long as they
    /// live.
    MessagesRefused,
    MemoryAlarm,
    PostgresDiskFull,
    RabbitMqDiskFull,
    KillRedis,
    FlushRedis,
    CutFromRedis,
    HalfOpenToRedis,
}

/// What only an installation with a Redis can suffer.
pub const OF_REDIS: [Kind; 4] = [KillRedis, FlushRedis, CutFromRedis, HalfOpenToRedis];

use Kind::{
    CommitsLost, CommitsUnheard, ConfirmsDropped, ConfirmsUnheard, CutFromBroker,
    CutFromMailServer, CutFromRedis, CutFromStore, FlushRedis, HalfOpenToBroker, HalfOpenToRedis,
    HalfOpenToStore, KillInventoryWorker, KillMailServer, KillNotificationWorker, KillOrchestrator,
    KillPostgres, KillRabbitMq, KillRedis, LateFromBroker, LateFromStore, MemoryAlarm,
    MessagesRefused, PostgresDiskFull, RabbitMqDiskFull, SlowBroker, SlowStore,
    SuspendOrchestrator, SuspendWorker,
};

/// How often each kind comes among so many, and for how long: at least, and less than, so many
/// milliseconds. A process that was killed is away for so long before it is started again.
const KINDS: [(Kind, usize, std::ops::Range<usize>); 29] = [
    (KillOrchestrator, 4, 0..3_000),
    (KillInventoryWorker, 3, 0..2_000),
    (KillNotificationWorker, 3, 0..2_000),
    (KillPostgres, 3, 0..4_000),
    (KillRabbitMq, 3, 0..3_000),
    (KillMailServer, 2, 0..4_000),
    // A lease takes 15 s.
    (SuspendOrchestrator, 1, 16_000..22_000),
    (SuspendWorker, 1, 1_000..15_000),
    (CutFromStore, 2, 0..2_000),
    (CutFromBroker, 2, 0..2_000),
    (CutFromMailServer, 1, 0..2_000),
    (SlowStore, 1, 2_000..8_000),
    (SlowBroker, 1, 2_000..8_000),
    (HalfOpenToStore, 1, 1_000..20_000),
    (HalfOpenToBroker, 1, 1_000..20_000),
    (LateFromStore, 1, 500..8_000),
    (LateFromBroker, 1, 500..12_000),
    (CommitsUnheard, 2, 2_000..4_000),
    (CommitsLost, 1, 2_000..4_000),
    (ConfirmsUnheard, 2, 2_000..4_000),
    (ConfirmsDropped, 1, 2_000..12_000),
    (MessagesRefused, 1, 2_000..12_000),
    (MemoryAlarm, 1, 1_000..8_000),
    (PostgresDiskFull, 1, 2_000..6_000),
    (RabbitMqDiskFull, 1, 2_000..6_000),
    (KillRedis, 2, 0..4_000),
    (FlushRedis, 1, 0..1_000),
    (CutFromRedis, 1, 0..2_000),
    (HalfOpenToRedis, 1, 1_000..15_000),
];

/// What one fault at a time may happen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Process(usize),
    Postgres,
    RabbitMq,
    MailServer,
    Redis,
    /// The links of one half of the processes.
    StoreLink(usize),
    BrokerLink(usize),
    MailLink,
    RedisLink,
}

/// A fault that is going to happen.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub kind: Kind,
    pub target: Target,
    pub lasts: Duration,
    /// For what is left to chance in it.
    pub chance: usize,
}

/// The processes that can be hit, each by its place among all.
#[derive(Clone, Debug)]
pub struct Crew {
    pub orchestrators: Vec<usize>,
    pub inventory_workers: Vec<usize>,
    pub notification_workers: Vec<usize>,
}

/// Deals faults: every kind as often as it should be, in random order.
pub struct Deck {
    dice: Dice,
    crew: Crew,
    left_out: Vec<Kind>,
    cards: Vec<Kind>,
}

/// How many halves the network has: a fault of a link hits the processes of one of them.
pub const SIDES: usize = 2;

impl Deck {
    /// Deals all kinds but those.
    pub fn new(dice: Dice, crew: Crew, left_out: Vec<Kind>) -> Self {
        Self { dice, crew, left_out, cards: Vec::new() }
    }

    /// The next fault of a kind that comes by chance.
    pub fn deal(&mut self) -> Fault {
        if self.cards.is_empty() {
            for (kind, times, _) in KINDS {
                if !self.left_out.contains(&kind) {
                    self.cards.extend(std::iter::repeat_n(kind, times));
                }
            }
            // Fisher and Yates.
            for last in (1..self.cards.len()).rev() {
                self.cards.swap(last, self.dice.below(last + 1));
            }
        }
        match self.cards.pop() {
            Some(kind) => self.fault(kind),
            None => unreachable!("there are cards"),
        }
    }

    /// One of each kind that there is, in random order.
    pub fn one_of_each(&mut self) -> Vec<Fault> {
        let mut kinds: Vec<Kind> = KINDS.iter().map(|(kind, ..)| *kind).collect();
        kinds.retain(|kind| !self.left_out.contains(kind));
        for last in (1..kinds.len()).rev() {
            kinds.swap(last, self.dice.below(last + 1));
        }
        kinds.into_iter().map(|kind| self.fault(kind)).collect()
    }

    /// So long until the next fault.
    pub fn pause(&mut self) -> Duration {
        self.dice.millis(200..2_500)
    }

    fn fault(&mut self, kind: Kind) -> Fault {
        let dice = &mut self.dice;
        let side = dice.below(SIDES);
        let target = match kind {
            KillOrchestrator | SuspendOrchestrator => {
                Target::Process(dice.pick(&self.crew.orchestrators))
            }
            KillInventoryWorker => Target::Process(dice.pick(&self.crew.inventory_workers)),
            KillNotificationWorker => Target::Process(dice.pick(&self.crew.notification_workers)),
            SuspendWorker => {
                let workers = [&self.crew.inventory_workers[..], &self.crew.notification_workers];
                Target::Process(dice.pick(&workers.concat()))
            }
            KillPostgres | PostgresDiskFull => Target::Postgres,
            KillRabbitMq | MemoryAlarm | RabbitMqDiskFull => Target::RabbitMq,
            KillMailServer => Target::MailServer,
            CutFromStore | SlowStore | HalfOpenToStore | LateFromStore | CommitsUnheard
            | CommitsLost => Target::StoreLink(side),
            CutFromBroker | SlowBroker | HalfOpenToBroker | LateFromBroker | ConfirmsUnheard
            | ConfirmsDropped | MessagesRefused => Target::BrokerLink(side),
            CutFromMailServer => Target::MailLink,
            KillRedis | FlushRedis => Target::Redis,
            CutFromRedis | HalfOpenToRedis => Target::RedisLink,
        };
        let lasts = KINDS.iter().find(|(it, ..)| *it == kind).map(|(.., lasts)| lasts.clone());
        let lasts = dice.millis(lasts.unwrap_or_default());
        Fault { kind, target, lasts, chance: dice.below(1_000_000) }
    }
}

impl Kind {
    /// Whether COMMITs, their answers or confirmations don't come through.
    pub fn loses_answers(self) -> bool {
        matches!(
            self,
            CommitsUnheard | CommitsLost | ConfirmsUnheard | ConfirmsDropped | MessagesRefused
        )
    }

    /// Whether something is ended by SIGKILL.
    pub fn is_kill(self) -> bool {
        matches!(
            self,
            KillOrchestrator
                | KillInventoryWorker
                | KillNotificationWorker
                | KillPostgres
                | KillRabbitMq
                | KillMailServer
                | KillRedis
        )
    }
}

#[test]
fn every_kind_is_dealt_in_an_order_that_the_seed_decides() {
    let crew = Crew {
        orchestrators: vec![0, 1],
        inventory_workers: vec![2, 3],
        notification_workers: vec![4, 5],
    };
    let deal = |seed| {
        let mut deck = Deck::new(Dice::of(seed), crew.clone(), vec![PostgresDiskFull]);
        (0..80).map(|_| deck.deal().kind).collect::<Vec<_>>()
    };
    let dealt = deal(7);
    assert_eq!(dealt, deal(7));
    assert_ne!(dealt, deal(8));
    for (kind, ..) in KINDS {
        assert_eq!(dealt.contains(&kind), kind != PostgresDiskFull, "{kind:?}");
    }
}
