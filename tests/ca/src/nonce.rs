//! Anti-replay nonces (RFC 8555 §6.5): each is good once.

use std::collections::{BTreeSet, VecDeque};

/// Nonces remembered, fresh or used. The oldest is forgotten first, as real CAs do; far above what
/// a test leaves unused, and about 10 MB.
const NONCES_MAX: usize = 100_000;

/// What a nonce turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Ours, and never shown before. It is used up now.
    Fresh,
    /// Ours, but it has been used: the client repeats itself.
    Reused,
    /// Never ours, or forgotten (the CA was restarted).
    Unknown,
}

/// All nonces of one CA.
#[derive(Debug, Default)]
pub(crate) struct Nonces {
    fresh: BTreeSet<String>,
    used: BTreeSet<String>,
    by_age: VecDeque<String>,
}

impl Nonces {
    /// Remembers a nonce that is about to be handed out.
    pub(crate) fn hand_out(&mut self, nonce: &str) {
        if self.by_age.len() >= NONCES_MAX
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.fresh.remove(&oldest);
            self.used.remove(&oldest);
        }
        self.by_age.push_back(nonce.to_owned());
        self.fresh.insert(nonce.to_owned());
    }

    /// Uses a nonce up.
    pub(crate) fn spend(&mut self, nonce: &str) -> Verdict {
        if self.fresh.remove(nonce) {
            self.used.insert(nonce.to_owned());
            Verdict::Fresh
        } else if self.used.contains(nonce) {
            Verdict::Reused
        } else {
            Verdict::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_once_and_a_repeat_is_told_from_a_stranger() {
        let mut nonces = Nonces::default();
        nonces.hand_out("a");
        assert_eq!(nonces.spend("a"), Verdict::Fresh);
        assert_eq!(nonces.spend("a"), Verdict::Reused);
        assert_eq!(nonces.spend("b"), Verdict::Unknown);
    }

    #[test]
    fn the_oldest_nonce_is_forgotten_first() {
        let mut nonces = Nonces::default();
        for number in 0..=NONCES_MAX {
            nonces.hand_out(&number.to_string());
        }
        assert_eq!(nonces.spend("0"), Verdict::Unknown);
        assert_eq!(nonces.spend("1"), Verdict::Fresh);
        assert_eq!(nonces.by_age.len(), NONCES_MAX);
    }
}
