//! Counts fetches per token: evidence for "the CA came" or "the CA never came".

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Called with the token of a fetch, from the connection's task: hand it on and return at once.
/// Only the first [`CALLS_MAX`] fetches of a token call it.
pub type Visited = Arc<dyn Fn(&str) + Send + Sync>;

/// A CA fetches a token from about six places, some twice; more calls tell nothing new and would be
/// a way to flood the engine from outside.
const CALLS_MAX: u32 = 16;
/// Tokens counted; the oldest goes first. As many as may be pending at once.
const TOKENS_MAX: usize = 10_000;

/// The counts. A fetch of a known token takes the read side only.
pub(super) struct Visits {
    counts: RwLock<Counts>,
    visited: Option<Visited>,
}

#[derive(Default)]
struct Counts {
    by_token: HashMap<String, AtomicU32>,
    oldest_first: VecDeque<String>,
}

impl Visits {
    pub(super) fn new(visited: Option<Visited>) -> Self {
        Self { counts: RwLock::default(), visited }
    }

    pub(super) fn count(&self, token: &str) {
        let number = self.again(token).unwrap_or_else(|| self.first(token));
        if number <= CALLS_MAX
            && let Some(visited) = &self.visited
        {
            visited(token);
        }
    }

    pub(super) fn of(&self, token: &str) -> u32 {
        let counts = self.counts.read().unwrap_or_else(PoisonError::into_inner);
        counts.by_token.get(token).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn again(&self, token: &str) -> Option<u32> {
        let counts = self.counts.read().unwrap_or_else(PoisonError::into_inner);
        let count = counts.by_token.get(token)?;
        // Wrapping would take four thousand million fetches of one token.
        Some(count.fetch_add(1, Ordering::Relaxed).saturating_add(1))
    }

    fn first(&self, token: &str) -> u32 {
        let mut counts = self.counts.write().unwrap_or_else(PoisonError::into_inner);
        if !counts.by_token.contains_key(token) {
            if counts.oldest_first.len() >= TOKENS_MAX
                && let Some(oldest) = counts.oldest_first.pop_front()
            {
                counts.by_token.remove(&oldest);
            }
            counts.oldest_first.push_back(token.to_owned());
        }
        let count = counts.by_token.entry(token.to_owned()).or_default();
        count.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_tokens_are_bounded() {
        let calls = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&calls);
        let visits = Visits::new(Some(Arc::new(move |_| {
            seen.fetch_add(1, Ordering::Relaxed);
        })));
        for _ in 0..100 {
            visits.count("first");
        }
        assert_eq!(visits.of("first"), 100);
        assert_eq!(calls.load(Ordering::Relaxed), CALLS_MAX);
        for number in 0..TOKENS_MAX {
            visits.count(&number.to_string());
        }
        assert_eq!(visits.of("first"), 0, "the oldest goes first");
        assert_eq!(visits.of("0"), 1);
        assert_eq!(visits.of("never"), 0);
    }
}
