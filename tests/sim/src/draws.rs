//! Chance from a seed: each purpose has a stream of its own, so that one more draw for one purpose
//! does not shift the others.

use renewd_events::id::sha256;

/// A stream of draws (SplitMix64, seeded by SHA-256 of seed and purpose).
#[derive(Clone, Debug)]
pub struct Draws(u64);

impl Draws {
    /// The stream of this purpose under this seed.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let hash = sha256(&[&seed.to_le_bytes(), purpose.as_bytes()]);
        Self(hash.iter().take(8).fold(0, |sum, octet| (sum << 8) | u64::from(*octet)))
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number in `0..bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits().checked_rem(bound).unwrap_or(0)
    }

    /// One of these; the default of none.
    pub fn one_of<T: Copy + Default>(&mut self, of: &[T]) -> T {
        let count = u64::try_from(of.len()).unwrap_or(u64::MAX);
        let index = usize::try_from(self.below(count)).unwrap_or(0);
        of.get(index).copied().unwrap_or_default()
    }

    /// True in `parts` of a million cases.
    pub fn happens(&mut self, parts: u64) -> bool {
        self.below(1_000_000) < parts
    }

    /// Nothing in a quarter of the cases, else up to `max` with small values as likely as large ones:
    /// a fixed delay would hide races.
    pub fn delay_ms(&mut self, max: u64) -> u64 {
        if max == 0 || self.below(4) == 0 {
            return 0;
        }
        let digits = u64::from(max.ilog2()) + 1;
        let bound = 1u64.checked_shl(u32::try_from(self.below(digits) + 1).unwrap_or(1));
        self.below(bound.unwrap_or(max).min(max)) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_repeats_itself_and_differs_from_others() {
        let draw = |seed, purpose| {
            let mut draws = Draws::new(seed, purpose);
            (0..8).map(|_| draws.bits()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, "net"), draw(1, "net"));
        assert_ne!(draw(1, "net"), draw(2, "net"));
        assert_ne!(draw(1, "net"), draw(1, "disk"));
    }

    #[test]
    fn delays_stay_within_their_bound() {
        let mut draws = Draws::new(7, "delay");
        let all: Vec<u64> = (0..4096).map(|_| draws.delay_ms(30_000)).collect();
        assert!(all.iter().all(|delay| *delay <= 30_000));
        assert!(all.contains(&0) && all.iter().any(|delay| *delay > 10_000));
    }
}
