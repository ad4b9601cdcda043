//! What scripts are made of. Numbers stand for one of what there is by then, so that a script from
//! which steps were left out is a script, too.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use skald::ports::ledger::Shard;

use super::stores::SHARDS;

/// What is done to a store.
#[derive(Clone, Debug)]
pub enum Step {
    /// A node lives, for longer than a script takes; or it did, and its lease has run out.
    Renew {
        node: u8,
        lives: bool,
    },
    Claim {
        node: u8,
        shards: Vec<Shard>,
    },
    Release {
        node: u8,
        shards: Vec<Shard>,
    },
    Leave {
        node: u8,
    },
    Commit {
        shard: Shard,
        writer: Writer,
        /// How much of the history is confirmed, in thirds of it.
        marks: (u8, u8),
        plans: Vec<Plan>,
    },
    Admit(Wish),
    Bury(Vec<Death>),
    Page {
        shard: Shard,
        saga: u8,
        seconds: (u8, u8),
        seq: u8,
        limit: u32,
    },
    Look,
    /// All processes end in good order, and others begin.
    Restart,
}

/// Whose epoch a batch has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    Owner,
    Predecessor,
    /// No epoch that anybody was given yet.
    Nobody,
}

/// What an entry of a batch is made from. The sagas are those that anybody tried to begin.
#[derive(Clone, Debug)]
pub enum Plan {
    /// A new order is accepted, under one of a few keys or none.
    Birth { key: Option<u8> },
    /// One that was tried before is accepted again.
    BirthAgain { saga: u8, key: Option<u8> },
    /// A saga goes on from its newest version or an older one, and may settle an input.
    Move { saga: u8, back: u8, how: How, settles: Option<(u8, u8)> },
    /// Nothing happens to it, but an input is settled.
    Settle { saga: u8, back: u8, input: (u8, u8) },
    /// Its order gets an outcome, whether or not it has one.
    Outcome { saga: u8 },
}

/// What happens to a saga.
#[derive(Clone, Copy, Debug)]
pub enum How {
    Succeeds,
    Fails,
    IsLost,
    IsCancelled,
    IsTriedAgain,
    TimesOut,
    /// It waits for an operator and for nothing else.
    IsStuck,
}

/// What somebody wants of a saga; also of one that there is not.
#[derive(Clone, Debug)]
pub struct Wish {
    pub saga: u8,
    pub key: u8,
    pub again: bool,
    pub if_version: Option<u8>,
}

/// A message that died, and whether its saga is told.
#[derive(Clone, Debug)]
pub struct Death {
    pub saga: u8,
    pub message: u8,
    pub queue: u8,
    pub notice: bool,
}

fn shard() -> impl Strategy<Value = Shard> {
    // The first one most of all, so that much meets in it.
    prop_oneof![4 => Just(0), 2 => 1..SHARDS]
}

/// Mostly one of the first sagas, so that much happens to each.
fn saga() -> impl Strategy<Value = u8> {
    prop_oneof![2 => 0..3_u8, 1 => any::<u8>()]
}

fn shards() -> impl Strategy<Value = Vec<Shard>> {
    proptest::sample::subsequence((0..SHARDS).collect::<Vec<_>>(), 1..=usize::from(SHARDS))
        .prop_shuffle()
}

fn plan() -> impl Strategy<Value = Plan> {
    let how = proptest::sample::select(vec![
        How::Succeeds,
        How::Succeeds,
        How::Fails,
        How::IsLost,
        How::IsCancelled,
        How::IsTriedAgain,
        How::TimesOut,
        How::IsStuck,
    ]);
    let back = || prop_oneof![6 => Just(0_u8), 1 => 1..3_u8];
    let input = || (any::<u8>(), 0..4_u8);
    prop_oneof![
        5 => option::weighted(0.5, 0..4_u8).prop_map(|key| Plan::Birth { key }),
        1 => (saga(), option::of(0..4_u8))
            .prop_map(|(saga, key)| Plan::BirthAgain { saga, key }),
        8 => (saga(), back(), how, option::weighted(0.3, input()))
            .prop_map(|(saga, back, how, settles)| Plan::Move { saga, back, how, settles }),
        3 => (saga(), back(), input())
            .prop_map(|(saga, back, input)| Plan::Settle { saga, back, input }),
        1 => saga().prop_map(|saga| Plan::Outcome { saga }),
    ]
}

fn wish() -> impl Strategy<Value = Wish> {
    (saga(), 0..2_u8, prop::bool::weighted(0.3), option::weighted(0.2, 0..4_u8))
        .prop_map(|(saga, key, again, if_version)| Wish { saga, key, again, if_version })
}

fn death() -> impl Strategy<Value = Death> {
    (saga(), 0..3_u8, 0..2_u8, prop::bool::weighted(0.7))
        .prop_map(|(saga, message, queue, notice)| Death { saga, message, queue, notice })
}

fn commit() -> impl Strategy<Value = Step> {
    let writer = prop_oneof![
        12 => Just(Writer::Owner),
        1 => Just(Writer::Predecessor),
        1 => Just(Writer::Nobody),
    ];
    (shard(), writer, (0..4_u8, 0..4_u8), vec(plan(), 0..5))
        .prop_map(|(shard, writer, marks, plans)| Step::Commit { shard, writer, marks, plans })
}

fn page() -> impl Strategy<Value = Step> {
    (shard(), saga(), any::<(u8, u8)>(), any::<u8>(), 1..5_u32).prop_map(
        |(shard, saga, seconds, seq, limit)| Step::Page { shard, saga, seconds, seq, limit },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..3_u8;
    prop_oneof![
        2 => (node.clone(), prop::bool::weighted(0.7))
            .prop_map(|(node, lives)| Step::Renew { node, lives }),
        2 => (node.clone(), shards()).prop_map(|(node, shards)| Step::Claim { node, shards }),
        1 => (node.clone(), shards()).prop_map(|(node, shards)| Step::Release { node, shards }),
        1 => node.prop_map(|node| Step::Leave { node }),
        14 => commit(),
        5 => wish().prop_map(Step::Admit),
        2 => vec(death(), 1..4).prop_map(Step::Bury),
        4 => page(),
        1 => prop::bool::weighted(0.2)
            .prop_map(|restart| if restart { Step::Restart } else { Step::Look }),
    ]
}

/// Some thirty steps.
pub fn script() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..60)
}
