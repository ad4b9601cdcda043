//! The kinds of faults, and how often each occurred.

macro_rules! faults {
    ($($fault:ident = $name:literal,)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Fault {
            $($fault,)*
        }

        impl Fault {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$fault),*];

            /// Its name in reports.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name,)*
                }
            }
        }
    };
}

faults! {
    NodeCrash = "node crashes",
    NodeLeave = "nodes leave",
    NodeStall = "nodes stall",
    StaleOwner = "stale owners",
    WorkerCrash = "worker crashes",
    NodeCut = "nodes cut off",
    WorkerCut = "workers cut off",
    MessageLost = "messages lost",
    MessageDoubled = "messages doubled",
    Reordered = "messages reordered",
    PublishLost = "publishes lost",
    ConfirmLost = "confirms lost",
    PublishRefused = "publishes refused",
    QueueFull = "messages to queues that stay full",
    ListenerFull = "events to listeners that stay full",
    Unroutable = "unroutable",
    DeadLetter = "dead letters",
    JournalFull = "full journals",
    CommitFailed = "commits failed",
    CommitVanished = "commits vanished",
    CommitUnheard = "commit answers lost",
    CommitLate = "late commits",
    WorkFailed = "worker commits failed",
    WorkUnheard = "worker commit answers lost",
    MailFailed = "mails failed",
    MailUnheard = "mail answers lost",
    MailRefused = "mails refused",
    RenewalFailed = "renewals failed",
    RenewalUnheard = "renewal answers lost",
    TakeOverFailed = "takeovers failed",
    LeaseCut = "nodes cut off from their leases",
    ReadFailed = "reads failed",
    LossUnrecorded = "lost commands not put on record",
    BurialFailed = "burials of dead letters failed",
    BurialUnheard = "burials of dead letters unheard",
    NodeClock = "node clocks set",
    WorkerClock = "worker clocks set",
    LongPause = "long pauses",
    Repeated = "submissions repeated",
    AskedTwice = "submissions repeated while the first is under way, or after it",
    Cancel = "cancels",
    Retry = "retries",
    Overtaken = "wishes overtaken",
    Asleep = "sagas put to sleep",
}

/// How often each kind occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Faults([u64; Fault::ALL.len()]);

impl Default for Faults {
    fn default() -> Self {
        Self([0; Fault::ALL.len()])
    }
}

impl Faults {
    pub fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    pub fn add(&mut self, others: &Self) {
        self.0.iter_mut().zip(others.0).for_each(|(sum, count)| *sum += count);
    }

    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }
}
