//! Requests that arrive late: the CA acts on them when nobody waits for the answer any more, perhaps
//! after requests that were sent later, perhaps when the process that sent them is gone.

use renewd_events::authorization::Challenge;
use renewd_events::id::{Hash, OrderId};
use renewd_events::order::NewOrder;
use renewd_events::{Durable, WallMs};

use crate::world::{State, World};

/// A request on its way.
#[derive(Clone, Debug)]
pub(crate) enum Late {
    Order(Durable<NewOrder>),
    /// Order, challenge.
    Ready(String, Durable<Challenge>),
    /// Order, what was intended, CSR.
    Finalize(String, Durable<Hash>, Vec<u8>),
}

impl World {
    /// What is due arrives. What the CA answers is heard by nobody.
    pub(crate) fn deliver(&self) {
        let now = self.time();
        loop {
            // The lock is let go before the request is handled.
            let due = self.state().due(now);
            let Some(late) = due else {
                return;
            };
            match &late {
                Late::Order(order) => {
                    let mut state = self.state();
                    if self.place_order(&mut state, order, now).is_ok() {
                        state.ca.came_late.insert(OrderId(order.meta().stream.id));
                    }
                }
                Late::Ready(url, challenge) => {
                    let delay = self.delay(self.plan.ca.validation_ms);
                    drop(self.take_challenge(&mut self.state(), (url, challenge), delay, now));
                }
                Late::Finalize(url, intent, csr) => {
                    let takes = self.delay(self.plan.ca.processing_ms);
                    drop(self.finish(&mut self.state(), (url, intent, csr), takes, now));
                }
            }
        }
    }
}

impl State {
    /// The next request that has arrived by now.
    fn due(&mut self, now: WallMs) -> Option<Late> {
        let first = self.late.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    /// When the next request arrives, or the next validator comes.
    pub(crate) fn next(&self) -> Option<WallMs> {
        let job = self.ca.jobs.first().map(|job| job.0);
        let late = self.late.first_key_value().map(|((at, _), _)| *at);
        [job, late].into_iter().flatten().min()
    }

    /// A request arrives then; those of one moment in the order in which they were sent.
    pub(crate) fn arrives(&mut self, at: WallMs, late: Late) {
        self.sent_late += 1;
        self.late.insert((at, self.sent_late), late);
    }
}
