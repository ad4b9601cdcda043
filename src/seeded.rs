//! Known mistakes, built in to see them found: a checker that can't fail proves nothing.
//!
//! `seeded!(NoTombstone)` is true where that mistake is switched on. Without the feature
//! `seeded-bugs` it is the word `false`, and this module is empty.

/// Whether a mistake is switched on in this thread.
#[cfg(feature = "seeded-bugs")]
macro_rules! seeded {
    ($bug:ident) => {
        $crate::seeded::is_on($crate::seeded::Bug::$bug)
    };
}

/// Never, without the feature `seeded-bugs`.
#[cfg(not(feature = "seeded-bugs"))]
macro_rules! seeded {
    ($bug:ident) => {
        false
    };
}

#[cfg(feature = "seeded-bugs")]
pub use switches::*;

#[cfg(feature = "seeded-bugs")]
mod switches {
    use std::cell::Cell;

    thread_local! {
        static ON: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Declares the mistakes, each with what is wrong.
    macro_rules! bugs {
        ($($(#[doc = $what:literal])+ $bug:ident,)*) => {
            /// A mistake.
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
            pub enum Bug {
                $($(#[doc = $what])+ $bug,)*
            }

            impl Bug {
                /// Every one.
                pub const ALL: &[Self] = &[$(Self::$bug),*];

                /// What is wrong, in a sentence.
                pub fn what(self) -> &'static str {
                    match self {
                        $(Self::$bug => concat!($($what),+).trim_ascii(),)*
                    }
                }
            }
        };
    }

    bugs! {
        /// A worker records no answer.
        NoWorkerRecord,
        /// A worker does what was undone before it came.
        NoTombstone,
        /// A mail is sent although somebody else is at it.
        ClaimIgnored,
        /// A product is given back, but its holding stays.
        HoldingStays,
        /// A worker takes a commit whose answer was lost for a refusal.
        LostCommitIsRefusal,
        /// A worker acknowledges a command whose reply nobody confirmed.
        ReplyUnconfirmed,
        /// An answer is acknowledged whatever became of its commit.
        AckWithoutCommit,
        /// A batch of an older epoch is written.
        NoFence,
        /// A mark passes what was published and not confirmed.
        MarkBeforeConfirm,
        /// A command that reached no queue counts as delivered.
        UnroutableIsConfirmed,
        /// A step is asked again under a new key.
        NewKeyOnRetry,
        /// A refusal after several attempts counts as if nothing was done.
        RefusalWithoutUndo,
        /// A step whose outcome stays unknown counts as failed.
        SilenceIsFailure,
        /// A rollback leaves running steps alone.
        RunningStepLeft,
        /// A saga is rolled back after its pivot.
        CancelPastPivot,
        /// A step starts before those that it needs.
        NeedsForgotten,
        /// A queue that answers nothing is never asked again.
        ProbesForgotten,
        /// A page that was read before a commit came into doubt counts as read after it.
        DoubtSettledByOldPage,
        /// Commands are not read as long as events are to be.
        EventsHoldUpCommands,
        /// A full page of the history counts as the last one.
        FullPageIsLast,
        /// An answer to what was asked by another owner is dropped.
        BehindIgnored,
        /// An order counts as accepted though its commit failed.
        AcceptedWithoutCommit,
        /// An order under a key that is taken is taken for another one.
        KeyForgotten,
        /// A saga that is due and not in memory is told to nobody.
        DuePassedBy,
        /// What is wanted of a saga is done without noting that it was.
        OutcomeForgotten,
        /// What is wanted of a saga as it was is done though it has moved on.
        VersionIgnored,
        /// What is wanted of a saga as it is is refused as if it had moved on.
        VersionRefused,
        /// A node keeps a shard whose lease outlived its trust, and does not run it.
        ShardKeptIdle,
    }

    /// Switches one mistake on in this thread, and all others off.
    pub fn switch(bug: Option<Bug>) {
        ON.set(bug);
    }

    /// Which one is on in this thread.
    pub fn on() -> Option<Bug> {
        ON.get()
    }

    /// Whether `bug` is on in this thread.
    pub fn is_on(bug: Bug) -> bool {
        on() == Some(bug)
    }
}
