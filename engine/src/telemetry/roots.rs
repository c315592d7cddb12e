//! The root spans of renewals under way: what a live span hangs on.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use renewd_events::Envelope;
use renewd_events::id::RenewalId;
use renewd_replay::trace::span_id;

use super::open::{begins, ends};

/// Roots kept. Renewals under way are few; one whose end was never told of makes place for others.
const ROOTS_MAX: usize = 4096;

/// Root spans by renewal. Written by the journal's thread before it answers, so an effect finds the
/// root of its renewal.
#[derive(Clone, Debug, Default)]
pub(super) struct Roots(Arc<RwLock<BTreeMap<RenewalId, [u8; 8]>>>);

impl Roots {
    pub(super) fn apply(&self, envelope: &Envelope) {
        let Some(renewal) = envelope.renewal else {
            return;
        };
        let (begins, ends) = (begins(&envelope.event), ends(&envelope.event));
        if !begins && !ends {
            return;
        }
        let mut roots = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if ends {
            roots.remove(&renewal);
        } else {
            if roots.len() >= ROOTS_MAX {
                roots.pop_first();
            }
            roots.insert(renewal, span_id(envelope.stream, envelope.seq));
        }
    }

    pub(super) fn of(&self, renewal: RenewalId) -> Option<[u8; 8]> {
        let roots = self.0.read().unwrap_or_else(PoisonError::into_inner);
        roots.get(&renewal).copied()
    }
}
