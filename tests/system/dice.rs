//! Chance.

/// Random enough for moments; printed, though moments on a real machine do not repeat.
pub struct Dice(u64);

impl Dice {
    pub fn new() -> Self {
        Self::of(std::process::id().into())
    }

    /// Dice that fall the same for the same seed.
    pub fn of(seed: u64) -> Self {
        println!("seed {seed}");
        Self(seed.max(1))
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// So many milliseconds at least, and fewer than that.
    pub fn millis(&mut self, range: std::ops::Range<usize>) -> std::time::Duration {
        let span = self.below(range.end - range.start);
        std::time::Duration::from_millis((range.start + span) as u64)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        // xorshift64 (Marsaglia 2003)
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}
