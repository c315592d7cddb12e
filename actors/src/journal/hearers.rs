//! Who hears of a commit that is folded: the observers, then those whom it concerns.

use std::sync::{Arc, PoisonError, RwLock};

use renewd_events::{Envelope, Facts, Subject};

/// What is told of committed events. It must not block: the journal waits for it.
pub type Observer = Box<dyn Fn(&[Arc<Envelope>]) + Send>;
/// A committed event, and what it is about as the fold of it said.
pub type Folded = (Arc<Envelope>, Subject);
/// Wakes those whom committed events concern. It must not block either.
pub type Announcer = Box<dyn Fn(&Facts, &[Folded]) + Send>;

/// All who hear of a commit.
pub struct Hearers {
    observers: Vec<Observer>,
    announcer: Option<Announcer>,
}

impl std::fmt::Debug for Hearers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hearers({} observers)", self.observers.len())
    }
}

impl From<Vec<Observer>> for Hearers {
    fn from(observers: Vec<Observer>) -> Self {
        Self { observers, announcer: None }
    }
}

impl Hearers {
    /// With one who wakes those whom an event concerns.
    #[must_use]
    pub fn and(self, announcer: Announcer) -> Self {
        Self { announcer: Some(announcer), ..self }
    }

    /// Tells them. Whoever is woken finds that the observers know.
    pub(super) fn tell(&self, facts: &RwLock<Facts>, folded: &[Folded]) {
        let envelopes: Vec<_> = folded.iter().map(|(envelope, _)| Arc::clone(envelope)).collect();
        for observer in &self.observers {
            observer(&envelopes);
        }
        if let Some(announcer) = &self.announcer {
            announcer(&facts.read().unwrap_or_else(PoisonError::into_inner), folded);
        }
    }
}
