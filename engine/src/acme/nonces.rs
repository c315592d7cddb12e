//! Nonces at hand (RFC 8555 §6.5). Every answer brings one; all go here and are taken from here, so a
//! HEAD newNonce is sent only when there is none.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// More than calls in flight at once; a CA forgets the older ones anyway.
pub(super) const NONCES_MAX: usize = 64;
/// Public CAs keep a nonce for about an hour; an older one would cost a `badNonce`.
pub(super) const NONCE_AGE_MAX: Duration = Duration::from_secs(60 * 60);
/// A nonce is some 30 characters at every known CA.
const NONCE_OCTETS_MAX: usize = 512;

/// The pool: the youngest goes out first.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    held: Mutex<VecDeque<(Instant, String)>>,
}

impl Nonces {
    /// One more; the oldest gives way. What is not base64url is ignored (RFC 8555 §6.5.1).
    pub(super) fn put(&self, nonce: &str) {
        if !is_nonce(nonce) {
            return;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= NONCES_MAX {
            held.pop_front();
        }
        held.push_back((Instant::now(), nonce.to_owned()));
    }

    /// The youngest, unless it is too old; then all are.
    pub(super) fn take(&self) -> Option<String> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, nonce) = held.pop_back()?;
        if at.elapsed() <= NONCE_AGE_MAX {
            return Some(nonce);
        }
        held.clear();
        None
    }
}

/// Whether this can be a nonce at all.
pub(super) fn is_nonce(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=NONCE_OCTETS_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_youngest_goes_out_first_and_the_oldest_gives_way() {
        let nonces = Nonces::default();
        for number in 0..=NONCES_MAX {
            nonces.put(&format!("n{number}"));
        }
        nonces.put("not a nonce");
        let out: Vec<String> = std::iter::from_fn(|| nonces.take()).collect();
        assert_eq!(out.len(), NONCES_MAX);
        assert_eq!(out.first().map(String::as_str), Some("n64"));
        assert_eq!(out.last().map(String::as_str), Some("n1"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_nonce_is_not_used() {
        let nonces = Nonces::default();
        nonces.put("old");
        tokio::time::advance(NONCE_AGE_MAX + Duration::from_secs(1)).await;
        assert_eq!(nonces.take(), None);
    }
}
