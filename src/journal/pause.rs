//! When messages that failed are sent again.
//!
//! Time is counted in breaths, each of which is told. A queue that is full does not empty faster for
//! being asked more often, and whoever else listens gets the same messages again each time.

use crate::ports::bus::Settlement;

/// The longest pause, in breaths.
const LONGEST: u32 = 50;

/// When messages that failed are sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pause {
    /// Whether a message failed since the last breath.
    failing: bool,
    /// Whether one was refused, or nobody knows of it. What finds no queue is tried with every
    /// breath, and not for ever.
    refused: bool,
    /// Whether something was sent again since the last breath.
    tried: bool,
    /// Breaths for which nothing is sent again.
    left: u32,
    /// How long the next pause is.
    next: u32,
}

impl Pause {
    /// A message failed.
    pub fn failed(&mut self, settlement: Settlement) {
        self.failing = true;
        self.refused |= settlement != Settlement::Unroutable;
    }

    /// Messages were sent again.
    pub fn tried(&mut self) {
        self.tried = true;
    }

    /// Some time has passed.
    pub fn breathe(&mut self) {
        if self.left > 0 {
            self.left -= 1;
        } else if self.refused {
            self.left = self.next;
            self.next = (self.next * 2).clamp(1, LONGEST);
        } else if self.tried {
            self.next = 0;
        }
        (self.failing, self.refused, self.tried) = (false, false, false);
    }

    /// Whether a message failed since the last breath: then more of them would.
    pub fn is_failing(&self) -> bool {
        self.failing
    }

    /// Whether the pause is over; and if so, whether as much as usual may be sent again, or only a
    /// little as a probe.
    pub fn over(&self) -> Option<bool> {
        (self.left == 0 && !self.failing).then_some(self.next <= 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths of these many pauses in a row, after each of which what is sent again is refused.
    fn pauses(pause: &mut Pause, count: usize) -> Vec<u32> {
        let mut one = || {
            pause.failed(Settlement::Rejected);
            pause.breathe();
            let mut breaths = 0;
            while pause.over().is_none() {
                pause.breathe();
                breaths += 1;
            }
            pause.tried();
            breaths
        };
        (0..count).map(|_| one()).collect()
    }

    #[test]
    fn pauses_grow_while_messages_are_refused_and_are_forgotten_once_they_are_taken() {
        let mut pause = Pause::default();
        assert_eq!(pauses(&mut pause, 9), [0, 1, 2, 4, 8, 16, 32, 50, 50]);
        pause.breathe();
        assert_eq!(pauses(&mut pause, 2), [0, 1]);
    }

    #[test]
    fn what_finds_no_queue_is_tried_with_every_breath() {
        let mut pause = Pause::default();
        for _ in 0..20 {
            pause.failed(Settlement::Unroutable);
            assert_eq!(pause.over(), None);
            pause.breathe();
            assert_eq!(pause.over(), Some(true));
            pause.tried();
        }
    }

    #[test]
    fn what_fails_meanwhile_makes_no_pause_longer_that_is_under_way() {
        let mut pause = Pause::default();
        pauses(&mut pause, 3);
        pause.failed(Settlement::Unknown);
        pause.breathe();
        let mut left = 0;
        while pause.over().is_none() {
            pause.failed(Settlement::Rejected);
            pause.breathe();
            left += 1;
        }
        assert_eq!(left, 4);
    }
}
