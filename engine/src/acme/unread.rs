//! Orders that are known by nothing but the Location of a newOrder answer whose body could not be read.
//!
//! Kept in memory only: after an end of the process in between, the order is one whose answer was lost.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use renewd_events::order::NewOrder;

use super::limits;

/// Kept at once; the oldest gives way. Each belongs to one renewal in progress, of which the engine has
/// at most as many as it has effects ([`renewd_actors::bounds::EFFECTS_MAX`]).
pub(super) const UNREAD_MAX: usize = renewd_actors::bounds::EFFECTS_MAX;

/// What was asked for, and where the CA said that it is.
#[derive(Default)]
pub(super) struct Unread(Mutex<VecDeque<(NewOrder, String)>>);

impl Unread {
    /// The CA answered this request with this Location. One that cannot be asked is no help.
    pub(super) fn note(&self, order: &NewOrder, url: &str) {
        if !limits::is_url(url) {
            return;
        }
        let mut all = self.all();
        all.retain(|(other, _)| other != order);
        if all.len() >= UNREAD_MAX {
            all.pop_front();
        }
        all.push_back((order.clone(), url.to_owned()));
    }

    /// Where the order is that this request made.
    pub(super) fn of(&self, order: &NewOrder) -> Option<String> {
        self.all().iter().find(|(other, _)| other == order).map(|(_, url)| url.clone())
    }

    /// It was read, or is of no use.
    pub(super) fn forget(&self, order: &NewOrder) {
        self.all().retain(|(other, _)| other != order);
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<(NewOrder, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use renewd_events::id::{AccountId, CertificateId};

    use super::*;

    fn order(number: usize) -> NewOrder {
        NewOrder {
            certificate: CertificateId::derive(&[&number.to_le_bytes()]),
            account: AccountId::default(),
            identifiers: Vec::new(),
            profile: None,
            replaces: None,
        }
    }

    #[test]
    fn the_last_location_of_a_request_is_kept_and_the_oldest_gives_way() {
        let unread = Unread::default();
        unread.note(&order(0), "https://ca/old");
        unread.note(&order(0), "https://ca/0");
        unread.note(&order(0), "http://ca/plain");
        assert_eq!(unread.of(&order(0)).as_deref(), Some("https://ca/0"));
        for number in 1..UNREAD_MAX {
            unread.note(&order(number), "https://ca/other");
        }
        assert!(unread.of(&order(0)).is_some());
        unread.note(&order(UNREAD_MAX), "https://ca/other");
        assert_eq!(unread.of(&order(0)), None);
        unread.forget(&order(1));
        assert_eq!(unread.of(&order(1)), None);
    }
}
