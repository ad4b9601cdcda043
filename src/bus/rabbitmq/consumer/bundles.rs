//! Which bundles are settled. Pure.

use std::collections::HashMap;

use super::Tag;

/// How a delivery ends, bundle or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The broker may forget it.
    Ack,
    /// The broker has to deliver it again.
    Requeue,
}

/// The bundles whose messages are not all settled.
#[derive(Debug, Default)]
pub struct Bundles(HashMap<Tag, Open>);

#[derive(Debug)]
struct Open {
    unsettled: usize,
    end: End,
}

impl Bundles {
    /// The delivery `tag` is a bundle of so many messages, at least one.
    pub fn arrived(&mut self, tag: Tag, messages: usize) {
        self.0.insert(tag, Open { unsettled: messages, end: End::Ack });
    }

    /// A message that came with the delivery `tag` is settled. Tells how the delivery ends, once all
    /// its messages are settled: as a whole, so it comes again if one of them has to.
    pub fn settle(&mut self, tag: Tag, end: End) -> Option<End> {
        let Some(open) = self.0.get_mut(&tag) else { return Some(end) };
        open.unsettled -= 1;
        if end == End::Requeue {
            open.end = End::Requeue;
        }
        if open.unsettled > 0 {
            return None;
        }
        self.0.remove(&tag).map(|open| open.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_its_own_ends_as_it_is_settled() {
        let mut bundles = Bundles::default();
        assert_eq!(bundles.settle(1, End::Ack), Some(End::Ack));
        assert_eq!(bundles.settle(2, End::Requeue), Some(End::Requeue));
    }

    #[test]
    fn a_bundle_ends_with_the_last_of_its_messages() {
        let mut bundles = Bundles::default();
        bundles.arrived(7, 3);
        assert_eq!(bundles.settle(7, End::Ack), None);
        assert_eq!(bundles.settle(8, End::Ack), Some(End::Ack));
        assert_eq!(bundles.settle(7, End::Ack), None);
        assert_eq!(bundles.settle(7, End::Ack), Some(End::Ack));
        assert!(bundles.0.is_empty());
    }

    #[test]
    fn one_message_that_has_to_come_again_brings_the_others_with_it() {
        let mut bundles = Bundles::default();
        bundles.arrived(7, 2);
        assert_eq!(bundles.settle(7, End::Requeue), None);
        assert_eq!(bundles.settle(7, End::Ack), Some(End::Requeue));
    }
}
