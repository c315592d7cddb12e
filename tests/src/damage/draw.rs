//! Numbers by chance that a seed gives again.

/// The numbers of one case (SplitMix64: every seed gives a full sequence).
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// Of one case of a seed; cases do not depend on each other.
    pub fn of(seed: u64, case: u64) -> Self {
        let mut draw = Self(seed);
        let start = draw.next();
        Self(start ^ case.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when there is none.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// An index below `bound`.
    pub fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(u64::try_from(bound).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.index(list.len()))
    }
}
