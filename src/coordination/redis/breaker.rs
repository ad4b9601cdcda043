//! A circuit breaker: whoever keeps failing is not asked any more, until a probe tells that it is back.
//! Pure.
//!
//! ```text
//!            too many failures in a row, or the connection lost
//!  ┌─▶ Closed ─────────────────────────────────────────▶ Open ◀─┐ the probe failed: a longer pause
//!  │                                                      │ pause │
//!  └───────────── the probe was answered ────────────── Probing ┘
//! ```

use std::time::{Duration, Instant};

/// Failures in a row that can't be chance: with the shipped time-out callers lose half a second to them
/// between them.
const FAILURES: u32 = 5;

/// The pause before the first probe: one lost connection is made anew at once, as far as people notice.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause: what is back is used again within ten seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Decides whether to ask somebody who may be away.
#[derive(Debug)]
pub struct Breaker {
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Calls pass; the last so many of them failed.
    Closed { failures: u32 },
    /// No call passes; a probe may begin at this moment, the how-manieth in a row.
    Open { probes: u32, at: Instant },
    /// No call passes until it is known what the probe came to.
    Probing { probes: u32 },
}

impl Breaker {
    /// Open: nobody has answered yet. The first probe may begin `now`.
    pub fn new(now: Instant) -> Self {
        Self { state: State::Open { probes: 0, at: now } }
    }

    /// Whether calls pass.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// When the next probe may begin; none where calls pass or a probe is under way.
    pub fn probe_at(&self) -> Option<Instant> {
        match self.state {
            State::Open { at, .. } => Some(at),
            State::Closed { .. } | State::Probing { .. } => None,
        }
    }

    /// A probe begins.
    pub fn begin_probe(&mut self) {
        if let State::Open { probes, .. } = self.state {
            self.state = State::Probing { probes: probes.saturating_add(1) };
        }
    }

    /// The probe is over; `chance` of 0 to 1 spreads the next one by a quarter.
    pub fn end_probe(&mut self, was_answered: bool, now: Instant, chance: f64) {
        if let State::Probing { probes } = self.state {
            self.state = match was_answered {
                true => State::Closed { failures: 0 },
                false => State::Open { probes, at: now + pause(probes, chance) },
            };
        }
    }

    /// A call was answered. One that was made before the breaker opened says nothing new.
    pub fn answered(&mut self) {
        if let State::Closed { failures } = &mut self.state {
            *failures = 0;
        }
    }

    /// A call was not answered in time.
    pub fn failed(&mut self, now: Instant, chance: f64) {
        if let State::Closed { failures } = &mut self.state {
            *failures += 1;
            if *failures >= FAILURES {
                self.broke(now, chance);
            }
        }
    }

    /// The connection is lost.
    pub fn broke(&mut self, now: Instant, chance: f64) {
        if self.is_closed() {
            self.state = State::Open { probes: 0, at: now + pause(0, chance) };
        }
    }
}

/// How long to wait after so many probes in vain, doubling.
fn pause(probes: u32, chance: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << probes.min(16)).min(LONGEST_PAUSE);
    doubled.mul_f64(0.75 + 0.25 * chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(now);
        breaker.begin_probe();
        breaker.end_probe(true, now, 0.5);
        breaker
    }

    #[test]
    fn nothing_passes_before_somebody_answered() {
        let now = Instant::now();
        let mut breaker = Breaker::new(now);
        assert!(!breaker.is_closed());
        assert_eq!(breaker.probe_at(), Some(now));
        breaker.begin_probe();
        assert!(!breaker.is_closed());
        assert_eq!(breaker.probe_at(), None, "one probe at a time");
        breaker.end_probe(true, now, 0.5);
        assert!(breaker.is_closed());
    }

    #[test]
    fn failures_in_a_row_open_it_and_answers_in_between_do_not() {
        let now = Instant::now();
        let mut breaker = closed(now);
        for _ in 0..100 {
            for _ in 1..FAILURES {
                breaker.failed(now, 1.0);
            }
            breaker.answered();
        }
        assert!(breaker.is_closed());
        for _ in 0..FAILURES {
            assert!(breaker.is_closed());
            breaker.failed(now, 1.0);
        }
        assert!(!breaker.is_closed());
        assert_eq!(breaker.probe_at(), Some(now + FIRST_PAUSE));
    }

    #[test]
    fn a_lost_connection_opens_it_at_once() {
        let now = Instant::now();
        let mut breaker = closed(now);
        breaker.broke(now, 1.0);
        assert!(!breaker.is_closed());
    }

    #[test]
    fn late_answers_and_failures_of_earlier_calls_change_nothing_once_it_is_open() {
        let now = Instant::now();
        let mut breaker = closed(now);
        breaker.broke(now, 1.0);
        let at = breaker.probe_at();
        breaker.answered();
        breaker.failed(now + LONGEST_PAUSE, 1.0);
        breaker.broke(now + LONGEST_PAUSE, 1.0);
        assert_eq!((breaker.is_closed(), breaker.probe_at()), (false, at));
        breaker.begin_probe();
        breaker.answered();
        assert!(!breaker.is_closed(), "only the probe tells");
    }

    #[test]
    fn pauses_between_probes_double_up_to_a_limit_and_differ() {
        let now = Instant::now();
        let mut breaker = Breaker::new(now);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            breaker.begin_probe();
            breaker.end_probe(false, now, 1.0);
            pauses.push((breaker.probe_at().unwrap() - now).as_millis());
        }
        assert_eq!(pauses, [400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000, 10_000]);
        assert_eq!(pause(u32::MAX, 0.0), LONGEST_PAUSE.mul_f64(0.75));
    }

    #[test]
    fn a_probe_that_was_answered_ends_the_row() {
        let now = Instant::now();
        let mut breaker = Breaker::new(now);
        for _ in 0..5 {
            breaker.begin_probe();
            breaker.end_probe(false, now, 1.0);
        }
        breaker.begin_probe();
        breaker.end_probe(true, now, 1.0);
        breaker.broke(now, 1.0);
        assert_eq!(breaker.probe_at(), Some(now + FIRST_PAUSE));
    }
}
