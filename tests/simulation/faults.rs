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
    QueueFull = "full queues",
    Unroutable = "unroutable",
    DeadLetter = "dead letters",
    CommitFailed = "commits failed",
    CommitUnheard = "commit answers lost",
    CommitLate = "late commits",
    WorkFailed = "worker commits failed",
    WorkUnheard = "worker commit answers lost",
    MailFailed = "mails failed",
    MailUnheard = "mail answers lost",
    MailRefused = "mails refused",
    RenewalFailed = "renewals failed",
    ClockJump = "clock jumps",
    LongPause = "long pauses",
    Repeated = "submissions repeated",
    Cancel = "cancels",
    Retry = "retries",
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
