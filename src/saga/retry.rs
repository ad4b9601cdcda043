//! When a step is asked again.

use serde::{Deserialize, Serialize};

use super::id::SagaId;

/// How often and how fast a step is asked again after a *retryable* answer or none at all.
///
/// The pause before attempt n + 1 is `initial_ms · factor^(n-1)`, at most `cap_ms`, moved by up to
/// `jitter_percent` either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RetryPolicy {
    /// After so many attempts a compensatable step is given up and undone; any other step, and any
    /// undo, calls for attention and is asked on and on.
    pub max_attempts: u32,
    /// The first pause.
    pub initial_ms: u64,
    /// By how much each pause exceeds the one before.
    pub factor: u32,
    /// The longest pause.
    pub cap_ms: u64,
    /// How far a pause may be moved either way, in percent of its length.
    pub jitter_percent: u32,
}

impl Default for RetryPolicy {
    /// Five attempts within about ten seconds. The cap of 20 s bounds how long an endlessly retried
    /// step lags behind its worker's recovery.
    fn default() -> Self {
        Self { max_attempts: 5, initial_ms: 500, factor: 2, cap_ms: 20_000, jitter_percent: 20 }
    }
}

impl RetryPolicy {
    /// The pause after `attempt` (from 1) failed, in milliseconds.
    ///
    /// The jitter comes from the saga's id, so that the same saga always gets the same pause while
    /// many sagas that failed together spread out.
    pub fn pause_ms(&self, saga: SagaId, attempt: u32) -> u64 {
        let grown = (1..attempt.min(64))
            .try_fold(self.initial_ms, |pause, _| {
                let next = pause.checked_mul(u64::from(self.factor))?;
                (next < self.cap_ms).then_some(next)
            })
            .unwrap_or(self.cap_ms);
        let pause = grown.min(self.cap_ms);
        let reach = pause.saturating_mul(u64::from(self.jitter_percent)) / 100;
        let draw =
            scramble(saga.seed() ^ u64::from(attempt)) % reach.saturating_mul(2).saturating_add(1);
        (pause - reach.min(pause)).saturating_add(draw)
    }
}

/// Spreads the bits of `x` (the finaliser of SplitMix64, Steele et al. 2014).
fn scramble(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saga(n: u128) -> SagaId {
        SagaId(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn pauses_double_up_to_the_cap() {
        let policy = RetryPolicy { jitter_percent: 0, ..RetryPolicy::default() };
        let pauses: Vec<u64> = (1..=8).map(|n| policy.pause_ms(saga(1), n)).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]);
        assert_eq!(policy.pause_ms(saga(1), u32::MAX), 20_000);
    }

    #[test]
    fn jitter_stays_within_its_reach_and_is_the_same_for_the_same_saga() {
        let policy = RetryPolicy::default();
        let pauses: Vec<u64> = (0..200).map(|n| policy.pause_ms(saga(n), 1)).collect();
        assert!(pauses.iter().all(|pause| (400..=600).contains(pause)));
        assert!(pauses.iter().min() < Some(&420) && pauses.iter().max() > Some(&580));
        assert_eq!(policy.pause_ms(saga(7), 1), pauses[7]);
    }

    #[test]
    fn absurd_policies_do_not_overflow() {
        let policy = RetryPolicy {
            max_attempts: 1,
            initial_ms: u64::MAX,
            factor: u32::MAX,
            cap_ms: u64::MAX,
            jitter_percent: u32::MAX,
        };
        policy.pause_ms(saga(1), u32::MAX);
    }
}
