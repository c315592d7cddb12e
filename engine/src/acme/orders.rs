//! Orders that are worked on: one handle of `instant-acme` each, so that authorizations are not
//! fetched twice, and never two requests of one order at the same time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::order::Live;

/// Handles kept; a forgotten one costs one look at its order. Far more than certificates in flight.
pub(super) const ORDERS_MAX: usize = 256;

/// The place of one order: whoever holds the lock may ask the CA about it.
pub(super) type Slot = Arc<tokio::sync::Mutex<Option<Live>>>;

/// All places, by order URL.
#[derive(Default)]
pub(super) struct Orders {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    uses: u64,
    slots: BTreeMap<String, (u64, Slot)>,
}

impl Orders {
    /// The place of this order. The one used longest ago gives way.
    pub(super) fn slot(&self, url: &str) -> Slot {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.uses = held.uses.saturating_add(1);
        let used = held.uses;
        if let Some((last, slot)) = held.slots.get_mut(url) {
            *last = used;
            return Arc::clone(slot);
        }
        if held.slots.len() >= ORDERS_MAX {
            let oldest = held.slots.iter().min_by_key(|(_, (last, _))| *last);
            if let Some(oldest) = oldest.map(|(url, _)| url.clone()) {
                held.slots.remove(&oldest);
            }
        }
        let slot = Slot::default();
        held.slots.insert(url.to_owned(), (used, Arc::clone(&slot)));
        slot
    }

    /// The order is over.
    pub(super) fn forget(&self, url: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.slots.remove(url);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_one_place_and_the_longest_unused_gives_way() {
        let orders = Orders::default();
        let first = orders.slot("https://ca/0");
        for number in 1..ORDERS_MAX {
            orders.slot(&format!("https://ca/{number}"));
        }
        assert!(Arc::ptr_eq(&first, &orders.slot("https://ca/0")));
        let second = orders.slot("https://ca/1");
        orders.slot("https://ca/0");
        for number in ORDERS_MAX..2 * ORDERS_MAX - 2 {
            orders.slot(&format!("https://ca/{number}"));
        }
        assert!(Arc::ptr_eq(&first, &orders.slot("https://ca/0")));
        orders.slot("https://ca/new");
        orders.slot("https://ca/newer");
        assert!(!Arc::ptr_eq(&second, &orders.slot("https://ca/1")));
        orders.forget("https://ca/0");
        assert!(!Arc::ptr_eq(&first, &orders.slot("https://ca/0")));
    }
}
