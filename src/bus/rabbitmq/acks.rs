//! Which acknowledgements to send. Pure.
//!
//! A channel numbers its deliveries 1, 2, 3, … One acknowledgement may stand for all deliveries up
//! to a number, which costs the broker a fraction of acknowledging each.

use std::collections::BTreeSet;

/// What was settled on one channel.
#[derive(Debug, Default)]
pub struct Acks {
    /// Every delivery up to here is settled.
    floor: u64,
    /// Those settled beyond, after a gap.
    beyond: BTreeSet<u64>,
}

/// What to send to settle some deliveries.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Acknowledge all deliveries up to this one. What goes back to the queue has to be sent before.
    pub up_to: Option<u64>,
    /// Acknowledge these one by one.
    pub single: Vec<u64>,
}

impl Acks {
    /// The deliveries in `acked` are acknowledged, those in `returned` go back to the queue; none of
    /// them was settled before.
    pub fn settle(&mut self, acked: &mut [u64], returned: &[u64]) -> Plan {
        self.beyond.extend(returned);
        acked.sort_unstable();
        let mut plan = Plan::default();
        for &tag in &*acked {
            self.advance();
            if tag == self.floor + 1 {
                self.floor = tag;
                plan.up_to = Some(tag);
            } else {
                self.beyond.insert(tag);
                plan.single.push(tag);
            }
        }
        self.advance();
        plan
    }

    /// Moves the floor over what is settled already.
    fn advance(&mut self) {
        while self.beyond.first() == Some(&(self.floor + 1)) {
            self.beyond.pop_first();
            self.floor += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan(up_to: Option<u64>, single: &[u64]) -> Plan {
        Plan { up_to, single: single.to_vec() }
    }

    #[test]
    fn acknowledgements_in_order_are_one() {
        let mut acks = Acks::default();
        assert_eq!(acks.settle(&mut [3, 1, 2], &[]), plan(Some(3), &[]));
        assert_eq!(acks.settle(&mut [4], &[]), plan(Some(4), &[]));
        assert_eq!(acks.settle(&mut [], &[]), plan(None, &[]));
    }

    #[test]
    fn what_is_still_out_is_not_acknowledged_by_what_comes_after_it() {
        let mut acks = Acks::default();
        assert_eq!(acks.settle(&mut [1, 3, 4], &[]), plan(Some(1), &[3, 4]));
        assert_eq!(acks.settle(&mut [2], &[]), plan(Some(2), &[]));
        assert_eq!(acks.settle(&mut [5], &[]), plan(Some(5), &[]));
    }

    #[test]
    fn what_goes_back_is_no_gap() {
        let mut acks = Acks::default();
        assert_eq!(acks.settle(&mut [1, 3], &[2]), plan(Some(3), &[]));
        assert_eq!(acks.settle(&mut [], &[4]), plan(None, &[]));
        assert_eq!(acks.settle(&mut [6], &[]), plan(None, &[6]));
        assert_eq!(acks.settle(&mut [5], &[]), plan(Some(5), &[]));
    }

    /// A channel as the broker sees it.
    #[derive(Default)]
    struct Broker {
        out: BTreeSet<u64>,
        acked: BTreeSet<u64>,
    }

    impl Broker {
        fn obey(&mut self, plan: &Plan, returned: &[u64]) {
            for tag in returned {
                assert!(self.out.remove(tag), "{tag} is not out");
            }
            if let Some(up_to) = plan.up_to {
                assert!(self.out.contains(&up_to), "{up_to} is not out");
                let rest = self.out.split_off(&(up_to + 1));
                self.acked.append(&mut self.out);
                self.out = rest;
            }
            for tag in &plan.single {
                assert!(self.out.remove(tag), "{tag} is not out");
                self.acked.insert(*tag);
            }
        }
    }

    proptest! {
        #[test]
        fn exactly_what_was_acknowledged_is_acknowledged(
            order in Just((1..=40u64).collect::<Vec<_>>()).prop_shuffle(),
            verdicts in prop::collection::vec(any::<bool>(), 40),
            batches in prop::collection::vec(0..6usize, 40),
        ) {
            let mut acks = Acks::default();
            let mut broker = Broker { out: (1..=40).collect(), ..Broker::default() };
            let mut expected = BTreeSet::new();
            let mut settled = order.into_iter().zip(verdicts);
            for size in batches {
                let batch: Vec<_> = settled.by_ref().take(size).collect();
                let of = |verdict| move |(tag, is): &(u64, bool)| (*is == verdict).then_some(*tag);
                let mut acked: Vec<u64> = batch.iter().filter_map(of(true)).collect();
                let returned: Vec<u64> = batch.iter().filter_map(of(false)).collect();
                expected.extend(acked.iter().copied());
                let plan = acks.settle(&mut acked, &returned);
                broker.obey(&plan, &returned);
                prop_assert_eq!(&broker.acked, &expected);
            }
        }

        #[test]
        fn a_batch_that_closes_all_gaps_needs_one_acknowledgement(
            mut acked in Just((1..=40u64).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            prop_assert_eq!(Acks::default().settle(&mut acked, &[]), plan(Some(40), &[]));
        }
    }
}
